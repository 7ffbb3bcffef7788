#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/data/support.h"

enum { ITEMS = 5000, CLASSES = 10, CLIENTS = 10 };

/* Label 0 is twice as frequent as the others; labels and groups are unrelated. */
static int32_t skewed_label(size_t i)
{
    return (int32_t)((i * 7919 + i / 11) % (CLASSES + 1) % CLASSES);
}

struct run {
    struct dataset *dataset;
    const struct partition_ops *scheme;
    void *args;
    struct partition partition;
    struct error err;
    int status;
};

static struct run deal_sized(const char *scheme, const char *yaml, size_t clients, size_t samples_per_client,
                             uint64_t seed)
{
    struct run run = {.dataset = labelled_new(ITEMS, CLASSES, skewed_label), .scheme = partition_find(scheme)};

    cr_assert_not_null(run.scheme, "no scheme %s", scheme);
    run.args = args_from(run.scheme->params, yaml);
    run.status =
        partition_make(run.dataset, run.scheme, run.args, clients, samples_per_client, seed, &run.partition, &run.err);
    return run;
}

static struct run deal(const char *scheme, const char *yaml, size_t clients, uint64_t seed)
{
    return deal_sized(scheme, yaml, clients, 0, seed);
}

static void run_free(struct run *run)
{
    partition_fini(&run->partition);
    args_free(run->scheme->params, run->args);
    labelled_free(run->dataset);
}

static size_t size_of(const struct run *run, size_t k)
{
    return run->partition.first[k + 1] - run->partition.first[k];
}

static void count_labels(const struct run *run, size_t k, size_t counts[CLASSES])
{
    struct data_view view = partition_view(&run->partition, run->dataset, k);

    memset(counts, 0, CLASSES * sizeof *counts);
    for (size_t i = 0; i < view.num_items; i++)
        counts[run->dataset->labels[view.index[i]]]++;
}

static size_t num_labels(const size_t counts[CLASSES])
{
    size_t n = 0;

    for (int c = 0; c < CLASSES; c++)
        n += counts[c] > 0;
    return n;
}

/* Lists are well formed: not empty, items of the data set, none twice with a client. Returns how often an item is with
 * more than one client. */
static size_t check_lists(const struct run *run, size_t clients)
{
    unsigned char *owners = calloc(run->dataset->num_items, 1), *mine = calloc(run->dataset->num_items, 1);
    size_t shared = 0;

    cr_assert_eq(run->status, OK, "%s: %s", run->scheme->name, run->err.message);
    cr_assert_eq(run->partition.num_clients, clients);
    cr_assert_eq(run->partition.first[0], 0);
    for (size_t k = 0; k < clients; k++) {
        struct data_view view = partition_view(&run->partition, run->dataset, k);
        cr_assert_gt(view.num_items, 0, "%s: client %zu has nothing", run->scheme->name, k);
        memset(mine, 0, run->dataset->num_items);
        for (size_t i = 0; i < view.num_items; i++) {
            cr_assert_lt(view.index[i], run->dataset->num_items);
            cr_assert_eq(mine[view.index[i]], 0, "%s: an item twice with client %zu", run->scheme->name, k);
            mine[view.index[i]] = 1;
            shared += owners[view.index[i]];
            owners[view.index[i]] = 1;
        }
    }
    free(owners);
    free(mine);
    return shared;
}

static bool same(const struct partition *a, const struct partition *b)
{
    size_t lists = (a->num_clients + 1) * sizeof *a->first;

    return a->num_clients == b->num_clients && memcmp(a->first, b->first, lists) == 0 &&
           memcmp(a->items, b->items, a->first[a->num_clients] * sizeof *a->items) == 0;
}

