/* Who this worker is across restarts: its id and benchmark figures, in temp_dir_path/client_info.yaml, and the lock
 * that keeps two workers out of one folder. Any thread, except new and free. */
#ifndef FLOSIM_WORKER_IDENTITY_H
#define FLOSIM_WORKER_IDENTITY_H

#include "codec/advert.h"
#include "util/error.h"

struct identity;

/* Opens (or makes) the folder and takes its lock: ERR_SETUP where another worker has it. `client_id` NULL: the id of
 * the file, or a new one that is written there. A damaged file is ERR_INVALID with its place. Blocks on files. */
int identity_new(struct identity **out, const char *temp_dir, const char *client_id, struct error *err);

/* Gives the lock back; the file stays. */
void identity_free(struct identity *identity);

const char *identity_id(const struct identity *identity);

/* Remember a benchmark (replacing the model's former one) and write the file. Blocks on it. ERR_TOO_LARGE when 256
 * models have figures already. */
int identity_record_benchmark(struct identity *identity, const struct bench_advert *figures, struct error *err);

/* Copies of all figures in *out (the caller frees) and their number. */
int identity_benchmarks(struct identity *identity, struct bench_advert **out, size_t *n, struct error *err);

/* Remove client_info.yaml and the lock file (cleanup_temp_on_exit). */
void identity_forget(struct identity *identity);

#endif
