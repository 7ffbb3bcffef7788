/* HACCS: Wolfrath et al. 2022. Clients are clustered by their label histograms, so that those of one cluster can stand
 * in for each other; clusters are drawn by loss and speed, and a cluster sends its fastest. */
#include <flosim/label_clusters.h>
#include <flosim/selecting.h>
#include <flosim/tiers.h>

struct args {
    int64_t num_tiers;
    double client_fraction, loss_latency_tradeoff_param;
};

/* What a cluster is judged by: means over its clients; negative: not known. */
struct cluster {
    double latency, loss, weight;
    size_t left; /* clients that can still be chosen */
};

static double mean_of(const struct flosim_selection *selection, const uint32_t *of, size_t cluster,
                      double (*figure)(const struct flosim_client *client))
{
    double sum = 0, n = 0;

    for (size_t i = 0; i < selection->num_clients; i++) {
        double value = figure(&selection->clients[i]);

        if (of[i] != cluster || !(value >= 0))
            continue;
        sum += value;
        n++;
    }
    return n > 0 ? sum / n : -1;
}

static double latency_of(const struct flosim_client *client)
{
    return flosim_knows_latency(client) ? client->seconds_per_batch : -1;
}

static double loss_of(const struct flosim_client *client)
{
    return client->last_loss;
}

/* weight = rho (1 - latency / largest latency) + (1 - rho) loss / sum of losses. Not known: the largest of the others,
 * so that a slow stranger is not preferred and an unheard cluster is heard. */
static void weigh(struct cluster *clusters, size_t n, double rho)
{
    double largest_latency = 0, largest_loss = 0, sum_of_losses = 0;

    for (size_t c = 0; c < n; c++) {
        largest_latency = fmax(largest_latency, clusters[c].latency);
        largest_loss = fmax(largest_loss, clusters[c].loss);
    }
    for (size_t c = 0; c < n; c++) {
        clusters[c].latency = clusters[c].latency < 0 ? largest_latency : clusters[c].latency;
        clusters[c].loss = clusters[c].loss < 0 ? largest_loss : clusters[c].loss;
        sum_of_losses += clusters[c].loss;
    }
    for (size_t c = 0; c < n; c++) {
        double speed = largest_latency > 0 ? 1 - clusters[c].latency / largest_latency : 0;
        double share = sum_of_losses > 0 ? clusters[c].loss / sum_of_losses : 0;

        clusters[c].weight = rho * speed + (1 - rho) * share;
    }
}

/* One with clients left, by weight; equally where none has a weight. n: none has clients left. */
static size_t draw(const struct flosim_host *host, struct flosim_random *random, const struct cluster *clusters,
                   size_t n)
{
    double total = 0, at, open = 0;
    size_t last = n;

    for (size_t c = 0; c < n; c++) {
        total += clusters[c].left ? clusters[c].weight : 0;
        open += clusters[c].left > 0;
    }
    at = host->random_uniform(random) * (total > 0 ? total : open);
    for (size_t c = 0; c < n; c++) {
        double weight = total > 0 ? clusters[c].weight : 1;

        if (!clusters[c].left || weight <= 0)
            continue;
        last = c;
        if (at < weight)
            return c;
        at -= weight;
    }
    return last;
}

static void take_fastest(const struct flosim_selection *selection, const uint32_t *of, size_t cluster,
                         struct flosim_choice *choice)
{
    size_t fastest = selection->num_clients;
    double least = 0;

    for (size_t i = 0; i < selection->num_clients; i++) {
        const struct flosim_client *client = &selection->clients[i];
        double latency = flosim_knows_latency(client) ? client->seconds_per_batch : HUGE_VAL;

        if (of[i] != cluster || !(client->flags & FLOSIM_SELECTABLE) || choice->action[i] != FLOSIM_IDLE)
            continue;
        if (fastest == selection->num_clients || latency < least) {
            fastest = i;
            least = latency;
        }
    }
    if (fastest < selection->num_clients)
        choice->action[fastest] = FLOSIM_TRAIN;
}

static int choose_from_clusters(const struct flosim_stateless *self, const struct flosim_selection *selection,
                                const struct flosim_label_clusters *labels, struct flosim_choice *choice)
{
    const struct args *args = self->args;
    size_t n = labels->num_clusters, m = flosim_fraction_of(args->client_fraction, flosim_count_selectable(selection));
    struct cluster *clusters = calloc(n + 1, sizeof *clusters);
    struct flosim_random random;

    if (!clusters)
        return FLOSIM_MEMORY;
    for (size_t c = 0; c < n; c++) {
        clusters[c].latency = mean_of(selection, labels->of, c, latency_of);
        clusters[c].loss = mean_of(selection, labels->of, c, loss_of);
    }
    weigh(clusters, n, args->loss_latency_tradeoff_param);
    for (size_t i = 0; i < selection->num_clients; i++)
        clusters[labels->of[i]].left += (selection->clients[i].flags & FLOSIM_SELECTABLE) != 0;
    flosim_selection_random(self->host, selection, "cluster-haccs", &random);
    for (size_t k = flosim_over_select(selection, m, choice); k > 0; k--) {
        size_t c = draw(self->host, &random, clusters, n);

        if (c == n)
            break;
        take_fastest(selection, labels->of, c, choice);
        clusters[c].left--;
    }
    free(clusters);
    return FLOSIM_OK;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    struct flosim_label_clusters labels;
    int status;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    if (selection->round == 0) {
        flosim_choose_all(selection, choice);
        return FLOSIM_OK;
    }
    status = flosim_label_clusters_init(&labels, selection, (size_t)args->num_tiers);
    if (status == FLOSIM_OK)
        status = choose_from_clusters(self, selection, &labels, choice);
    flosim_label_clusters_fini(&labels);
    return status;
}

static const struct flosim_param rows[] = {
    FLOSIM_TIERS_ROW(struct args, "Clusters of label histograms; fewer where there are fewer different histograms."),
    {.name = "client_fraction",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, client_fraction),
     .fallback = "1",
     .max = 1,
     .help = "Share C of the selectable clients that a round takes: max(1, floor(C n))."},
    {.name = "loss_latency_tradeoff_param",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, loss_latency_tradeoff_param),
     .fallback = "0.5",
     .max = 1,
     .help = "The paper's rho: 1 judges clusters by their speed alone, 0 by their loss alone."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_haccs;
const struct flosim_selector_ops flosim_selection_haccs = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_haccs,
    .name = "haccs",
    .help = "The first round takes everybody. Later ones draw clusters of clients with alike label histograms, by a "
            "weight of speed and latest training loss, and take the fastest client left in each drawn cluster.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .flags = FLOSIM_USES_LABELS | FLOSIM_USES_LATENCY,
    .init = flosim_stateless_init,
    .select = choose,
};
