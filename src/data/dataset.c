#include "data/dataset.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

size_t data_type_size(enum data_type type)
{
    return type == DATA_U8 ? 1 : sizeof(float);
}

int dataset_shape(const struct dataset *dataset, int64_t dims[DATA_MAX_DIMS])
{
    for (int i = 0; i < dataset->num_dims; i++) {
        bool padded = dataset->num_dims >= 2 && i >= dataset->num_dims - 2;
        dims[i] = dataset->dims[i] + (padded ? 2 * (int64_t)dataset->transform.padding : 0);
    }
    return dataset->num_dims;
}

/* Where an array of n * size bytes ends when it begins at *end rounded up; false on overflow. */
static bool place_array(size_t *end, size_t n, size_t size, size_t *begin)
{
    size_t bytes;

    if (*end > SIZE_MAX - ALIGNMENT || __builtin_mul_overflow(n, size, &bytes))
        return false;
    *begin = (*end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return !__builtin_add_overflow(*begin, bytes, end);
}

static bool item_size_of(const struct dataset *dataset, size_t *item_size)
{
    *item_size = 1;
    if (dataset->num_dims < 1 || dataset->num_dims > DATA_MAX_DIMS)
        return false;
    for (int i = 0; i < dataset->num_dims; i++)
        if (dataset->dims[i] < 1 || __builtin_mul_overflow(*item_size, (size_t)dataset->dims[i], item_size))
            return false;
    return true;
}

static int map_memory(struct dataset *dataset, size_t size, struct error *err)
{
    int fd = memfd_create("flosim-data", MFD_CLOEXEC);
    void *memory = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        return FAIL(err, ERR_MEMORY, "no memory for a data set of %zu bytes: %s", size, strerror(cause));
    }
    dataset->memory = memory;
    dataset->memory_size = size;
    dataset->memory_fd = fd;
    return OK;
}

/* Where everything lies in the mapping. */
struct places {
    size_t x, targets, groups, starts, text, end;
};

static bool place_all(struct dataset *dataset, const struct dataset_need *need, struct places *at)
{
    size_t n = dataset->num_items, values = need->row, targets = need->row;
    bool fits = item_size_of(dataset, &dataset->item_size) && n <= UINT32_MAX && need->row <= UINT32_MAX;

    if (need->row == 0)
        fits = fits && !__builtin_mul_overflow(dataset->item_size, n, &values) &&
               !__builtin_mul_overflow(need->num_targets ? need->num_targets : 1, n, &targets);
    fits = fits && place_array(&at->end, values, data_type_size(dataset->type), &at->x);
    if (!need->targets_in_x)
        fits = fits && place_array(&at->end, targets, sizeof(int32_t), &at->targets);
    if (need->groups)
        fits = fits && place_array(&at->end, n, sizeof(int32_t), &at->groups);
    if (need->row)
        fits = fits && place_array(&at->end, n, sizeof(uint32_t), &at->starts);
    return fits && place_array(&at->end, need->tokens_text, 1, &at->text) && n > 0;
}

static void point_at(struct dataset *dataset, const struct dataset_need *need, const struct places *at,
                     struct dataset_fill *fill)
{
    char *memory = dataset->memory;
    void *targets = need->targets_in_x ? NULL : memory + at->targets;

    fill->x = memory + at->x;
    fill->labels = need->values ? NULL : targets;
    fill->values = need->values ? targets : NULL;
    fill->groups = need->groups ? (int32_t *)(void *)(memory + at->groups) : NULL;
    fill->starts = need->row ? (uint32_t *)(void *)(memory + at->starts) : NULL;
    fill->tokens_text = need->tokens_text ? memory + at->text : NULL;
    dataset->x = fill->x;
    dataset->labels = fill->labels;
    dataset->values = fill->values;
    dataset->num_targets = need->num_targets ? need->num_targets : 1;
    dataset->groups = fill->groups;
    dataset->starts = fill->starts;
    dataset->tokens_text = fill->tokens_text;
    dataset->tokens_text_size = need->tokens_text;
}

int dataset_alloc_for(struct dataset *dataset, const struct dataset_need *need, struct dataset_fill *fill,
                      struct error *err)
{
    struct places at = {0};

    if (!place_all(dataset, need, &at))
        return FAIL(
            err, ERR_INVALID,
            "a data set of %zu items cannot be held: between 1 and 4294967295 items of at least one value are possible",
            dataset->num_items);
    int status = map_memory(dataset, at.end, err);
    if (!status)
        point_at(dataset, need, &at, fill);
    return status;
}

int dataset_alloc(struct dataset *dataset, bool with_groups, struct dataset_fill *fill, struct error *err)
{
    return dataset_alloc_for(dataset, &(struct dataset_need){.groups = with_groups}, fill, err);
}

void dataset_seal(struct dataset *dataset)
{
    if (dataset->memory)
        mprotect(dataset->memory, dataset->memory_size, PROT_READ);
}

void dataset_fini(struct dataset *dataset)
{
    if (dataset->memory) {
        munmap(dataset->memory, dataset->memory_size);
        close(dataset->memory_fd);
    }
    memset(dataset, 0, sizeof *dataset);
}

bool dataset_has_classes(const struct dataset *dataset)
{
    return dataset->labels && dataset->num_targets == 1 && dataset->num_classes > 0 && dataset->vocabulary == 0;
}

void data_label_shares(const struct data_view *view, double *share)
{
    const struct dataset *dataset = view->dataset;

    for (int32_t c = 0; c < dataset->num_classes; c++)
        share[c] = 0.0;
    if (!dataset_has_classes(dataset))
        return;
    for (size_t i = 0; i < view->num_items; i++)
        share[dataset->labels[view->index ? view->index[i] : i]] += 1.0;
    for (int32_t c = 0; c < dataset->num_classes && view->num_items > 0; c++)
        share[c] /= (double)view->num_items;
}
