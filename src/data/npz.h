/* NumPy's files (numpy.lib.format 1.0 to 3.0): .npz with x, y and perhaps group, as numpy.savez and savez_compressed
 * write it; .npy with x, whose y lies beside it (data_x.npy, data_y.npy). Read: u1, i4, i8, f2, f4, f8, little-endian,
 * C order. Nothing is ever unpickled. */
#ifndef FLOSIM_DATA_NPZ_H
#define FLOSIM_DATA_NPZ_H

#include "data/arrays.h"
#include "util/diag.h"

/* One array from a .npy image (borrowed by out->bytes). Places in messages count from `base`. Pure. */
int npy_parse(struct span image, const char *name, uint64_t base, struct data_array *out, struct error *err);

/* Fill a data set from an archive's image; as arrays_fill. Pure. On failure nothing is held. */
int npz_decode(struct span image, struct dataset *out, struct error *err);

/* The same from a file, .npz or .npy; failures go to `diags`. */
int npz_load(const char *path, struct dataset *out, struct diags *diags);

#endif