Test(partition, contract_of_every_scheme)
{
    for (size_t i = 0; partition_schemes[i]; i++) {
        const char *name = partition_schemes[i]->name;
        bool disjoint = strcmp(name, "limit_label") != 0 && strcmp(name, "equal_samples") != 0;
        struct run run = deal(name, "{}", CLIENTS, 1), again = deal(name, "{}", CLIENTS, 1);
        struct run other = deal(name, "{}", CLIENTS, 2);

        cr_assert(partition_schemes[i]->help && partition_schemes[i]->params, "%s says nothing", name);
        cr_assert_eq(check_lists(&run, CLIENTS) == 0, disjoint, "%s: items are shared, or not, against its rule", name);
        cr_assert(same(&run.partition, &again.partition), "%s: the same seed gives something else", name);
        check_lists(&other, CLIENTS);
        cr_assert_not(same(&run.partition, &other.partition), "%s: the seed has no effect", name);
        run_free(&run);
        run_free(&again);
        run_free(&other);
    }
}

Test(partition, every_scheme_serves_one_client_and_deals_a_drawn_pool)
{
    for (size_t i = 0; partition_schemes[i]; i++) {
        /* One client of equal_samples can have no more than the rarest label allows. */
        bool balanced = strcmp(partition_schemes[i]->name, "equal_samples") == 0;
        struct run one = deal(partition_schemes[i]->name, balanced ? "{samples: 4540}" : "{}", 1, 3);
        struct run pool = deal_sized(partition_schemes[i]->name, "{}", CLIENTS, 100, 3);

        check_lists(&one, 1);
        check_lists(&pool, CLIENTS);
        cr_assert_leq(pool.partition.first[CLIENTS], CLIENTS * 100);
        run_free(&one);
        run_free(&pool);
    }
}

/* Where lists cannot be had, it is an error with advice, and nothing is held. */
Test(partition, every_scheme_refuses_the_impossible)
{
    for (size_t i = 0; partition_schemes[i]; i++) {
        struct run run = deal(partition_schemes[i]->name, "{}", ITEMS + 1, 1);

        if (strcmp(partition_schemes[i]->name, "limit_label") == 0) {
            check_lists(&run, ITEMS + 1); /* clients share items: any number of them can be served */
        } else {
            cr_assert_eq(run.status, ERR_INVALID, "%s", partition_schemes[i]->name);
            cr_assert(strstr(run.err.message, "take"), "%s gives no advice", run.err.message);
            cr_assert_null(run.partition.items);
        }
        run_free(&run);
    }
    struct run none = deal("iid", "{}", 0, 1);
    cr_assert_eq(none.status, ERR_INVALID);
    run_free(&none);
}

Test(partition, aliases_are_flotillas_names)
{
    cr_assert_eq(partition_find("equal_partition"), partition_find("iid"));
    cr_assert_eq(partition_find("fixed_samples"), partition_find("equal_samples"));
    cr_assert_null(partition_find("nothing"));
}

Test(partition, samples_per_client_draws_that_many)
{
    const char *const schemes[] = {"iid", "dirichlet", "shards"};

    for (size_t i = 0; i < 3; i++) {
        struct run run = deal_sized(schemes[i], "{}", CLIENTS, 120, 5);
        cr_assert_eq(check_lists(&run, CLIENTS), 0);
        cr_assert_eq(run.partition.first[CLIENTS], CLIENTS * 120);
        run_free(&run);
    }
    struct run run = deal_sized("iid", "{}", CLIENTS, 501, 5);
    cr_assert_eq(run.status, ERR_INVALID);
    cr_assert(strstr(run.err.message, "take samples_per_client 500 or less, or at most 9 clients"), "%s",
              run.err.message);
    run_free(&run);
}

Test(partition, iid_gives_everybody_the_same_mixture)
{
    struct run run = deal("iid", "{}", 7, 1);
    size_t first[CLASSES], counts[CLASSES];

    check_lists(&run, 7);
    cr_assert_eq(run.partition.first[7], ITEMS);
    count_labels(&run, 0, first);
    for (size_t k = 1; k < 7; k++) {
        count_labels(&run, k, counts);
        cr_assert_leq(llabs((long long)size_of(&run, k) - ITEMS / 7), 1);
        for (int c = 0; c < CLASSES; c++)
            cr_assert_leq(llabs((long long)counts[c] - (long long)first[c]), 1);
    }
    run_free(&run);
}

