/* Products whose rows of tiles a team shares out. */
#ifndef FLOSIM_NN_KERNELS_SHARE_H
#define FLOSIM_NN_KERNELS_SHARE_H

#include "nn/kernels/kernels.h"
#include "nn/team.h"

/* product_run, of weights as they lie. The same result for any team; NULL: the calling thread alone. */
void product_share(struct team *team, const product_tiles *tiles, struct tiling tiling, const struct product *whole);

#endif
