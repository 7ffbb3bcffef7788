/* The network that was loaded last, kept while requests ask for the same one. Compute thread only. */
#ifndef FLOSIM_WORKER_CACHED_MODEL_H
#define FLOSIM_WORKER_CACHED_MODEL_H

#include "nn/model.h"
#include "worker/model_cache.h"

struct cached_model {
    struct model *model; /* NULL: none yet */
    char hash[MODEL_HASH_TEXT];
    char *id, *class, *args;
};

void cached_model_fini(struct cached_model *cached);

/* Make `cached` hold the network of model_id as the cache's files and the request's JSON `config` (its model_args)
 * describe it. ERR_NOT_FOUND: no such files; ERR_INVALID: what is wrong with them or with the JSON;
 * ERR_UNIMPLEMENTED: `config` is a pickle. */
int cached_model_use(struct cached_model *cached, struct model_cache *cache, const char *model_id,
                     const char *model_class, struct span config, struct error *err);

/* ERR_UNIMPLEMENTED where the bytes of a field are a Python pickle, else OK. */
int refuse_pickle(struct span bytes, const char *field, struct error *err);

#endif
