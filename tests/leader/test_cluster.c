/* Ward clustering and tiers against their definition and numbers worked out by hand. */
#include <criterion/criterion.h>
#include <flosim/tiers.h>
#include <string.h>

#include "util/rng.h"

enum { MOST_POINTS = 60, MOST_DIMS = 4 };

struct naive {
    double centre[MOST_POINTS][MOST_DIMS], size[MOST_POINTS]; /* size 0: merged */
    uint32_t labels[MOST_POINTS];                             /* lowest point of the cluster */
};

/* Ward's definition: the growth of the sum of squares, |A| |B| / (|A| + |B|) times the squared distance of centres. */
static double growth(const struct naive *naive, size_t a, size_t b, size_t num_dims)
{
    double sum = 0;

    for (size_t d = 0; d < num_dims; d++)
        sum += (naive->centre[a][d] - naive->centre[b][d]) * (naive->centre[a][d] - naive->centre[b][d]);
    return sum * naive->size[a] * naive->size[b] / (naive->size[a] + naive->size[b]);
}

static void merge(struct naive *naive, size_t a, size_t b, size_t n, size_t num_dims)
{
    double whole = naive->size[a] + naive->size[b];

    for (size_t d = 0; d < num_dims; d++)
        naive->centre[a][d] = (naive->size[a] * naive->centre[a][d] + naive->size[b] * naive->centre[b][d]) / whole;
    naive->size[a] = whole;
    naive->size[b] = 0;
    for (size_t i = 0; i < n; i++)
        if (naive->labels[i] == b)
            naive->labels[i] = (uint32_t)a;
}

static void cluster_naively(struct naive *naive, const double *points, size_t n, size_t num_dims, size_t k)
{
    memset(naive, 0, sizeof *naive);
    for (size_t i = 0; i < n; i++) {
        memcpy(naive->centre[i], points + i * num_dims, num_dims * sizeof *points);
        naive->size[i] = 1;
        naive->labels[i] = (uint32_t)i;
    }
    for (size_t left = n; left > k; left--) {
        size_t best_a = 0, best_b = 0;
        double least = HUGE_VAL;

        for (size_t a = 0; a < n; a++)
            for (size_t b = a + 1; b < n; b++)
                if (naive->size[a] > 0 && naive->size[b] > 0 && growth(naive, a, b, num_dims) < least) {
                    least = growth(naive, a, b, num_dims);
                    best_a = a;
                    best_b = b;
                }
        merge(naive, best_a, best_b, n, num_dims);
    }
}

/* Two labelings tell the same clusters. */
static int is_same(const uint32_t *a, const uint32_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if ((a[i] == a[j]) != (b[i] == b[j]))
                return 0;
    return 1;
}

Test(cluster, agrees_with_the_definition)
{
    static struct naive naive;
    double points[MOST_POINTS * MOST_DIMS];
    uint32_t labels[MOST_POINTS];
    size_t num_clusters;

    for (uint64_t seed = 0; seed < 60; seed++) {
        struct rng rng;
        size_t n = 2 + seed % 59, num_dims = 1 + seed % MOST_DIMS;

        rng_init(&rng, seed, "points", "", 0);
        for (size_t i = 0; i < n * num_dims; i++)
            points[i] = rng_normal(&rng);
        for (size_t k = 1; k <= n && k < 9; k++) {
            cr_assert_eq(flosim_cluster_ward(points, n, num_dims, k, labels, &num_clusters), FLOSIM_OK);
            cr_assert_eq(num_clusters, k);
            cluster_naively(&naive, points, n, num_dims, k);
            cr_assert(is_same(labels, naive.labels, n), "%zu points, %zu clusters, seed %d", n, k, (int)seed);
        }
    }
}

/* Many equal points, as devices of the same kind are. */
Test(cluster, equal_points_stay_together)
{
    static struct naive naive;
    double points[MOST_POINTS];
    uint32_t labels[MOST_POINTS];
    size_t num_clusters;

    for (size_t i = 0; i < MOST_POINTS; i++)
        points[i] = (double[]){0.01, 0.013, 0.05, 0.31, 1.7}[i * 7 % 5];
    for (size_t k = 1; k <= 5; k++) {
        flosim_cluster_ward(points, MOST_POINTS, 1, k, labels, &num_clusters);
        cluster_naively(&naive, points, MOST_POINTS, 1, k);
        cr_assert_eq(num_clusters, k);
        cr_assert(is_same(labels, naive.labels, MOST_POINTS), "%zu clusters", k);
    }
    flosim_cluster_ward(points, MOST_POINTS, 1, 9, labels, &num_clusters);
    cr_assert_eq(num_clusters, 5, "there are only five different points");
}

