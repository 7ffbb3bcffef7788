/* IDX, the format of MNIST and its successors (http://yann.lecun.com/exdb/mnist): two zero bytes, a type, the number of
 * dimensions, the dimensions as big-endian 32-bit numbers, the values. Plain or .gz.
 * Images are U8 or F32; labels are U8 or 32-bit integers of one dimension. */
#ifndef FLOSIM_DATA_IDX_H
#define FLOSIM_DATA_IDX_H

#include "data/byte_reader.h"
#include "data/dataset.h"
#include "util/params.h"

enum { IDX_U8 = 0x08, IDX_I32 = 0x0c, IDX_F32 = 0x0d, IDX_MAX_DIMS = DATA_MAX_DIMS };

struct idx_args {
    bool transpose;       /* images lie column by column, as EMNIST's do */
    int64_t label_offset; /* the label that class 0 bears in the file: 1 in EMNIST's letters */
};

// clang-format off
#define IDX_ROWS(base)                                                                                                 \
    {.name = "transpose", .type = PARAM_BOOL, .offset = base + offsetof(struct idx_args, transpose),                   \
     .fallback = "false", .help = "Images lie column by column in the file, as EMNIST's do: turn them upright."},      \
    {.name = "label_offset", .type = PARAM_INT, .offset = base + offsetof(struct idx_args, label_offset),              \
     .fallback = "0", .min = 0, .max = 65535,                                                                          \
     .help = "The label of the first class in the file, subtracted from all: 1 for EMNIST letters."}
// clang-format on

struct idx_header {
    int type; /* IDX_… */
    int num_dims;
    uint32_t dims[IDX_MAX_DIMS];
    uint64_t num_bytes; /* of the values */
};

/* Read and check the header: known type, 1 to 4 dimensions, none zero, and no more values than the file can hold.
 * ERR_CORRUPT or ERR_UNIMPLEMENTED with `byte N: …`. Pure. */
int idx_read_header(struct byte_reader *reader, struct idx_header *out, struct error *err);

/* Fill a data set from the images of an image file and the labels of a label file (borrowed spans). The caller has set
 * name and num_classes (0: the largest label + 1). `args` NULL: as the file has it. Pure. On failure `*culprit` is 0
 * when the images are to blame, 1 when the labels are, and nothing is held. */
int idx_decode(struct span images, struct span labels, const struct idx_args *args, struct dataset *out, int *culprit,
               struct error *err);

/* The same from files; every failure goes to `diags` with its file and `remedy` (a sentence such as "fetch it again").
 * labels_path NULL: the image file's name with `labels` for `images` and `idx1` for `idx3`. */
int idx_load(const char *images_path, const char *labels_path, const struct idx_args *args, const char *remedy,
             struct dataset *out, struct diags *diags);

/* The name of the label file that belongs to an image file; new string, NULL where the name has no `images`, or when
 * out of memory. */
char *idx_labels_path(const char *images_path);

#endif
