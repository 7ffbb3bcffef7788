#include "strategy_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "util/rng.h"

void strategy_world_init(struct strategy_world *world, uint64_t seed)
{
    static const struct flosim_training training = {
        .num_epochs = 5, .batch_size = 10, .num_rounds = 100, .learning_rate = 0.1, .optimizer = "sgd"};
    const struct state_options options = {.kind = store_kind_find("inmemory"), .cluster = "0"};
    int64_t dims[] = {WORLD_PARAMETERS}, buffer[] = {WORLD_WEIGHTS - WORLD_PARAMETERS};

    memset(world, 0, sizeof *world);
    layout_init(&world->layout);
    cr_assert_eq(layout_add(&world->layout, "w", TENSOR_PARAMETER, false, 1, dims, NULL), OK);
    cr_assert_eq(layout_add(&world->layout, "mean", TENSOR_BUFFER, false, 1, buffer, NULL), OK);
    cr_assert_eq(state_open(&world->state, &options, NULL), OK);
    cr_assert_eq(store_open(world->state, STORE_AGGREGATOR_STATE, "1", &world->pending, &world->store, NULL), OK);
    world->base = (struct strategy_base){&world->layout, &training, seed, NULL, world->store};
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        snprintf(world->ids[i], sizeof world->ids[i], "client-%02zu", i);
        world->metrics[i] = (struct flosim_metric){"initial_loss", 0.5 + 0.17 * (double)i};
        world->clients[i] = (struct flosim_client){.id = world->ids[i],
                                                   .flags = FLOSIM_ACTIVE | FLOSIM_SELECTABLE,
                                                   .num_samples = 100 + (int64_t)i,
                                                   .seconds_per_batch = 0.01 * (double)(1 + i % 5),
                                                   .last_round = -1,
                                                   .last_loss = -1,
                                                   .last_accuracy = -1,
                                                   .last_seconds = -1,
                                                   .validation_loss = -1,
                                                   .validation_accuracy = -1,
                                                   .last_square_loss = -1,
                                                   .validation_round = -1};
    }
}

void strategy_world_fini(struct strategy_world *world)
{
    layout_fini(&world->layout);
    store_close(world->store);
    state_batch_free(world->pending);
    state_close(world->state);
}

static struct strategy_args *read_args(const char *name, const struct flosim_params *params, const char *yaml,
                                       struct diags *diags)
{
    struct strategy_args *args = NULL;
    struct yaml_doc *doc = NULL;
    struct yaml_node node = {0};

    if (*yaml) {
        cr_assert_eq(yaml_load_text(yaml, strlen(yaml), "args", 0, &doc, diags), OK, "%s", yaml);
        node = yaml_root(doc);
    }
    strategy_args_read(name, params, node, (struct diag_place){"session", 1, 1}, &args, diags);
    yaml_unref(doc);
    return args;
}

struct strategy_args *strategy_world_args(const char *name, const struct flosim_params *params, const char *yaml)
{
    struct diags *diags = diags_new();
    struct strategy_args *args = read_args(name, params, yaml, diags);

    if (!args)
        diags_print(diags, stderr);
    cr_assert(args, "%s refuses {%s}", name, yaml);
    diags_free(diags);
    return args;
}

size_t strategy_world_complaints(const char *name, const struct flosim_params *params, const char *yaml)
{
    struct diags *diags = diags_new();
    struct strategy_args *args = read_args(name, params, yaml, diags);
    size_t n = diags_errors(diags);

    cr_assert_eq(args == NULL, n > 0);
    strategy_args_free(args);
    diags_free(diags);
    return n;
}

const char *strategy_world_good_args(const char *name)
{
    static const struct {
        const char *name, *args;
    } rows[] = {
        {"accuracy_target", "{target: 80}"},
        {"accuracy_plateau", "{patience: 3, delta: 2}"},
        {"convergence", "{patience: 2, delta: 0.3}"},
        {"loss_threshold", "{threshold: 0.25}"},
        {"norm_clipping", "{max_norm: 5, noise: 0.1}"},
        {"wall_clock", "{limit: 9}"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].args;
    return "";
}

struct flosim_choice strategy_world_select(struct selector *selector, const struct flosim_selection *selection,
                                           unsigned char *action)
{
    unsigned char cohort[WORLD_CLIENTS] = {0};
    struct flosim_choice choice = {.size = sizeof choice, .action = action, .cohort = cohort};
    int status = selector->ops->select(selector->state, selection, &choice);

    cr_assert_eq(status, FLOSIM_OK, "%s: %s", selector->ops->name, selector->host.explanation.message);
    choice.action = choice.cohort = NULL;
    return choice;
}

struct flosim_selection strategy_world_selection(struct strategy_world *world, int64_t round)
{
    return (struct flosim_selection){.size = sizeof(struct flosim_selection),
                                     .round = round,
                                     .num_rounds = 100,
                                     .over_selection = 1,
                                     .num_clients = WORLD_CLIENTS,
                                     .clients = world->clients};
}

struct flosim_update strategy_world_update(const struct strategy_world *world, size_t i, float *weights)
{
    struct rng rng;

    rng_init(&rng, 1, "update", world->ids[i], 0);
    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        weights[k] = (float)rng_normal(&rng) * (k % 7 == 0 ? 1e-4f : 3.0f);
    return (struct flosim_update){.size = sizeof(struct flosim_update),
                                  .client = world->ids[i],
                                  .num_samples = world->clients[i].num_samples,
                                  .local_steps = 40 + 3 * (int64_t)(i % 5),
                                  .num_epochs = 5,
                                  .learning_rate = 0.1,
                                  .metrics = &world->metrics[i],
                                  .num_metrics = 1,
                                  .weights = weights};
}
