/* The contract of aggregations: it runs over every row of their registry. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aggregation_story.h"

/* Aggregators that work in rounds, whose results repeat. */
static bool works_in_rounds(const struct flosim_aggregator_ops *ops)
{
    return (ops->flags & (FLOSIM_WAITS_FOR_ALL | FLOSIM_USES_COHORTS)) != 0;
}

static void expect_same(const struct story *found, const struct story *expected, const char *what, size_t step)
{
    cr_assert_eq(found->models, expected->models, "%s, %s at step %zu: %zu models, not %zu", found->ops->name, what,
                 step, found->models, expected->models);
    cr_assert_eq(memcmp(found->global, expected->global, sizeof found->global), 0, "%s, %s at step %zu: another model",
                 found->ops->name, what, step);
}

static void tell_whole(struct story *story, const struct flosim_aggregator_ops *ops)
{
    story_init(story, ops, NULL, NULL);
    story_run(story, 0, STORY_STEPS);
    cr_assert_gt(story->models, 0, "%s never makes a model", ops->name);
    if (ops->flags & FLOSIM_WAITS_FOR_ALL)
        cr_assert_eq(story->models, STORY_ROUNDS);
}

static void shuffle(size_t *order, size_t n, unsigned salt)
{
    for (size_t i = n - 1; i > 0; i--) {
        size_t k = (salt = salt * 1103515245u + 12345u) / 65536u % (i + 1), swap = order[i];

        order[i] = order[k];
        order[k] = swap;
    }
}

Test(aggregations, those_that_work_in_rounds_do_not_depend_on_the_order)
{
    for (size_t k = 0; aggregations[k]; k++) {
        struct story first, other;

        if (!works_in_rounds(aggregations[k]))
            continue;
        cr_assert_not_null(aggregations[k]->discard, "%s", aggregations[k]->name);
        tell_whole(&first, aggregations[k]);
        for (unsigned salt = 1; salt < 20; salt++) {
            story_init(&other, aggregations[k], NULL, NULL);
            for (size_t round = 0; round < STORY_ROUNDS; round++) {
                shuffle(other.order, STORY_CLIENTS, salt * 7 + (unsigned)round);
                story_run(&other, round * STORY_CLIENTS, (round + 1) * STORY_CLIENTS);
                cr_assert_eq(other.ops->held(other.aggregator.state), 0);
            }
            expect_same(&other, &first, "in another order", salt);
            story_fini(&other);
        }
        story_fini(&first);
    }
}

Test(aggregations, nobody_answered_gives_no_model)
{
    for (size_t k = 0; aggregations[k]; k++) {
        struct story story;

        story_init(&story, aggregations[k], NULL, NULL);
        story_begin_round(&story);
        for (size_t i = 0; i < STORY_CLIENTS; i++)
            cr_assert_eq(story_fail(&story, i, i + STORY_COHORTS >= STORY_CLIENTS), FLOSIM_PENDING);
        cr_assert_eq(story.ops->held(story.aggregator.state), 0);
        story_fini(&story);
    }
}

static void save(struct story *story)
{
    cr_assert_eq(story->ops->save == NULL, story->ops->restore == NULL, "%s", story->ops->name);
    if (story->ops->save)
        cr_assert_eq(story->ops->save(story->aggregator.state), FLOSIM_OK, "%s", story->ops->name);
}

/* Saved after any step, restored into a fresh one: the same models to the end. */
Test(aggregations, survive_in_the_store_after_every_step, .timeout = 120)
{
    for (size_t k = 0; aggregations[k]; k++) {
        struct story whole, other;

        tell_whole(&whole, aggregations[k]);
        for (size_t s = 0; s <= STORY_STEPS; s++) {
            story_init(&other, aggregations[k], NULL, NULL);
            story_run(&other, 0, s);
            save(&other);
            story_restart(&other);
            story_run(&other, s, STORY_STEPS);
            expect_same(&other, &whole, "restored", s);
            story_fini(&other);
        }
        story_init(&other, aggregations[k], NULL, NULL);
        for (size_t s = 0; s < STORY_STEPS; s++) {
            story_run(&other, s, s + 1);
            save(&other);
            story_restart(&other);
        }
        expect_same(&other, &whole, "restored again and again", STORY_STEPS);
        story_fini(&other);
        story_fini(&whole);
    }
}

/* A leader that dies in a round goes on from what was saved after the one before, whatever was put into the store
 * since. */
Test(aggregations, an_interrupted_round_leaves_the_saved_state_alone)
{
    for (size_t k = 0; aggregations[k]; k++) {
        struct story whole, other;

        tell_whole(&whole, aggregations[k]);
        for (size_t round = 0; round < STORY_ROUNDS; round++) {
            float global[WORLD_WEIGHTS];
            size_t begin = round * STORY_CLIENTS, models;
            int64_t version;

            story_init(&other, aggregations[k], NULL, NULL);
            story_run(&other, 0, begin);
            save(&other);
            memcpy(global, other.global, sizeof global);
            models = other.models;
            version = other.version;
            story_run(&other, begin, begin + STORY_CLIENTS - 1);
            memcpy(other.global, global, sizeof global);
            other.models = models;
            other.version = version;
            story_restart(&other);
            story_run(&other, begin, STORY_STEPS);
            expect_same(&other, &whole, "interrupted", begin);
            story_fini(&other);
        }
        story_fini(&whole);
    }
}

/* ---- another process ---- */