/* Which items are together is drawn, not only who gets which hand: two seeds' hands of item 0 share a seventh by
 * chance. */
Test(partition, iid_hands_are_drawn)
{
    struct run a = deal("iid", "{}", 7, 1), b = deal("iid", "{}", 7, 2);
    struct run *runs[] = {&a, &b};
    unsigned char together[ITEMS] = {0};
    size_t both = 0;

    for (int r = 0; r < 2; r++)
        for (size_t k = 0; k < 7; k++) {
            struct data_view view = partition_view(&runs[r]->partition, runs[r]->dataset, k);
            bool mine = false;
            for (size_t i = 0; i < view.num_items; i++)
                mine = mine || view.index[i] == 0;
            for (size_t i = 0; i < view.num_items && mine; i++)
                both += ++together[view.index[i]] == 2;
        }
    cr_assert_lt(both, 2 * ITEMS / 7 / 7);
    run_free(&a);
    run_free(&b);
}

/* A worker trains on the front of its list and validates on the rest: the list must be in random order. */
Test(partition, lists_are_shuffled)
{
    struct run run = deal("shards", "{}", CLIENTS, 1);
    struct data_view view = partition_view(&run.partition, run.dataset, 0);
    size_t changes = 0;

    for (size_t i = 1; i < view.num_items; i++)
        changes += run.dataset->labels[view.index[i]] != run.dataset->labels[view.index[i - 1]];
    cr_assert_gt(changes, view.num_items / 4);
    run_free(&run);
}

/* No client is full while the first label is dealt, so its shares are exactly Dirichlet: mean 1/K and variance
 * (1/K)(1 - 1/K) / (K alpha + 1). */
Test(partition, dirichlet_shares_have_the_variance_of_the_distribution)
{
    enum { SEEDS = 400, K = 5 };
    const double alphas[] = {0.5, 2.0};

    for (int a = 0; a < 2; a++) {
        char yaml[64];
        double sum = 0.0, squares = 0.0, expected = 0.2 * 0.8 / (K * alphas[a] + 1.0);
        snprintf(yaml, sizeof yaml, "{alpha: %g, min_samples: 1}", alphas[a]);
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct run run = deal("dirichlet", yaml, K, seed);
            size_t counts[CLASSES], of_label[K], total = 0;
            for (size_t k = 0; k < K; k++) {
                count_labels(&run, k, counts);
                total += of_label[k] = counts[0];
            }
            for (size_t k = 0; k < K; k++) {
                double share = (double)of_label[k] / (double)total;
                sum += share;
                squares += share * share;
            }
            run_free(&run);
        }
        double mean = sum / (SEEDS * K), variance = squares / (SEEDS * K) - mean * mean;
        cr_assert_float_eq(mean, 0.2, 1e-9);
        cr_assert_float_eq(variance / expected, 1.0, 0.15, "alpha %g: variance %g, expected %g", alphas[a], variance,
                           expected);
    }
}

Test(partition, dirichlet_deals_all_and_keeps_its_bounds)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct run run = deal("dirichlet", "{alpha: 0.1, min_samples: 40}", CLIENTS, seed);
        cr_assert_eq(check_lists(&run, CLIENTS), 0);
        cr_assert_eq(run.partition.first[CLIENTS], ITEMS);
        for (size_t k = 0; k < CLIENTS; k++) {
            cr_assert_geq(size_of(&run, k), 40);
            /* A client that has N/K gets no more, so it overshoots by less than one label (label 0 has 2N/11). */
            cr_assert_lt(size_of(&run, k), ITEMS / CLIENTS + 2 * ITEMS / 11 + 11);
        }
        run_free(&run);
    }
}

