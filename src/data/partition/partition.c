#include "data/partition.h"

#include <stdio.h>
#include <stdlib.h>

/* The remedy names only numbers that would do. */
static int too_few(size_t n, size_t num_clients, size_t samples_per_client, struct error *err)
{
    size_t samples = n / num_clients, clients = n / samples_per_client;
    char remedy[128] = "";

    if (samples && clients)
        snprintf(remedy, sizeof remedy, "; take samples_per_client %zu or less, or at most %zu clients", samples,
                 clients);
    else if (samples)
        snprintf(remedy, sizeof remedy, "; take samples_per_client %zu or less", samples);
    else
        snprintf(remedy, sizeof remedy, "; take at most %zu clients%s", clients ? clients : n,
                 clients ? "" : " and samples_per_client 1");
    return FAIL(err, ERR_INVALID,
                "%zu clients with samples_per_client %zu need more than the %zu training items that there are%s",
                num_clients, samples_per_client, n, remedy);
}

/* The pool: all items, or clients × samples_per_client of them at random. `index` is new, or NULL for all. */
static int draw_pool(const struct dataset *dataset, size_t num_clients, size_t samples_per_client, struct rng *rng,
                     struct data_view *pool, uint32_t **index, struct error *err)
{
    size_t n = dataset->num_items, wanted = n;

    *index = NULL;
    *pool = (struct data_view){.dataset = dataset, .num_items = n};
    if (samples_per_client > 0 && (__builtin_mul_overflow(num_clients, samples_per_client, &wanted) || wanted > n))
        return too_few(n, num_clients, samples_per_client, err);
    if (wanted == n)
        return OK;
    uint32_t *scratch = malloc(n * sizeof *scratch);
    *index = malloc(wanted * sizeof **index);
    if (!scratch || !*index) {
        free(scratch);
        return FAIL(err, ERR_MEMORY, "no memory to draw %zu of %zu items", wanted, n);
    }
    rng_choose_u32(rng, *index, wanted, scratch, n);
    free(scratch);
    pool->index = *index;
    pool->num_items = wanted;
    return OK;
}

int partition_make(const struct dataset *dataset, const struct partition_ops *scheme, const void *args,
                   size_t num_clients, size_t samples_per_client, uint64_t seed, struct partition *out,
                   struct error *err)
{
    struct rng rng;
    struct data_view pool;
    uint32_t *index = NULL;

    *out = (struct partition){0};
    rng_init(&rng, seed, "partition", "", 0);
    if (num_clients == 0 || dataset->num_items == 0)
        return FAIL(err, ERR_INVALID, "%zu items cannot be dealt to %zu clients; both must be at least 1",
                    dataset->num_items, num_clients);
    if (scheme->by_label && !dataset_has_classes(dataset))
        return FAIL(err, ERR_INVALID,
                    "scheme %s deals by class, but the items predict %s; use iid, natural or quantity", scheme->name,
                    dataset->values ? "values" : "tokens or several labels");
    int status = draw_pool(dataset, num_clients, samples_per_client, &rng, &pool, &index, err);
    if (!status)
        status = scheme->deal(args, &pool, num_clients, &rng, out, err);
    if (status) {
        partition_fini(out);
        error_context(err, status, "scheme %s", scheme->name);
    }
    for (size_t k = 0; k < out->num_clients; k++)
        rng_shuffle_u32(&rng, out->items + out->first[k], out->first[k + 1] - out->first[k]);
    free(index);
    return status;
}

void partition_fini(struct partition *partition)
{
    free(partition->items);
    free(partition->first);
    *partition = (struct partition){0};
}

struct data_view partition_view(const struct partition *partition, const struct dataset *dataset, size_t client)
{
    size_t first = partition->first[client];

    return (struct data_view){dataset, partition->items + first, partition->first[client + 1] - first};
}
