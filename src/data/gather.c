/* Gathering a batch: the one place where raw values become inputs. It runs in every training step, so it allocates
 * nothing and takes no decision per pixel: U8 goes through a table of 256 values, a border is filled row by row. */
#include <string.h>
#include <unistd.h>

#include "data/dataset.h"

/* An item seen as planes of rows; an item of one dimension is one plane of one row. */
struct geometry {
    size_t planes, rows, columns, border;
    size_t out_size; /* values of one shaped item */
};

static struct geometry geometry_of(const struct dataset *dataset)
{
    struct geometry g = {.planes = 1, .rows = 1, .border = 0};
    int last = dataset->num_dims - 1;

    g.columns = (size_t)dataset->dims[last];
    if (last >= 1) {
        g.rows = (size_t)dataset->dims[last - 1];
        g.border = (size_t)dataset->transform.padding;
    }
    g.planes = dataset->item_size / (g.rows * g.columns);
    g.out_size = g.planes * (g.rows + 2 * g.border) * (g.columns + 2 * g.border);
    return g;
}

/* The transform of one plane. */
struct affine {
    float scale, mean, std;
};

static inline struct affine affine_of(const struct transform *t, size_t plane)
{
    size_t c = t->num_channels > 1 ? plane % (size_t)t->num_channels : 0;

    return (struct affine){t->scale, t->mean[c], t->std[c]};
}

static inline float transformed(struct affine t, float raw)
{
    return (raw * t.scale - t.mean) / t.std;
}

static inline float *fill(float *restrict out, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        out[i] = value;
    return out + n;
}

static inline float *copy_u8(float *restrict out, const uint8_t *restrict raw, size_t n, const float *restrict table)
{
    for (size_t i = 0; i < n; i++)
        out[i] = table[raw[i]];
    return out + n;
}

static inline float *copy_f32(float *restrict out, const float *restrict raw, size_t n, struct affine t)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (raw[i] * t.scale - t.mean) / t.std;
    return out + n;
}

/* What U8 values become, channel by channel: 256 values each. */
struct tables {
    float of[DATA_MAX_CHANNELS][256];
    size_t num_channels;
};

static void tables_init(struct tables *tables, const struct transform *t)
{
    tables->num_channels = t->num_channels > 1 ? (size_t)t->num_channels : 1;
    for (size_t c = 0; c < tables->num_channels; c++)
        for (int i = 0; i < 256; i++)
            tables->of[c][i] = transformed(affine_of(t, c), (float)i);
}

static void shape_u8(const struct geometry *g, const uint8_t *raw, const struct tables *tables, float *out)
{
    size_t edge = g->border * (g->columns + 2 * g->border);

    if (g->border == 0 && tables->num_channels == 1) {
        copy_u8(out, raw, g->out_size, tables->of[0]);
        return;
    }
    for (size_t p = 0; p < g->planes; p++) {
        const float *table = tables->of[p % tables->num_channels];
        out = fill(out, edge, table[0]);
        for (size_t r = 0; r < g->rows; r++, raw += g->columns) {
            out = fill(out, g->border, table[0]);
            out = copy_u8(out, raw, g->columns, table);
            out = fill(out, g->border, table[0]);
        }
        out = fill(out, edge, table[0]);
    }
}

static void shape_f32(const struct geometry *g, const float *raw, const struct transform *t, float *out)
{
    size_t edge = g->border * (g->columns + 2 * g->border);

    if (g->border == 0 && t->num_channels <= 1) {
        copy_f32(out, raw, g->out_size, affine_of(t, 0));
        return;
    }
    for (size_t p = 0; p < g->planes; p++) {
        struct affine affine = affine_of(t, p);
        float zero = transformed(affine, 0.0f);
        out = fill(out, edge, zero);
        for (size_t r = 0; r < g->rows; r++, raw += g->columns) {
            out = fill(out, g->border, zero);
            out = copy_f32(out, raw, g->columns, affine);
            out = fill(out, g->border, zero);
        }
        out = fill(out, edge, zero);
    }
}