Test(partition, dirichlet_skew_falls_with_alpha)
{
    double largest[2] = {0, 0};
    const char *const yaml[] = {"{alpha: 0.1}", "{alpha: 100}"};

    for (int a = 0; a < 2; a++) {
        struct run run = deal("dirichlet", yaml[a], CLIENTS, 9);
        for (size_t k = 0; k < CLIENTS; k++) {
            size_t counts[CLASSES], most = 0;
            count_labels(&run, k, counts);
            for (int c = 0; c < CLASSES; c++)
                most = counts[c] > most ? counts[c] : most;
            largest[a] += (double)most / (double)size_of(&run, k) / CLIENTS;
        }
        run_free(&run);
    }
    cr_assert_gt(largest[0], 0.4);
    cr_assert_lt(largest[1], 0.25);
}

Test(partition, dirichlet_gives_up_when_min_samples_is_out_of_reach)
{
    struct run run = deal("dirichlet", "{alpha: 0.01, min_samples: 499}", CLIENTS, 1);
    cr_assert_eq(run.status, ERR_INVALID);
    cr_assert(strstr(run.err.message, "lower min_samples"), "%s", run.err.message);
    run_free(&run);
    run = deal("dirichlet", "{min_samples: 501}", CLIENTS, 1);
    cr_assert_eq(run.status, ERR_INVALID);
    cr_assert(strstr(run.err.message, "take min_samples 500 or less"), "%s", run.err.message);
    run_free(&run);
}

Test(partition, dirichlet_stands_the_smallest_alpha)
{
    struct run run = deal("dirichlet", "{alpha: 0.001, min_samples: 1}", 3, 1);

    check_lists(&run, 3);
    run_free(&run);
}

Test(partition, shards_are_equal_and_of_few_labels)
{
    for (size_t per_client = 1; per_client <= 3; per_client++) {
        char yaml[32];
        snprintf(yaml, sizeof yaml, "{per_client: %zu}", per_client);
        struct run run = deal("shards", yaml, 20, 1);
        cr_assert_eq(check_lists(&run, 20), 0);
        cr_assert_eq(run.partition.first[20], ITEMS);
        for (size_t k = 0; k < 20; k++) {
            size_t counts[CLASSES];
            count_labels(&run, k, counts);
            cr_assert_leq(num_labels(counts), 2 * per_client);
            cr_assert_leq(llabs((long long)size_of(&run, k) - ITEMS / 20), (long long)per_client);
        }
        run_free(&run);
    }
}

Test(partition, limit_label_gives_so_many_labels_and_so_much_of_each)
{
    enum { MANY = 1000 };
    struct run run = deal("limit_label", "{max_classes: 3, fraction: 10%}", MANY, 1);
    size_t totals[CLASSES] = {0}, chosen[CLASSES] = {0}, counts[CLASSES];

    cr_assert_gt(check_lists(&run, MANY), 0);
    for (size_t i = 0; i < ITEMS; i++)
        totals[run.dataset->labels[i]]++;
    for (size_t k = 0; k < MANY; k++) {
        count_labels(&run, k, counts);
        cr_assert_eq(num_labels(counts), 3);
        for (int c = 0; c < CLASSES; c++) {
            cr_assert(counts[c] == 0 || counts[c] == totals[c] / 10);
            chosen[c] += counts[c] > 0;
        }
    }
    for (int c = 0; c < CLASSES; c++) /* binomial, 300 of 1000: five standard deviations are 72 */
        cr_assert_lt(llabs((long long)chosen[c] - 300), 73);
    run_free(&run);
    run = deal("limit_label", "{labels: 11}", CLIENTS, 1);
    cr_assert_eq(run.status, ERR_INVALID);
    cr_assert(strstr(run.err.message, "take 10 or less"), "%s", run.err.message);
    run_free(&run);
}

