/* The arguments that say how raw values become inputs, shared by sources and data set folders. */
#ifndef FLOSIM_DATA_TRANSFORM_ARGS_H
#define FLOSIM_DATA_TRANSFORM_ARGS_H

#include "data/dataset.h"
#include "util/params.h"

#define TRANSFORM_SMALLEST 1e-12
#define TRANSFORM_LARGEST  1e12
enum { TRANSFORM_MAX_PADDING = 256 };

struct transform_args {
    double scale;                 /* 0: 1/255 for bytes, 1 for floats */
    struct double_list mean, std; /* one for all values, or one a channel; none: 0 and 1 */
    int64_t padding;
};

/* Rows of a parameter table for a struct transform_args that begins `base` bytes into the table's struct. */
// clang-format off
#define TRANSFORM_ROWS(base, mean_text, std_text, padding_text)                                                        \
    {.name = "scale", .type = PARAM_DOUBLE, .offset = base + offsetof(struct transform_args, scale), .fallback = "0",  \
     .min = 0, .max = TRANSFORM_LARGEST,                                                                               \
     .help = "What raw values are multiplied by first; 0 means 1/255 for bytes and 1 for floats."},                    \
    {.name = "mean", .type = PARAM_DOUBLES, .offset = base + offsetof(struct transform_args, mean),                     \
     .fallback = mean_text, .min = -TRANSFORM_LARGEST, .max = TRANSFORM_LARGEST,                                       \
     .help = "What is subtracted after scaling; a list has one for each channel."},                                                                     \
    {.name = "std", .type = PARAM_DOUBLES, .offset = base + offsetof(struct transform_args, std), .fallback = std_text, \
     .min = TRANSFORM_SMALLEST, .max = TRANSFORM_LARGEST,                                                              \
     .help = "What the rest is divided by; a list has one for each channel."},                                                                          \
    {.name = "padding", .type = PARAM_INT, .offset = base + offsetof(struct transform_args, padding),                  \
     .fallback = padding_text, .min = 0, .max = TRANSFORM_MAX_PADDING,                                                 \
     .help = "Zeros added on each side of an image, before scaling."}
// clang-format on

/* Set the transform of a data set whose type and dims are known. `args` NULL: nothing but the usual scale. ERR_INVALID
 * where the lists do not go with each other or with the channels. */
int transform_set(struct dataset *dataset, const struct transform_args *args, struct error *err);

/* The same after loading `path`: what does not go together is told to `diags`, and the data set is let go. */
int transform_apply(struct dataset *dataset, const struct transform_args *args, const char *path, struct diags *diags);

/* May such a transform stand with such items? */
int transform_check(const struct dataset *dataset, struct error *err);

#endif
