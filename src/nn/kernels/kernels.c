#include "nn/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

static bool supported(const struct kernels *kernels)
{
#if defined(__x86_64__)
    if (kernels == &kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma");
    if (kernels == &kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return kernels == &kernels_generic;
}

const struct kernels *kernels_best(void)
{
    static const struct kernels *const sets[] = {
#if defined(__x86_64__)
        &kernels_avx512,
        &kernels_avx2,
#endif
        &kernels_generic,
    };
    enum { NUM_SETS = sizeof sets / sizeof *sets };
    const char *wanted = getenv("FLOSIM_KERNELS");

    for (size_t i = 0; i < NUM_SETS && wanted; i++)
        if (strcmp(sets[i]->name, wanted) == 0 && supported(sets[i]))
            return sets[i];
    for (size_t i = 0; i < NUM_SETS; i++)
        if (supported(sets[i]))
            return sets[i];
    return &kernels_generic;
}

/* Cycles of a rows x cols tile per step of its inner loop, in halves: two multiply-adds or two loads begin per cycle,
 * and eight multiply-adds must be under way at once to hide their latency. */
static int tile_cost(int rows, int cols)
{
    int work = rows * cols, loads = rows + cols;
    int cost = work > loads ? work : loads;

    return cost > 8 ? cost : 8;
}

struct tiling tiling_choose(const struct kernels *kernels, int rows, int cols)
{
    struct tiling best = {rows, cols, rows, cols};
    int64_t best_cost = INT64_MAX;

    for (int width = 1; width <= TILE_MAX_COLS; width++) {
        for (int height = 1; height <= kernels->max_rows[width]; height++) {
            struct tiling tiling = {rows, cols, (rows + height - 1) / height, (cols + width - 1) / width};
            int tile_rows = (rows + tiling.row_tiles - 1) / tiling.row_tiles;
            int tile_cols = (cols + tiling.col_tiles - 1) / tiling.col_tiles;
            int64_t cost = (int64_t)tiling.row_tiles * tiling.col_tiles * (tile_cost(tile_rows, tile_cols) + 1);

            if (cost < best_cost) {
                best_cost = cost;
                best = tiling;
            }
        }
    }
    return best;
}

void product_run(const product_tiles *tiles, struct tiling tiling, const struct product *whole, bool packed)
{
    for (int i = 0; i < tiling.row_tiles; i++) {
        int row = tiling_begin(tiling.rows, tiling.row_tiles, i);
        int rows = tiling_begin(tiling.rows, tiling.row_tiles, i + 1) - row;
        struct product part = *whole;

        part.a += packed ? (ptrdiff_t)row * whole->length : row * whole->a_row;
        if (packed)
            part.a_step = rows;
        if (whole->bias)
            part.bias += row;
        for (int j = 0; j < tiling.col_tiles; j++) {
            int col = tiling_begin(tiling.cols, tiling.col_tiles, j);
            int cols = tiling_begin(tiling.cols, tiling.col_tiles, j + 1) - col;

            part.b = whole->b + col * whole->b_col;
            part.c = whole->c + row * whole->c_row + col * whole->c_col;
            (*tiles)[rows][cols](&part);
        }
    }
}

void tiling_pack(struct tiling tiling, const float *a, ptrdiff_t a_row, ptrdiff_t a_step, int length, float *out)
{
    for (int i = 0; i < tiling.row_tiles; i++) {
        int begin = tiling_begin(tiling.rows, tiling.row_tiles, i);
        int end = tiling_begin(tiling.rows, tiling.row_tiles, i + 1);

        for (int r = 0; r < length; r++)
            for (int row = begin; row < end; row++)
                *out++ = a[row * a_row + r * a_step];
    }
}
