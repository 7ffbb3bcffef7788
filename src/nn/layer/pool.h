/* What the layers that slide a window over each channel share: where the windows lie. */
#ifndef FLOSIM_NN_LAYER_POOL_H
#define FLOSIM_NN_LAYER_POOL_H

#include "nn/layer/layer.h"

struct pool_args {
    struct int_list kernel, stride, padding;
    bool ceil_mode;
};

/* By height and width. Window i begins at i * stride - padding, which may lie outside of the image. */
struct pool_windows {
    int kernel[2], stride[2], padding[2], out[2];
};

/* From a layer's arguments, its input [C, H, W] checked; sets layer->out. Errors are told. */
int pool_infer(struct layer *layer, struct layer_builder *builder, const struct pool_args *args,
               struct pool_windows *out);

/* Rows of the kinds' tables, whose struct begins with pool_args. */
// clang-format off
#define POOL_ROWS(padding_help)                                                                                        \
    {.name = "kernel", .alias = "kernel_size", .type = PARAM_INTS, .offset = offsetof(struct pool_args, kernel),       \
     .min = 1, .max = 4096, .flags = PARAM_REQUIRED, .help = "Size of the window, one number or [height, width]."},    \
    {.name = "stride", .type = PARAM_INTS, .offset = offsetof(struct pool_args, stride), .min = 1, .max = 4096,        \
     .help = "Step of the window; the kernel's size by default."},                                                     \
    {.name = "padding", .type = PARAM_INTS, .offset = offsetof(struct pool_args, padding), .fallback = "0", .min = 0,  \
     .max = 2048, .help = padding_help},                                                                               \
    {.name = "ceil_mode", .type = PARAM_BOOL, .offset = offsetof(struct pool_args, ceil_mode), .fallback = "false",    \
     .help = "A last window may reach past the image and its padding; it must begin before the padding behind."}
// clang-format on

#endif
