#include "nn/kernels/share.h"

struct job {
    const product_tiles *tiles;
    struct tiling tiling;
    const struct product *whole;
};

/* Part: a row of tiles. */
static void run_row(const void *context, size_t i)
{
    const struct job *job = context;
    int row = tiling_begin(job->tiling.rows, job->tiling.row_tiles, (int)i);
    struct tiling tiling = job->tiling;
    struct product part = *job->whole;

    tiling.rows = tiling_begin(job->tiling.rows, job->tiling.row_tiles, (int)i + 1) - row;
    tiling.row_tiles = 1;
    part.a += row * part.a_row;
    part.c += row * part.c_row;
    if (part.bias)
        part.bias += row;
    product_run(job->tiles, tiling, &part, false);
}

void product_share(struct team *team, const product_tiles *tiles, struct tiling tiling, const struct product *whole)
{
    struct job job = {tiles, tiling, whole};

    team_run(team, (size_t)tiling.row_tiles, 2.0 * LANES * whole->length * tiling.rows * tiling.cols, run_row, &job);
}