static inline size_t item_at(const struct data_view *view, const uint32_t *order, size_t i)
{
    size_t at = order ? order[i] : i;

    return view->index ? view->index[at] : at;
}

/* Small items picked here and there are read through the file behind the mapping: touching one through the mapping
 * would map 16 pages around it, and after a few hundred a client would carry the whole shared set in its page tables.
 */
enum { PICKED_MAX = 16384 };

struct picker {
    const struct dataset *dataset;
    size_t item_bytes;
    bool through_file;
    _Alignas(float) char copy[PICKED_MAX];
};

static void picker_init(struct picker *picker, const struct data_view *view, const uint32_t *order)
{
    const struct dataset *dataset = view->dataset;

    picker->dataset = dataset;
    picker->item_bytes = dataset->item_size * data_type_size(dataset->type);
    picker->through_file = dataset->memory && picker->item_bytes <= PICKED_MAX && (order || view->index);
}

/* `size` bytes at `mapped`: there, or in picker->copy. */
static const void *picker_read(struct picker *picker, const void *mapped, size_t size)
{
    const struct dataset *dataset = picker->dataset;

    if (!picker->through_file || size > PICKED_MAX)
        return mapped;
    off_t at = (const char *)mapped - (const char *)dataset->memory;
    return pread(dataset->memory_fd, picker->copy, size, at) == (ssize_t)size ? picker->copy : mapped;
}

static const void *picker_item(struct picker *picker, size_t item)
{
    const struct dataset *dataset = picker->dataset;
    size_t at_value = dataset->starts ? dataset->starts[item] : item * dataset->item_size;

    return picker_read(picker, (const char *)dataset->x + at_value * data_type_size(dataset->type), picker->item_bytes);
}

static void copy_i32(float *restrict out, const int32_t *restrict raw, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)raw[i];
}

/* Single labels lie close together; targets in a row of text are as far apart as its items. */
static void copy_targets(struct picker *picker, size_t item, int32_t *labels, float *values)
{
    const struct dataset *dataset = picker->dataset;
    size_t n = dataset->num_targets, at = dataset->starts ? dataset->starts[item] : item * n;
    const void *from = dataset->values ? (const void *)(dataset->values + at) : dataset->labels + at;
    size_t size = n * sizeof(int32_t);

    _Static_assert(sizeof *labels == sizeof *values, "targets are of one size");
    if (n > 1 || dataset->starts)
        from = picker_read(picker, from, size);
    memcpy(dataset->values ? (void *)values : labels, from, size);
}

void data_gather(const struct data_view *view, const uint32_t *order, size_t first, size_t count, float *x,
                 int32_t *labels, float *values)
{
    const struct dataset *dataset = view->dataset;
    struct geometry g = geometry_of(dataset);
    struct picker picker;
    struct tables tables;

    picker_init(&picker, view, order);
    if (dataset->type == DATA_U8)
        tables_init(&tables, &dataset->transform);
    for (size_t i = 0; i < count; i++) {
        size_t item = item_at(view, order, first + i);
        const void *raw = picker_item(&picker, item);
        float *out = x + i * g.out_size;
        if (dataset->type == DATA_U8)
            shape_u8(&g, raw, &tables, out);
        else if (dataset->type == DATA_I32)
            copy_i32(out, raw, g.out_size);
        else
            shape_f32(&g, raw, &dataset->transform, out);
        copy_targets(&picker, item, labels ? labels + i * dataset->num_targets : NULL,
                     values ? values + i * dataset->num_targets : NULL);
    }
}

bool data_follows(const struct data_view *view, size_t i)
{
    const struct dataset *dataset = view->dataset;
    size_t a = view->index ? view->index[i - 1] : i - 1, b = view->index ? view->index[i] : i;

    if (dataset->groups && dataset->groups[a] != dataset->groups[b])
        return false;
    return dataset->starts ? dataset->starts[b] == dataset->starts[a] + dataset->item_size : b == a + 1;
}
