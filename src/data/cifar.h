/* CIFAR-10 and CIFAR-100, the binary versions (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label byte
 * (CIFAR-10), or a coarse and a fine one (CIFAR-100), and 3 * 32 * 32 pixels, red, green, blue, row by row. Plain or
 * .gz. There is no head: a file is as many records as fit. */
#ifndef FLOSIM_DATA_CIFAR_H
#define FLOSIM_DATA_CIFAR_H

#include "data/dataset.h"
#include "util/span.h"

enum cifar_kind { CIFAR_10, CIFAR_100_FINE, CIFAR_100_COARSE };

/* Fill a data set from the images of `n` files (borrowed), one after the other. Sets type, dims,
 * labels and num_classes (10, 100, 20); the caller sets name and transform. Pure. On failure `*culprit` is the file to
 * blame and nothing is held. */
int cifar_decode(enum cifar_kind kind, const struct span *files, size_t n, struct dataset *out, size_t *culprit,
                 struct error *err);

/* The same from files; failures go to `diags` with their file and `remedy`. */
int cifar_load(enum cifar_kind kind, const char *const *paths, size_t n, const char *remedy, struct dataset *out,
               struct diags *diags);

/* Bytes of a file's records, unpacked; a .gz tells only when it has been read. */
int cifar_size_of(const char *path, uint64_t *size, struct error *err);

/* What a file is by its size (unpacked) and name: CIFAR-100's are called train.bin and test.bin (.gz or plain). false:
 * neither. */
bool cifar_kind_of(const char *path, uint64_t size, enum cifar_kind *kind);

#endif
