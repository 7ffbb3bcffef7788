/* A data set: items and labels in one read-only block of memory, possibly shared by thousands of processes.
 * Items are stored as they came (U8 pixels or F32) and are transformed while a batch is gathered:
 * zero padding in the raw domain, then (raw * scale - mean) / std. Immutable; any thread, any process after fork. */
#ifndef FLOSIM_DATA_DATASET_H
#define FLOSIM_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"
#include "util/error.h"

enum { DATA_MAX_DIMS = 4, DATA_MAX_CHANNELS = 4 };

enum data_type { DATA_U8, DATA_F32, DATA_I32 /* tokens; never transformed */ };

struct transform { /* value = (raw * scale - mean) / std */
    float scale;
    int padding;      /* zeros added on each side of H and W, in the raw domain */
    int num_channels; /* of mean and std: 1 for all alike, else that of the items [C, H, W] */
    float mean[DATA_MAX_CHANNELS], std[DATA_MAX_CHANNELS];
};

/* One scale, mean and deviation for all values. */
static inline struct transform transform_plain(float scale, float mean, float std, int padding)
{
    return (struct transform){.scale = scale, .padding = padding, .num_channels = 1, .mean = {mean}, .std = {std}};
}

struct dataset {
    char name[64];
    size_t num_items;
    int num_dims;                /* of one raw item */
    int64_t dims[DATA_MAX_DIMS]; /* raw: [1, 28, 28] or [60] */
    size_t item_size;            /* raw values of an item */
    enum data_type type;
    const void *x;         /* [num_items, item_size] */
    const int32_t *labels; /* [num_items, num_targets]; NULL where `values` are given */
    const float *values;   /* [num_items, num_targets]: what to predict where that is no class; else NULL */
    size_t num_targets;    /* labels or values of one item; 1 except for sequences and forecasts */
    /* Items cut out of one long row (windows of text, of a series): item i begins at raw value starts[i] of x, and its
     * targets at starts[i] of labels or values. NULL: items lie one after the other. */
    const uint32_t *starts;
    int64_t vocabulary; /* of tokens (DATA_I32); 0: not tokens */
    /* What the tokens mean: one a line, as vocabulary.h writes them; not terminated. NULL where nobody knows. */
    const char *tokens_text;
    size_t tokens_text_size;
    const int32_t *groups; /* [num_items]: the natural client of each item; NULL where the data has none */
    int32_t num_classes;
    struct transform transform;
    void *memory; /* the mapping that holds it all, or NULL; owned */
    size_t memory_size;
    int memory_fd; /* the file behind the mapping; owned; only where memory is not NULL */
};

/* How data_gather will shape one item: dims with padding; returns num_dims. */
int dataset_shape(const struct dataset *dataset, int64_t dims[DATA_MAX_DIMS]);

/* Allocate what a data set of a known size needs in one shared mapping (of a memfd: one copy however many processes
 * fork from here). name, num_items, dims, type, num_classes and transform are set by the caller before. The writable
 * pointers are returned. */
struct dataset_need {
    bool groups;
    bool values;        /* targets are values, not labels */
    size_t num_targets; /* of an item; 0: one */
    size_t row; /* raw values of the row that items are cut out of (`starts`); 0: items lie one after the other */
    bool targets_in_x;  /* tokens predict tokens: no targets of their own, the caller points `labels` into x */
    size_t tokens_text; /* bytes */
};
struct dataset_fill {
    void *x;
    int32_t *labels, *groups;
    float *values;
    uint32_t *starts;
    char *tokens_text;
};
int dataset_alloc_for(struct dataset *dataset, const struct dataset_need *need, struct dataset_fill *fill,
                      struct error *err);

/* The usual: items one after the other, one label each. */
int dataset_alloc(struct dataset *dataset, bool with_groups, struct dataset_fill *fill, struct error *err);

/* Make the filled mapping read-only: a stray write in any process faults instead of spoiling everybody's data. */
void dataset_seal(struct dataset *dataset);
void dataset_fini(struct dataset *dataset);

/* Bytes of one raw value. */
size_t data_type_size(enum data_type type);

/* A part of a data set: index list over shared items. `index` NULL: all items in order. */
struct data_view {
    const struct dataset *dataset;
    const uint32_t *index;
    size_t num_items;
};

/* Does a label tell what an item is? Schemes that deal by label need it. */
bool dataset_has_classes(const struct dataset *dataset);

/* Fill x [count, shape] and labels or values [count, num_targets] (whichever the data has; the other may be NULL) with
 * the view's items order[first], order[first + 1] … (order NULL: first, first + 1, …). Allocates nothing. */
void data_gather(const struct data_view *view, const uint32_t *order, size_t first, size_t count, float *x,
                 int32_t *labels, float *values);

/* Does item i of the view go on where item i - 1 ended, in the same text or series? 0 < i < num_items. */
bool data_follows(const struct data_view *view, size_t i);

/* Fractions of each label in the view: fills share [num_classes]. */
void data_label_shares(const struct data_view *view, double *share);

#endif