Test(partition, equal_samples_balances_labels_and_shares_items)
{
    struct run run = deal("fixed_samples", "{num_samples: 604}", 40, 1);
    size_t counts[CLASSES];

    cr_assert_gt(check_lists(&run, 40), 0);
    for (size_t k = 0; k < 40; k++) {
        cr_assert_eq(size_of(&run, k), 604);
        count_labels(&run, k, counts);
        for (int c = 0; c < CLASSES; c++)
            cr_assert(counts[c] == 60 || counts[c] == 61);
    }
    run_free(&run);
    run = deal("equal_samples", "{samples: 4541}", 2, 1);
    cr_assert_eq(run.status, ERR_INVALID);
    cr_assert(strstr(run.err.message, "take samples 4540 or less"), "%s", run.err.message);
    run_free(&run);
}

Test(partition, natural_gives_each_client_one_group)
{
    const size_t numbers[] = {LABELLED_GROUPS, 7};

    for (int n = 0; n < 2; n++) {
        struct run run = deal("natural", "{}", numbers[n], 1);
        int32_t last = -1;
        cr_assert_eq(check_lists(&run, numbers[n]), 0);
        for (size_t k = 0; k < numbers[n]; k++) {
            struct data_view view = partition_view(&run.partition, run.dataset, k);
            int32_t group = run.dataset->groups[view.index[0]];
            cr_assert_eq(view.num_items, ITEMS / LABELLED_GROUPS);
            cr_assert_gt(group, last);
            last = group;
            for (size_t i = 0; i < view.num_items; i++)
                cr_assert_eq(run.dataset->groups[view.index[i]], group);
        }
        cr_assert_geq(last, 7); /* drawn from all ids, not the first seven */
        run_free(&run);
    }
    struct run run = deal("natural", "{}", LABELLED_GROUPS + 1, 1);
    cr_assert_eq(run.status, ERR_INVALID);
    cr_assert(strstr(run.err.message, "take at most 40 clients"), "%s", run.err.message);
    run.dataset->groups = NULL;
    cr_assert_eq(partition_make(run.dataset, run.scheme, run.args, 2, 0, 1, &run.partition, &run.err), ERR_INVALID);
    cr_assert(strstr(run.err.message, "do not say which client"), "%s", run.err.message);
    run_free(&run);
}

Test(partition, bad_arguments_are_refused)
{
    const struct {
        const char *scheme, *yaml;
    } bad[] = {{"dirichlet", "{alpha: 0}"},        {"dirichlet", "{alpha: -1}"},   {"dirichlet", "{min_samples: 0}"},
               {"shards", "{per_client: 0}"},      {"limit_label", "{labels: 0}"}, {"limit_label", "{fraction: 1.5}"},
               {"equal_samples", "{samples: -3}"}, {"iid", "{alpha: 1}"},          {"natural", "{x: 1}"}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct param_table *table = partition_find(bad[i].scheme)->params;
        struct diags *diags = diags_new();
        struct yaml_doc *doc;
        void *args = calloc(1, table->size);
        cr_assert_eq(yaml_load_text(bad[i].yaml, strlen(bad[i].yaml), "test", 0, &doc, diags), OK);
        cr_assert_eq(params_read(table, yaml_root(doc), args, diags), ERR_INVALID, "%s", bad[i].yaml);
        cr_assert_eq(diags_errors(diags), 1);
        args_free(table, args);
        yaml_unref(doc);
        diags_free(diags);
    }
}

