#include <criterion/criterion.h>

#include "nn/plan.h"
#include "util/rng.h"

enum { N = 40 };

Test(plan, buffers_that_live_together_never_overlap)
{
    struct rng rng;

    rng_init(&rng, 1, "test", "plan", 0);
    for (int round = 0; round < 200; round++) {
        struct plan_buffer buffers[N];
        size_t order[N], total, sum = 0;

        for (int i = 0; i < N; i++) {
            buffers[i].size = rng_below(&rng, 100) * rng_below(&rng, 2);
            buffers[i].first = (int)rng_below(&rng, 50);
            buffers[i].last = buffers[i].first + (int)rng_below(&rng, 10);
            sum += (buffers[i].size + 15) / 16 * 16;
        }
        total = plan_place(buffers, N, order);
        cr_assert_leq(total, sum);
        for (int i = 0; i < N; i++) {
            cr_assert_eq(buffers[i].offset % 16, 0);
            cr_assert_leq(buffers[i].offset + buffers[i].size, total);
            for (int j = 0; j < i; j++) {
                const struct plan_buffer *a = &buffers[i], *b = &buffers[j];
                int together = a->first <= b->last && b->first <= a->last && a->size && b->size;

                cr_assert(!together || a->offset + a->size <= b->offset || b->offset + b->size <= a->offset);
            }
        }
    }
}

Test(plan, a_chain_needs_two_places)
{
    struct plan_buffer buffers[5];
    size_t order[5];

    for (int i = 0; i < 5; i++)
        buffers[i] = (struct plan_buffer){.size = 160, .first = i, .last = i + 1};
    cr_assert_eq(plan_place(buffers, 5, order), 320);
}
