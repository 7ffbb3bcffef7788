/* What the sources cifar10 and cifar100 share: a folder, the names of its files, the transform. Private to them. */
#ifndef FLOSIM_DATA_SOURCE_CIFAR_H
#define FLOSIM_DATA_SOURCE_CIFAR_H

#include "data/cifar.h"
#include "data/source.h"
#include "data/transform_args.h"

struct cifar_args {
    char *path;
    struct string_list train, validation; /* files in it */
    struct transform_args transform;
    int labels; /* of CIFAR-100: 0 fine, 1 coarse */
};

// clang-format off
#define CIFAR_ROWS(folder, train_names, validation_names)                                                              \
    {.name = "path", .type = PARAM_STRING, .offset = offsetof(struct cifar_args, path), .flags = PARAM_REQUIRED | PARAM_FILE,       \
     .help = "Folder of the binary version's files, " folder " (.gz or plain)."},                                      \
    {.name = "train", .type = PARAM_STRINGS, .offset = offsetof(struct cifar_args, train), .fallback = train_names,    \
     .help = "Its files with training images."},                                                                       \
    {.name = "validation", .type = PARAM_STRINGS, .offset = offsetof(struct cifar_args, validation),                   \
     .fallback = validation_names, .help = "Its files with validation images; an empty list: none."}
// clang-format on

int cifar_source_load(enum cifar_kind kind, const char *name, const struct cifar_args *args, struct data_pair *out,
                      struct diags *diags);

#endif
