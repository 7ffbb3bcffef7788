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

static inline float transformed(const struct transform *t, float raw)
{
    return (raw * t->scale - t->mean) / t->std;
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

static inline float *copy_f32(float *restrict out, const float *restrict raw, size_t n, struct transform t)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (raw[i] * t.scale - t.mean) / t.std;
    return out + n;
}

static void shape_u8(const struct geometry *g, const uint8_t *raw, const float *table, float *out)
{
    size_t edge = g->border * (g->columns + 2 * g->border);

    if (g->border == 0) {
        copy_u8(out, raw, g->out_size, table);
        return;
    }
    for (size_t p = 0; p < g->planes; p++) {
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
    float zero = transformed(t, 0.0f);

    if (g->border == 0) {
        copy_f32(out, raw, g->out_size, *t);
        return;
    }
    for (size_t p = 0; p < g->planes; p++) {
        out = fill(out, edge, zero);
        for (size_t r = 0; r < g->rows; r++, raw += g->columns) {
            out = fill(out, g->border, zero);
            out = copy_f32(out, raw, g->columns, *t);
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

static const void *picker_item(struct picker *picker, size_t item)
{
    const struct dataset *dataset = picker->dataset;
    size_t at_value = dataset->starts ? dataset->starts[item] : item * dataset->item_size;
    const char *mapped = (const char *)dataset->x + at_value * data_type_size(dataset->type);

    if (!picker->through_file)
        return mapped;
    off_t at = mapped - (const char *)dataset->memory;
    ssize_t got = pread(dataset->memory_fd, picker->copy, picker->item_bytes, at);
    return got == (ssize_t)picker->item_bytes ? picker->copy : mapped;
}

static void copy_i32(float *restrict out, const int32_t *restrict raw, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)raw[i];
}

static void copy_targets(const struct dataset *dataset, size_t item, int32_t *labels, float *values)
{
    size_t n = dataset->num_targets, at = dataset->starts ? dataset->starts[item] : item * n;

    if (dataset->values)
        memcpy(values, dataset->values + at, n * sizeof *values);
    else
        memcpy(labels, dataset->labels + at, n * sizeof *labels);
}

void data_gather(const struct data_view *view, const uint32_t *order, size_t first, size_t count, float *x,
                 int32_t *labels, float *values)
{
    const struct dataset *dataset = view->dataset;
    struct geometry g = geometry_of(dataset);
    struct picker picker;
    float table[256];

    picker_init(&picker, view, order);
    for (int i = 0; i < 256 && dataset->type == DATA_U8; i++)
        table[i] = transformed(&dataset->transform, (float)i);
    for (size_t i = 0; i < count; i++) {
        size_t item = item_at(view, order, first + i);
        const void *raw = picker_item(&picker, item);
        float *out = x + i * g.out_size;
        if (dataset->type == DATA_U8)
            shape_u8(&g, raw, table, out);
        else if (dataset->type == DATA_I32)
            copy_i32(out, raw, g.out_size);
        else
            shape_f32(&g, raw, &dataset->transform, out);
        copy_targets(dataset, item, labels ? labels + i * dataset->num_targets : NULL,
                     values ? values + i * dataset->num_targets : NULL);
    }
}