static void write_whole(int fd, const void *data, size_t size)
{
    if (write(fd, data, size) != (ssize_t)size)
        _exit(3);
}

static int send_entry(void *context, const char *key, struct blob *value)
{
    size_t sizes[] = {strlen(key) + 1, blob_size(value)};

    write_whole(*(int *)context, sizes, sizeof sizes);
    write_whole(*(int *)context, key, sizes[0]);
    write_whole(*(int *)context, blob_bytes(value), sizes[1]);
    return OK;
}

/* The first half happens in a process of its own, which sends what its store holds. */
static void tell_first_half(const struct flosim_aggregator_ops *ops, size_t steps, int fd)
{
    struct story story;

    story_init(&story, ops, NULL, NULL);
    story_run(&story, 0, steps);
    if (ops->save && ops->save(story.aggregator.state) != FLOSIM_OK)
        _exit(2);
    write_whole(fd, &story, sizeof story);
    if (store_each(story.world.store, send_entry, &fd, NULL) != OK)
        _exit(4);
    _exit(0);
}

static bool read_whole(int fd, void *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, (char *)data + done, size - done);

        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static void receive_entries(int fd, struct store *store)
{
    size_t sizes[2];

    while (read_whole(fd, sizes, sizeof sizes)) {
        char *key = malloc(sizes[0]), *value = malloc(sizes[1] + 1);

        cr_assert(key && value && read_whole(fd, key, sizes[0]) && read_whole(fd, value, sizes[1]));
        cr_assert_eq(store_put(store, key, span_of(value, sizes[1]), NULL), OK);
        free(key);
        free(value);
    }
}

Test(aggregations, survive_the_process)
{
    enum { HALF = STORY_STEPS / 2 + 5 };

    for (size_t k = 0; aggregations[k]; k++) {
        static struct story whole, other, told;
        int fds[2], status;
        pid_t pid;

        tell_whole(&whole, aggregations[k]);
        cr_assert_eq(pipe(fds), 0);
        pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0)
            tell_first_half(aggregations[k], HALF, fds[1]);
        close(fds[1]);
        story_init(&other, aggregations[k], NULL, NULL);
        cr_assert(read_whole(fds[0], &told, sizeof told));
        receive_entries(fds[0], other.world.store);
        close(fds[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0);
        memcpy(other.global, told.global, sizeof other.global);
        memcpy(other.base, told.base, sizeof other.base);
        memcpy(other.correction, told.correction, sizeof other.correction);
        other.version = told.version;
        other.base_version = told.base_version;
        other.models = told.models;
        story_restart(&other);
        story_run(&other, HALF, STORY_STEPS);
        expect_same(&other, &whole, "in another process", HALF);
        story_fini(&other);
        story_fini(&whole);
    }
}

/* ---- rounds done anew, updates refused ---- */

Test(aggregations, a_discarded_round_leaves_no_trace)
{
    enum { BEFORE = STORY_CLIENTS, GIVEN = STORY_CLIENTS - STORY_COHORTS };

    for (size_t k = 0; aggregations[k]; k++) {
        struct story whole, other;

        if (!works_in_rounds(aggregations[k]))
            continue;
        tell_whole(&whole, aggregations[k]);
        story_init(&other, aggregations[k], NULL, NULL);
        for (size_t round = 0; round < STORY_ROUNDS; round++) {
            size_t begin = round * STORY_CLIENTS;

            story_run(&other, begin, begin + GIVEN);
            cr_assert_gt(other.ops->held(other.aggregator.state), 0);
            for (uint32_t cohort = 0; cohort < STORY_COHORTS; cohort++)
                other.ops->discard(other.aggregator.state, cohort);
            cr_assert_eq(other.ops->held(other.aggregator.state), 0, "%s", other.ops->name);
            story_run(&other, begin, begin + STORY_CLIENTS);
        }
        expect_same(&other, &whole, "after discarded rounds", 0);
        story_fini(&other);
        story_fini(&whole);
    }
}

/* Weights beyond all measure: whoever refuses them goes on as if they had not come. */
Test(aggregations, a_refused_update_changes_nothing)
{
    for (size_t k = 0; aggregations[k]; k++) {
        struct story whole, other;
        bool refuses = true;

        tell_whole(&whole, aggregations[k]);
        story_init(&other, aggregations[k], NULL, NULL);
        for (size_t s = 0; s < STORY_STEPS && refuses; s++) {
            float weights[WORLD_WEIGHTS];
            size_t i = STORY_CLIENTS + s % 3; /* who is new, too */
            struct flosim_update update;

            story_run(&other, s, s + 1);
            update = strategy_world_update(&other.world, i, weights);
            update.base_version = other.base_version;
            update.base = update.base_version >= 0 ? other.base : NULL;
            weights[s % WORLD_WEIGHTS] = 1e30f;
            refuses = other.ops->on_update(other.aggregator.state, &update,
                                           &(struct flosim_round){.size = sizeof(struct flosim_round),
                                                                  .version = other.version,
                                                                  .global = other.global,
                                                                  .num_cohorts = 1,
                                                                  .num_clients = WORLD_CLIENTS},
                                           (float[WORLD_WEIGHTS]){0}) < 0;
            cr_assert(!refuses || *other.aggregator.host.explanation.message, "%s gives no reason", other.ops->name);
        }
        if (refuses)
            expect_same(&other, &whole, "with refused updates", 0);
        story_fini(&other);
        story_fini(&whole);
    }
}
