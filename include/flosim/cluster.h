/* Agglomerative clustering with Ward's linkage and Euclidean distances: Ward 1963, by Lance and Williams' update
 * (1967), with each cluster's nearest neighbour kept (the generic algorithm of Müllner 2011, arXiv 1109.2378).
 *
 * Of the two clusters that are merged the sum of squares within clusters grows least; among equals the pair of lowest
 * numbers, so that the result is the same for the same points. n points, D dimensions, k clusters; memory is 8 n^2
 * bytes, time about n^2 D. */
#ifndef FLOSIM_CLUSTER_H
#define FLOSIM_CLUSTER_H

#include <stdint.h>
#include <stdlib.h>

#include <flosim/strategy.h>

/* Clusters are known by their lowest point. */
struct flosim_ward {
    size_t n;
    double *distances; /* [n x n] above the diagonal: twice the growth of the sum of squares */
    double *nearest_distance;
    size_t *nearest; /* [n] of the clusters after it; n: there is none */
    double *size;    /* [n] points; 0: merged into another */
    size_t *parent;  /* [n] that a point's cluster was merged into; itself where it is one */
};

static inline void flosim_ward_fini(struct flosim_ward *ward)
{
    free(ward->distances);
    free(ward->nearest_distance);
    free(ward->nearest);
    free(ward->size);
    free(ward->parent);
    *ward = (struct flosim_ward){0};
}

static inline double *flosim_ward_distance(const struct flosim_ward *ward, size_t i, size_t j)
{
    return i < j ? &ward->distances[i * ward->n + j] : &ward->distances[j * ward->n + i];
}

static inline void flosim_ward_find_nearest(struct flosim_ward *ward, size_t i)
{
    const double *row = ward->distances + i * ward->n;

    ward->nearest[i] = ward->n;
    for (size_t j = i + 1; j < ward->n; j++) {
        if (ward->size[j] == 0 || (ward->nearest[i] < ward->n && row[j] >= ward->nearest_distance[i]))
            continue;
        ward->nearest[i] = j;
        ward->nearest_distance[i] = row[j];
    }
}

/* points [n x D] */
static inline int flosim_ward_init(struct flosim_ward *ward, const double *points, size_t n, size_t num_dims)
{
    *ward = (struct flosim_ward){.n = n,
                                 .distances = calloc(n ? n * n : 1, sizeof(double)),
                                 .nearest_distance = calloc(n + 1, sizeof(double)),
                                 .nearest = calloc(n + 1, sizeof(size_t)),
                                 .size = calloc(n + 1, sizeof(double)),
                                 .parent = calloc(n + 1, sizeof(size_t))};
    if (!ward->distances || !ward->nearest_distance || !ward->nearest || !ward->size || !ward->parent) {
        flosim_ward_fini(ward);
        return FLOSIM_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        ward->size[i] = 1;
        ward->parent[i] = i;
        for (size_t j = i + 1; j < n; j++)
            for (size_t d = 0; d < num_dims; d++) {
                double difference = points[i * num_dims + d] - points[j * num_dims + d];

                ward->distances[i * n + j] += difference * difference;
            }
    }
    for (size_t i = 0; i < n; i++)
        flosim_ward_find_nearest(ward, i);
    return FLOSIM_OK;
}

/* The cluster that is nearest to one after it; n: only one is left. */
static inline size_t flosim_ward_closest(const struct flosim_ward *ward)
{
    size_t best = ward->n;

    for (size_t i = 0; i < ward->n; i++)
        if (ward->size[i] > 0 && ward->nearest[i] < ward->n &&
            (best == ward->n || ward->nearest_distance[i] < ward->nearest_distance[best]))
            best = i;
    return best;
}

/* Distances to the union of i and j, which is i from now on. */
static inline void flosim_ward_update(struct flosim_ward *ward, size_t i, size_t j)
{
    double size_i = ward->size[i], size_j = ward->size[j], between = *flosim_ward_distance(ward, i, j);

    for (size_t k = 0; k < ward->n; k++) {
        double size_k = ward->size[k], *to_i;

        if (size_k == 0 || k == i || k == j)
            continue;
        to_i = flosim_ward_distance(ward, i, k);
        *to_i = ((size_i + size_k) * *to_i + (size_j + size_k) * *flosim_ward_distance(ward, j, k) - size_k * between) /
                (size_i + size_j + size_k);
    }
}

/* Merge cluster i with its nearest. */
static inline void flosim_ward_merge(struct flosim_ward *ward, size_t i)
{
    size_t j = ward->nearest[i];

    flosim_ward_update(ward, i, j);
    ward->size[i] += ward->size[j];
    ward->size[j] = 0;
    ward->parent[j] = i;
    flosim_ward_find_nearest(ward, i);
    for (size_t k = 0; k < j; k++) {
        double distance;

        if (ward->size[k] == 0 || k == i)
            continue;
        if (ward->nearest[k] == i || ward->nearest[k] == j) {
            flosim_ward_find_nearest(ward, k);
            continue;
        }
        if (k > i)
            continue;
        distance = ward->distances[k * ward->n + i];
        if (distance < ward->nearest_distance[k] || (distance == ward->nearest_distance[k] && i < ward->nearest[k])) {
            ward->nearest[k] = i;
            ward->nearest_distance[k] = distance;
        }
    }
}

/* Fill labels [n] with the number of each point's cluster, from 0 in the order in which they appear. *num_clusters is
 * at most k (>= 1), fewer where there are fewer distinct points. points [n x D], finite. FLOSIM_OK or FLOSIM_MEMORY. */
static inline int flosim_cluster_ward(const double *points, size_t n, size_t num_dims, size_t k, uint32_t *labels,
                                      size_t *num_clusters)
{
    struct flosim_ward ward;
    uint32_t next = 0;
    size_t left = n;
    int status = flosim_ward_init(&ward, points, n, num_dims);

    if (status != FLOSIM_OK)
        return status;
    for (; left > 1; left--) {
        size_t i = flosim_ward_closest(&ward);

        if (left <= k && ward.nearest_distance[i] > 0)
            break;
        flosim_ward_merge(&ward, i);
    }
    /* A parent stands before its children. */
    for (size_t i = 0; i < n; i++)
        labels[i] = ward.parent[i] == i ? next++ : labels[ward.parent[i]];
    *num_clusters = left;
    flosim_ward_fini(&ward);
    return FLOSIM_OK;
}

#endif
