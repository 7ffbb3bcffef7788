#include "nn/plan.h"

#include <stdbool.h>

enum { ALIGNMENT = 16 };

static void sort_by_size(const struct plan_buffer *buffers, size_t n, size_t *order)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = i;

        for (; j > 0 && buffers[order[j - 1]].size < buffers[i].size; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
}

static bool live_together(const struct plan_buffer *a, const struct plan_buffer *b)
{
    return a->size > 0 && b->size > 0 && a->first <= b->last && b->first <= a->last;
}

static size_t end_of(const struct plan_buffer *buffer)
{
    return (buffer->offset + buffer->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The lowest place that is free of the `placed` ones: move up past each collision until none is left. */
static size_t lowest_place(const struct plan_buffer *buffers, const size_t *placed, size_t num_placed,
                           struct plan_buffer *wanted)
{
    bool moved = true;

    wanted->offset = 0;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < num_placed; i++) {
            const struct plan_buffer *other = &buffers[placed[i]];

            if (live_together(wanted, other) && wanted->offset < end_of(other) && other->offset < end_of(wanted)) {
                wanted->offset = end_of(other);
                moved = true;
            }
        }
    }
    return end_of(wanted);
}

size_t plan_place(struct plan_buffer *buffers, size_t n, size_t *order)
{
    size_t total = 0;

    sort_by_size(buffers, n, order);
    for (size_t i = 0; i < n; i++) {
        size_t end = lowest_place(buffers, order, i, &buffers[order[i]]);

        total = end > total ? end : total;
    }
    return total;
}
