/* Checks that every reader of labels makes: none negative, none beyond the number of classes. Pure. */
#ifndef FLOSIM_DATA_LABELS_H
#define FLOSIM_DATA_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { DATA_MAX_CLASSES = 65536 };

struct label_places { /* where the labels stand in their file, for messages */
    uint64_t first_byte;
    size_t width;
};

/* *num_classes 0 is replaced by the largest label + 1. ERR_INVALID names the first bad item and its byte. */
int labels_check(const int32_t *labels, size_t n, const struct label_places *places, int32_t *num_classes,
                 struct error *err);

#endif
