/* The arguments that say how raw values become inputs, shared by sources and data set folders. */
#ifndef FLOSIM_DATA_TRANSFORM_ARGS_H
#define FLOSIM_DATA_TRANSFORM_ARGS_H

#include "data/dataset.h"
#include "util/params.h"

#define TRANSFORM_SMALLEST 1e-12
#define TRANSFORM_LARGEST  1e12
enum { TRANSFORM_MAX_PADDING = 256 };

struct transform_args {
    double scale, mean, std; /* scale 0: 1/255 for bytes, 1 for floats */
    int64_t padding;
};

/* Rows of a parameter table for a struct transform_args that begins `base` bytes into the table's struct. */
// clang-format off
#define TRANSFORM_ROWS(base, mean_text, std_text, padding_text)                                                        \
    {.name = "scale", .type = PARAM_DOUBLE, .offset = base + offsetof(struct transform_args, scale), .fallback = "0",  \
     .min = 0, .max = TRANSFORM_LARGEST,                                                                               \
     .help = "What raw values are multiplied by first; 0 means 1/255 for bytes and 1 for floats."},                    \
    {.name = "mean", .type = PARAM_DOUBLE, .offset = base + offsetof(struct transform_args, mean),                     \
     .fallback = mean_text, .min = -TRANSFORM_LARGEST, .max = TRANSFORM_LARGEST,                                       \
     .help = "What is subtracted after scaling."},                                                                     \
    {.name = "std", .type = PARAM_DOUBLE, .offset = base + offsetof(struct transform_args, std), .fallback = std_text, \
     .min = TRANSFORM_SMALLEST, .max = TRANSFORM_LARGEST,                                                              \
     .help = "What the rest is divided by."},                                                                          \
    {.name = "padding", .type = PARAM_INT, .offset = base + offsetof(struct transform_args, padding),                  \
     .fallback = padding_text, .min = 0, .max = TRANSFORM_MAX_PADDING,                                                 \
     .help = "Zeros added on each side of an image, before scaling."}
// clang-format on

static inline struct transform transform_from_args(const struct transform_args *args, enum data_type type)
{
    double scale = args->scale > 0 ? args->scale : type == DATA_U8 ? 1.0 / 255.0 : 1.0;

    return (struct transform){(float)scale, (float)args->mean, (float)args->std, (int)args->padding};
}

#endif