/* 0 1 2 3: {0,1} and {2,3} grow by 1/2 each, the lowest pair first; then {0,1} with 2 would grow by 2/3 * 2.25 = 1.5.
 */
Test(cluster, ties_go_to_the_lowest_pair)
{
    static const double line[] = {0, 1, 2, 3}, three[] = {5, 6, 7};
    uint32_t labels[4];
    size_t num_clusters;

    flosim_cluster_ward(line, 4, 1, 2, labels, &num_clusters);
    cr_assert_arr_eq(labels, ((uint32_t[]){0, 0, 1, 1}), sizeof labels);
    flosim_cluster_ward(line, 4, 1, 3, labels, &num_clusters);
    cr_assert_arr_eq(labels, ((uint32_t[]){0, 0, 1, 2}), sizeof labels);
    flosim_cluster_ward(three, 3, 1, 2, labels, &num_clusters);
    cr_assert_arr_eq(labels, ((uint32_t[]){0, 0, 1}), 3 * sizeof *labels);
}

/* By hand: {3.9, 4, 4.1} first; then 2.5 joins it for 3/4 * 1.5^2 = 1.69 (6 would cost 3/4 * 2^2 = 3, 0 with 2.5 1/2 *
 * 2.5^2 = 3.1); then 6 joins {2.5 .. 4.1}, whose centre is 3.625, for 4/5 * 2.375^2 = 4.5 (0 would cost 10.5). */
Test(cluster, six_points_by_hand)
{
    double points[] = {0, 2.5, 3.9, 4, 4.1, 6};
    uint32_t labels[6];
    size_t num_clusters;

    flosim_cluster_ward(points, 6, 1, 4, labels, &num_clusters);
    cr_assert_arr_eq(labels, ((uint32_t[]){0, 1, 2, 2, 2, 3}), sizeof labels);
    flosim_cluster_ward(points, 6, 1, 3, labels, &num_clusters);
    cr_assert_arr_eq(labels, ((uint32_t[]){0, 1, 1, 1, 1, 2}), sizeof labels);
    flosim_cluster_ward(points, 6, 1, 2, labels, &num_clusters);
    cr_assert_arr_eq(labels, ((uint32_t[]){0, 1, 1, 1, 1, 1}), sizeof labels);
}

Test(cluster, none_and_one)
{
    uint32_t label = 7;
    size_t num_clusters;

    cr_assert_eq(flosim_cluster_ward(NULL, 0, 3, 2, NULL, &num_clusters), FLOSIM_OK);
    cr_assert_eq(num_clusters, 0);
    cr_assert_eq(flosim_cluster_ward((double[]){1}, 1, 1, 2, &label, &num_clusters), FLOSIM_OK);
    cr_assert_eq(num_clusters, 1);
    cr_assert_eq(label, 0);
}

/* ---- tiers ---- */

static void tiers_of(const double *latencies, size_t n, size_t k, struct flosim_tiers *tiers)
{
    struct flosim_client clients[10] = {{0}};
    struct flosim_selection selection = {.size = sizeof selection, .num_clients = n, .clients = clients};

    for (size_t i = 0; i < n; i++)
        clients[i].seconds_per_batch = latencies[i];
    cr_assert_eq(flosim_tiers_init(tiers, &selection, k), FLOSIM_OK);
}

Test(cluster, tiers_count_from_the_fastest)
{
    struct flosim_tiers tiers;

    tiers_of((double[]){20, 1.1, 5.2, 1, 5, -1}, 6, 3, &tiers);
    cr_assert_eq(tiers.num_tiers, 3);
    cr_assert_arr_eq(tiers.of, ((uint32_t[]){2, 0, 1, 0, 1, 2}), 6 * sizeof *tiers.of);
    flosim_tiers_fini(&tiers);
    tiers_of((double[]){2, 1, 2, 1}, 4, 3, &tiers);
    cr_assert_eq(tiers.num_tiers, 2);
    cr_assert_arr_eq(tiers.of, ((uint32_t[]){1, 0, 1, 0}), 4 * sizeof *tiers.of);
    flosim_tiers_fini(&tiers);
    tiers_of((double[]){-1, -1}, 2, 3, &tiers);
    cr_assert_eq(tiers.num_tiers, 1);
    cr_assert_arr_eq(tiers.of, ((uint32_t[]){0, 0}), 2 * sizeof *tiers.of);
    flosim_tiers_fini(&tiers);
}
