/* Multi-Krum (Blanchard et al. 2017, "Machine Learning with Adversaries"): the unweighted mean of the m
 * updates with the least Krum scores. m = 1 is Krum, m = n the mean of all. Needs n >= 2f + 3. */
#include <flosim/krum.h>

struct args {
    int64_t f, m;
};

/* Marks the m with the least scores of one scoring, ties by id. */
static int choose(struct flosim_krum *krum, size_t count, size_t m)
{
    double *scores = calloc(krum->n + 1, sizeof *scores);

    if (!scores)
        return FLOSIM_MEMORY;
    for (size_t i = 0; i < krum->n; i++)
        scores[i] = flosim_krum_score(krum, i, count);
    for (; m > 0; m--) {
        size_t best = krum->n;

        for (size_t i = 0; i < krum->n; i++)
            if (!krum->chosen[i] && (best == krum->n || scores[i] < scores[best]))
                best = i;
        krum->chosen[best] = 1;
    }
    free(scores);
    return FLOSIM_OK;
}

/* Clients by id within each coordinate. */
static void average(const struct flosim_held *held, const unsigned char *chosen, size_t m, float *out)
{
    for (size_t j = 0; j < held->host->num_weights; j++) {
        double sum = 0;

        for (size_t i = 0; i < held->n; i++)
            if (chosen[i])
                sum += (double)held->updates[i].weights[j];
        out[j] = (float)(sum / (double)m);
    }
}

static int make(const struct flosim_held *held, float *out)
{
    const struct args *args = held->args;
    struct flosim_krum krum;
    size_t f, m;
    int status = flosim_krum_tolerates(held->host, args->f, 2, held->n, &f);

    if (status == FLOSIM_OK)
        status = flosim_krum_init(&krum, held);
    if (status != FLOSIM_OK)
        return status;
    m = args->m == 0 ? held->n - f : (size_t)args->m < held->n ? (size_t)args->m : held->n;
    status = choose(&krum, held->n - f - 2, m);
    if (status == FLOSIM_OK)
        average(held, krum.chosen, m, out);
    flosim_krum_fini(&krum);
    return status == FLOSIM_OK ? FLOSIM_READY : held->host->explain(held->host, status, "no memory for scores");
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    flosim_held_init(state, args, host, make);
    return FLOSIM_OK;
}

static const struct flosim_param rows[] = {
    FLOSIM_KRUM_F("2"),
    {.name = "m",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, m),
     .max = 1e5,
     .flags = FLOSIM_OURS,
     .help = "How many updates are averaged, at most n; 0: n - f, as in the paper's experiments."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_multikrum;
const struct flosim_aggregator_ops flosim_aggregation_multikrum = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_multikrum,
    .name = "multikrum",
    .help =
        "The mean of the m clients whose weights lie nearest to their n - f - 2 nearest neighbours. Keeps all updates "
        "of the round.",
    .params = &params,
    .state_size = sizeof(struct flosim_held),
    .flags = FLOSIM_WAITS_FOR_ALL | FLOSIM_NEEDS_ENOUGH,
    .init = init,
    .on_update = flosim_held_on_update,
    .on_failure = flosim_held_on_failure,
    .held = flosim_held_count,
    .save = flosim_held_save,
    .restore = flosim_held_restore,
    .fini = flosim_held_fini,
    .prepare = flosim_krum_prepare,
    .discard = flosim_held_discard,
};
