#include "worker/announcement.h"

#include <stdlib.h>
#include <string.h>

static int copy_dataset(const struct dataset_advert *from, struct dataset_advert *to)
{
    *to = *from;
    to->details_json = strdup(from->details_json);
    to->labels = malloc(from->num_labels * sizeof *to->labels + 1);
    if (!to->details_json || !to->labels)
        return ERR_MEMORY;
    memcpy(to->labels, from->labels, from->num_labels * sizeof *to->labels);
    return OK;
}

static int copy_datasets(struct client_advert *advert, const struct datasets *datasets, struct error *err)
{
    size_t n = datasets_count(datasets);

    advert->datasets = calloc(n + 1, sizeof *advert->datasets);
    if (!advert->datasets)
        return FAIL(err, ERR_MEMORY, "out of memory for an advert");
    for (size_t i = 0; i < n; i++) {
        advert->num_datasets = i + 1;
        if (copy_dataset(datasets_advert(datasets, i), &advert->datasets[i]))
            return FAIL(err, ERR_MEMORY, "out of memory for an advert");
    }
    return OK;
}

int announcement_fill(struct client_advert *advert, const struct datasets *datasets, struct model_cache *cache,
                      struct identity *identity, struct error *err)
{
    int status = copy_datasets(advert, datasets, err);

    if (!status)
        status = model_cache_list(cache, &advert->models, &advert->num_models, err);
    if (!status)
        status = identity_benchmarks(identity, &advert->benchmarks, &advert->num_benchmarks, err);
    return status;
}
