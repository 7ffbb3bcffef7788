/* The model files that leaders sent: <temp_dir>/model_cache/<model_id>/<file>, and the hash of each model folder.
 * An upload is written under a temporary name outside the cache and renamed when it is whole, so a peer that breaks off
 * leaves nothing and nobody reads half a file. Names are untrusted: one path component each. Any thread. */
#ifndef FLOSIM_WORKER_MODEL_CACHE_H
#define FLOSIM_WORKER_MODEL_CACHE_H

#include "codec/advert.h"
#include "codec/model_hash.h"
#include "util/error.h"
#include "util/span.h"

struct model_cache;

enum {
    MODEL_CACHE_MAX_MODELS = 256,
    MODEL_CACHE_MAX_FILES = 256,           /* of one model */
    MODEL_CACHE_MAX_FILE_BYTES = 64 << 20, /* of one file */
};

/* Opens the cache of a worker's temp dir and hashes what is there. Blocks on files. */
int model_cache_new(struct model_cache **out, const char *temp_dir, struct error *err);
void model_cache_free(struct model_cache *cache);

/* The hash of a cached model; ERR_NOT_FOUND with what to do. */
int model_cache_hash(struct model_cache *cache, const char *model_id, char hash[MODEL_HASH_TEXT], struct error *err);

/* The folder of a model (which need not be there) in a new string; NULL when out of memory. */
char *model_cache_folder(const struct model_cache *cache, const char *model_id);

/* Copies of all (the caller frees), sorted by id. */
int model_cache_list(struct model_cache *cache, struct model_advert **out, size_t *n, struct error *err);

/* One upload: begin, chunks in order, end once. ERR_INVALID for a name that is no plain component, ERR_TOO_LARGE past
 * the bounds. Different files, and the same one twice, may be under way at once; the last one to end counts. */
struct upload;
int model_cache_begin(struct model_cache *cache, const char *model_id, const char *file_name, struct upload **out,
                      struct error *err);
int upload_write(struct upload *upload, struct span chunk, struct error *err);

/* commit: put the file into the cache and hash its model anew; else, or on failure, drop it. Frees the upload. */
int upload_end(struct upload *upload, bool commit, struct error *err);

/* Remove the whole cache (cleanup_model_cache_on_exit). */
int model_cache_clear(struct model_cache *cache, struct error *err);

#endif