/* Every scheme either deals items without classes or says in one sentence that it cannot. */
Test(partition, data_without_classes_are_dealt_or_refused)
{
    struct dataset d = {.num_items = 60, .num_dims = 1, .dims = {1}, .type = DATA_F32};
    struct dataset_fill fill;
    const struct dataset_need need = {.groups = true, .values = true};

    cr_assert_eq(dataset_alloc_for(&d, &need, &fill, NULL), OK);
    for (int i = 0; i < 60; i++)
        fill.groups[i] = i % 5;
    for (size_t i = 0; partition_schemes[i]; i++) {
        const struct partition_ops *ops = partition_schemes[i];
        void *args = args_from(ops->params, "{}");
        struct partition out;
        struct error err = ERROR_INIT;
        int status = partition_make(&d, ops, args, 3, 0, 1, &out, &err);
        cr_assert_eq(status, ops->by_label ? ERR_INVALID : OK, "%s: %s", ops->name, err.message);
        if (status)
            cr_assert(strstr(err.message, "deals by class"), "%s", err.message);
        else
            cr_assert_geq(out.first[3], 3);
        partition_fini(&out);
        args_free(ops->params, args);
    }
    dataset_fini(&d);
}

static int32_t label_of_ten(size_t i)
{
    return (int32_t)(i % 10);
}

static struct partition deal_with(const struct dataset *d, const char *scheme, const char *yaml, size_t clients)
{
    const struct partition_ops *ops = partition_find(scheme);
    void *args = args_from(ops->params, yaml);
    struct partition out;
    struct error err = ERROR_INIT;

    cr_assert_eq(partition_make(d, ops, args, clients, 0, 1, &out, &err), OK, "%s", err.message);
    args_free(ops->params, args);
    return out;
}

Test(partition, quantity_sizes_fall_by_rank_and_all_items_are_dealt)
{
    struct dataset *d = labelled_new(1000, 10, label_of_ten);
    struct partition p = deal_with(d, "quantity", "{skew: 1}", 4);
    size_t largest = 0, smallest = 1000;

    for (size_t k = 0; k < 4; k++) {
        size_t n = p.first[k + 1] - p.first[k];
        largest = n > largest ? n : largest;
        smallest = n < smallest ? n : smallest;
    }
    /* 1, 1/2, 1/3, 1/4 of 996, and one each */
    cr_assert(p.first[4] == 1000 && largest >= 479 && largest <= 482 && smallest >= 120 && smallest <= 122);
    partition_fini(&p);
    p = deal_with(d, "quantity", "{skew: 0}", 4);
    cr_assert(p.first[1] == 250 && p.first[4] == 1000);
    partition_fini(&p);
    labelled_free(d);
}

Test(partition, parts_of_labels_are_as_asked_for)
{
    struct dataset *d = labelled_new(1000, 10, label_of_ten);
    struct partition p = deal_with(d, "probability", "{fractions: [0.5, 0.2, 0.1]}", 3);
    cr_assert(p.first[1] == 500 && p.first[2] == 700 && p.first[3] == 800);
    partition_fini(&p);
    p = deal_with(d, "equal_label", "{}", 3);
    cr_assert(p.first[1] == 330 && p.first[3] == 990); /* 99 of each label */
    int count[10] = {0};
    for (size_t i = 0; i < 330; i++)
        count[d->labels[p.items[i]]]++;
    for (int c = 0; c < 10; c++)
        cr_assert_eq(count[c], 33);
    partition_fini(&p);
    labelled_free(d);
}

Test(partition, limit_label_unique_gives_no_item_twice)
{
    struct dataset *d = labelled_new(1000, 10, label_of_ten);
    struct partition p = deal_with(d, "limit_label_unique", "{labels: 3, samples: 20}", 10);
    bool seen[1000] = {false};

    for (size_t k = 0; k < 10; k++) {
        bool labels[10] = {false};
        int n = 0;
        cr_assert_eq(p.first[k + 1] - p.first[k], 60);
        for (size_t i = p.first[k]; i < p.first[k + 1]; i++) {
            cr_assert(!seen[p.items[i]]);
            seen[p.items[i]] = true;
            n += !labels[d->labels[p.items[i]]];
            labels[d->labels[p.items[i]]] = true;
        }
        cr_assert_eq(n, 3);
    }
    partition_fini(&p);
    labelled_free(d);
}
