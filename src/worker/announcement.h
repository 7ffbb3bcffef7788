/* What a worker has to offer, put into an advert. Any thread. */
#ifndef FLOSIM_WORKER_ANNOUNCEMENT_H
#define FLOSIM_WORKER_ANNOUNCEMENT_H

#include "worker/datasets.h"
#include "worker/identity.h"
#include "worker/model_cache.h"

/* Fill datasets, models and benchmark figures with copies; client_advert_fini frees them, also after an error. */
int announcement_fill(struct client_advert *advert, const struct datasets *datasets, struct model_cache *cache,
                      struct identity *identity, struct error *err);

#endif
