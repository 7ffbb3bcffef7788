#include "aggregation_story.h"

#include <criterion/criterion.h>
#include <string.h>

static void make(struct story *story)
{
    struct error err = ERROR_INIT;
    struct strategy_args *args = strategy_world_args(story->ops->name, story->ops->params, story->yaml);

    cr_assert_eq(aggregator_init(&story->aggregator, story->ops, args, &story->world.base, &err), OK, "%s",
                 err.message);
}

void story_init(struct story *story, const struct flosim_aggregator_ops *ops, const char *yaml,
                const struct flosim_training *training)
{
    memset(story, 0, sizeof *story);
    strategy_world_init(&story->world, 1);
    if (training)
        story->world.base.training = training;
    story->ops = ops;
    story->yaml = yaml ? yaml : strategy_world_good_args(ops->name);
    make(story);
    for (size_t i = 0; i < STORY_CLIENTS; i++)
        story->order[i] = i;
    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        story->global[k] = 0.01f * (float)k - 0.2f;
}

void story_fini(struct story *story)
{
    aggregator_fini(&story->aggregator);
    strategy_world_fini(&story->world);
}

void story_restart(struct story *story)
{
    aggregator_fini(&story->aggregator);
    make(story);
    if (story->ops->restore)
        cr_assert_eq(story->ops->restore(story->aggregator.state), FLOSIM_OK, "%s: %s", story->ops->name,
                     story->aggregator.host.explanation.message);
}

static struct flosim_round round_of(const struct story *story, size_t i, bool complete)
{
    bool cohorts = (story->ops->flags & FLOSIM_USES_COHORTS) != 0;

    return (struct flosim_round){.size = sizeof(struct flosim_round),
                                 .version = story->version,
                                 .global = story->global,
                                 .cohort = cohorts ? (uint32_t)(i % STORY_COHORTS) : 0,
                                 .num_cohorts = cohorts ? STORY_COHORTS : 1,
                                 .complete = complete,
                                 .num_clients = WORLD_CLIENTS};
}

void story_begin_round(struct story *story)
{
    memcpy(story->base, story->global, sizeof story->base);
    story->base_version = story->version;
    for (size_t i = 0; i < STORY_CLIENTS && story->ops->prepare; i++) {
        struct flosim_round round = round_of(story, i, false);
        struct flosim_request request = {.size = sizeof request};

        cr_assert_eq(story->ops->prepare(story->aggregator.state, story->world.clients[i].id, &round, &request),
                     FLOSIM_OK);
        if (request.correction)
            memcpy(story->correction[i], request.correction, sizeof story->correction[i]);
        story->asked = request;
    }
}

struct flosim_update story_update(const struct story *story, size_t i, int64_t round, float *weights)
{
    struct flosim_update update = strategy_world_update(&story->world, i, weights);

    for (size_t k = 0; k < WORLD_WEIGHTS; k++) /* what was sent must make a difference, as it does to a real client */
        weights[k] = story->base[k] + 0.1f * (float)(round + 1) * weights[k] - 0.3f * story->correction[i][k];
    update.local_steps += round;
    update.base_version = story->base_version;
    update.base = story->ops->flags & FLOSIM_USES_BASE ? story->base : NULL;
    return update;
}

static int taken(struct story *story, int status, const float *out)
{
    if (status != FLOSIM_READY)
        return status;
    memcpy(story->global, out, sizeof story->global);
    story->version++;
    story->models++;
    return status;
}

int story_give(struct story *story, const struct flosim_update *update, size_t i, bool complete)
{
    struct flosim_round round = round_of(story, i, complete);
    float out[WORLD_WEIGHTS];

    return taken(story, story->ops->on_update(story->aggregator.state, update, &round, out), out);
}

int story_fail(struct story *story, size_t i, bool complete)
{
    struct flosim_round round = round_of(story, i, complete);
    float out[WORLD_WEIGHTS];

    return taken(story, story->ops->on_failure(story->aggregator.state, story->world.clients[i].id, &round, out), out);
}

bool story_fails(size_t i, int64_t round)
{
    return (i * 5 + (size_t)round * 7) % 6 == 0;
}

/* Is the client at this place of the order the last of its cohort? */
static bool is_last(const struct story *story, size_t place)
{
    bool cohorts = (story->ops->flags & FLOSIM_USES_COHORTS) != 0;

    for (size_t p = place + 1; p < STORY_CLIENTS; p++)
        if (!cohorts || story->order[p] % STORY_COHORTS == story->order[place] % STORY_COHORTS)
            return false;
    return true;
}

static void step(struct story *story, size_t number)
{
    int64_t round = (int64_t)(number / STORY_CLIENTS);
    size_t place = number % STORY_CLIENTS, i = story->order[place];
    float weights[WORLD_WEIGHTS];
    struct flosim_update update;
    int status;

    if (place == 0)
        story_begin_round(story);
    if (story_fails(i, round)) {
        status = story_fail(story, i, is_last(story, place));
    } else {
        update = story_update(story, i, round, weights);
        status = story_give(story, &update, i, is_last(story, place));
    }
    cr_assert_geq(status, 0, "%s: step %zu: %s", story->ops->name, number, story->aggregator.host.explanation.message);
}

void story_run(struct story *story, size_t from, size_t to)
{
    for (size_t number = from; number < to; number++)
        step(story, number);
}
