/* The sources of data, one row each. */
#include <string.h>

#include "data/source.h"

extern const struct source_ops source_fashion_mnist, source_idx, source_cifar10, source_cifar100, source_synthetic,
    source_safetensors, source_npz, source_text, source_csv;

// clang-format off
const struct source_ops *const data_sources[] = {
    &source_fashion_mnist,
    &source_idx,
    &source_cifar10,
    &source_cifar100,
    &source_synthetic,
    &source_safetensors,
    &source_npz,
    &source_text,
    &source_csv,
    NULL,
};
// clang-format on

const struct source_ops *data_source_find(const char *name)
{
    for (size_t i = 0; data_sources[i]; i++)
        if (strcmp(data_sources[i]->name, name) == 0)
            return data_sources[i];
    return NULL;
}

void data_pair_fini(struct data_pair *pair)
{
    dataset_fini(&pair->train);
    dataset_fini(&pair->validation);
}

static int check_shapes(const struct data_pair *pair, const char *validation_path, struct diags *diags)
{
    int64_t train[DATA_MAX_DIMS], validation[DATA_MAX_DIMS];

    if (pair->validation.num_items == 0)
        return OK;
    int n = dataset_shape(&pair->train, train);
    if (dataset_shape(&pair->validation, validation) == n && memcmp(train, validation, (size_t)n * sizeof *train) == 0)
        return OK;
    diag_error(diags, (struct diag_place){validation_path, 0, 0},
               "the validation items have another shape than the training items: the files do not belong together");
    return ERR_INVALID;
}

int data_pair_load(int (*load_part)(const void *args, bool validation, int32_t classes, struct dataset *out,
                                    struct diags *diags),
                   const void *args, int32_t classes, const char *validation_path, struct data_pair *out,
                   struct diags *diags)
{
    memset(out, 0, sizeof *out);
    int status = load_part(args, false, classes, &out->train, diags);
    if (validation_path) {
        int second = load_part(args, true, status ? classes : out->train.num_classes, &out->validation, diags);
        status = status ? status : second;
    }
    if (!status)
        status = check_shapes(out, validation_path, diags);
    if (status)
        data_pair_fini(out);
    return status;
}
