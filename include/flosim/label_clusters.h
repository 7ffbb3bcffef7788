/* Clusters of clients with alike data: Ward clustering of their label histograms. */
#ifndef FLOSIM_LABEL_CLUSTERS_H
#define FLOSIM_LABEL_CLUSTERS_H

#include <flosim/cluster.h>

struct flosim_label_clusters {
    size_t num_clusters; /* 0 where there are no clients; fewer than asked for where there are fewer histograms */
    uint32_t *of;        /* [K] */
};

static inline void flosim_label_clusters_fini(struct flosim_label_clusters *clusters)
{
    free(clusters->of);
    *clusters = (struct flosim_label_clusters){0};
}

static inline int flosim_label_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All labels of all clients, sorted, each once. Returns new, NULL without memory; *num_names of them. */
static inline const char **flosim_label_names(const struct flosim_selection *selection, size_t *num_names)
{
    size_t n = 0, kept = 0;
    const char **names;

    for (size_t i = 0; i < selection->num_clients; i++)
        n += selection->clients[i].num_labels;
    names = calloc(n + 1, sizeof *names);
    *num_names = 0;
    if (!names)
        return NULL;
    n = 0;
    for (size_t i = 0; i < selection->num_clients; i++)
        for (size_t k = 0; k < selection->clients[i].num_labels; k++)
            names[n++] = selection->clients[i].labels[k].name;
    qsort(names, n, sizeof *names, flosim_label_order);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    *num_names = kept;
    return names;
}

/* out [K x num_names]: the fraction of each label. */
static inline void flosim_label_histograms(const struct flosim_selection *selection, const char **names,
                                           size_t num_names, double *out)
{
    for (size_t i = 0; i < selection->num_clients; i++)
        for (size_t k = 0; k < selection->clients[i].num_labels; k++) {
            const struct flosim_label *label = &selection->clients[i].labels[k];
            const char *name = label->name;
            const char **found = bsearch(&name, names, num_names, sizeof *names, flosim_label_order);

            out[i * num_names + (size_t)(found - names)] = label->fraction;
        }
}

/* At most k clusters of all clients of the selection. FLOSIM_OK or FLOSIM_MEMORY; end it with
 * flosim_label_clusters_fini. */
static inline int flosim_label_clusters_init(struct flosim_label_clusters *clusters,
                                             const struct flosim_selection *selection, size_t k)
{
    size_t num_names;
    const char **names = flosim_label_names(selection, &num_names);
    double *histograms = calloc(selection->num_clients * num_names + 1, sizeof *histograms);
    int status = FLOSIM_MEMORY;

    *clusters = (struct flosim_label_clusters){.of = calloc(selection->num_clients + 1, sizeof *clusters->of)};
    if (names && histograms && clusters->of) {
        flosim_label_histograms(selection, names, num_names, histograms);
        status = flosim_cluster_ward(histograms, selection->num_clients, num_names, k, clusters->of,
                                     &clusters->num_clusters);
    }
    free(names);
    free(histograms);
    if (status != FLOSIM_OK)
        flosim_label_clusters_fini(clusters);
    return status;
}

#endif
