/* Training on several threads gives what one thread gives, bit by bit. A plain program, so that ThreadSanitizer can run
 * it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run.h"

/* Each large enough that its parts are worth sharing out. */
static const char *const networks[] = {
    "input: [3, 32, 32]\nlayers:\n  - c1: {conv2d: {out: 32, kernel: 3, padding: 1}}\n  - {relu: {}}\n"
    "  - c2: {conv2d: {out: 40, kernel: 5, stride: 2, padding: 1}}\n  - {relu: {}}\n  - {maxpool2d: {kernel: 2}}\n"
    "  - {flatten: {}}\n  - f: {linear: {out: 10}}\n",
    "input: [80, 14, 14]\nlayers:\n  - c1: {conv2d: {out: 70, kernel: 3, padding: 1}}\n"
    "  - c2: {conv2d: {out: 70, kernel: 1}}\n  - {flatten: {}}\n  - f: {linear: {out: 10}}\n",
    "input: [700]\nlayers:\n  - f1: {linear: {out: 900}}\n  - {relu: {}}\n  - f2: {linear: {out: 601}}\n"
    "  - {relu: {}}\n  - f3: {linear: {out: 10}}\n",
    "input: [20, 96]\nlayers:\n  - f1: {linear: {out: 200}}\n  - {relu: {}}\n  - f2: {linear: {out: 40}}\n"
    "  - {flatten: {}}\n  - f3: {linear: {out: 10}}\n",
    "input: [16, 16, 16]\nlayers:\n  - c1: {conv2d: {out: 32, kernel: 3, padding: 1}}\n  - b: {batchnorm2d: {}}\n"
    "  - {relu: {}}\n  - c2: {conv2d: {out: 32, kernel: 3, padding: 1}}\n  - g: {groupnorm: {groups: 4}}\n"
    "  - {flatten: {}}\n  - l: {layernorm: {}}\n  - f: {linear: {out: 10}}\n",
};
static const char *const optimizers_tried[] = {"{\"name\": \"sgd\", \"args\": {\"momentum\": 0.9}}",
                                               "{\"name\": \"adam\"}"};

enum { BATCH = 21, STEPS = 2 };

static void fill(struct rng *rng, float *x, size_t n, int32_t *labels)
{
    for (size_t i = 0; i < n; i++)
        x[i] = rng_uniform_between(rng, -1, 1);
    for (int i = 0; i < BATCH; i++)
        labels[i] = (int32_t)rng_below(rng, 10);
}

/* Train a few steps with so many threads; returns the weights, or NULL. */
static float *train(const struct model *model, const char *json, int threads)
{
    const struct layout *layout = model_layout(model);
    float *params = malloc(layout->num_floats * sizeof *params);
    float *grads = malloc(layout->num_parameters * sizeof *grads);
    float *x = malloc(BATCH * model_input_size(model) * sizeof *x);
    int32_t labels[BATCH];
    struct optimizer *optimizer = NULL;
    struct workspace *ws = NULL;
    struct rng rng;
    int status = params && grads && x ? workspace_new(model, BATCH, true, &ws, NULL) : ERR_MEMORY;

    if (status == OK)
        status = workspace_set_threads(ws, threads, NULL);
    if (status == OK)
        status = optimizer_new(span_of(json, strlen(json)), 0.01, layout->num_parameters, &optimizer, NULL);
    rng_init(&rng, 1, "test", "team", 0);
    if (status == OK)
        model_init_params(model, 1, params);
    for (int step = 0; step < STEPS && status == OK; step++) {
        fill(&rng, x, BATCH * model_input_size(model), labels);
        train_step(model, ws, loss_find("crossentropy"), optimizer, params, grads, x,
                   (struct targets){.labels = labels}, BATCH, &rng, &(struct loss_sums){0});
    }
    workspace_free(ws);
    optimizer_free(optimizer);
    free(grads), free(x);
    if (status == OK)
        return params;
    free(params);
    return NULL;
}

static int compare(const struct model *model, const char *json, const char *text)
{
    float *one = train(model, json, 1);
    int failed = one == NULL;

    for (int threads = 2; threads <= 3 && !failed; threads++) {
        float *many = train(model, json, threads);

        failed = !many || memcmp(one, many, model_layout(model)->num_floats * sizeof *many) != 0;
        if (failed)
            fprintf(stderr, "%d threads train another network than one thread, with %s:\n%s", threads, json, text);
        free(many);
    }
    free(one);
    return failed;
}

static void count(const void *context, size_t part)
{
    int *counts = *(int *const *)context;

    counts[part]++;
}

/* Every part runs, once, and is seen by the caller afterwards. */
static int check_parts(void)
{
    enum { PARTS = 1000, RUNS = 50 };
    static int counts[PARTS];
    int *context = counts;
    struct team *team;

    if (team_new(4, &team, NULL) != OK)
        return 1;
    for (int run = 0; run < RUNS; run++)
        team_run(team, PARTS, 1e9, count, &context);
    team_free(team);
    for (int i = 0; i < PARTS; i++)
        if (counts[i] != RUNS) {
            fprintf(stderr, "part %d ran %d times of %d\n", i, counts[i], RUNS);
            return 1;
        }
    return 0;
}

static int check_network(const char *text)
{
    struct diags *diags = diags_new();
    struct model *model;
    int failed = 0;

    if (!diags || model_load_text(text, "model.yaml", NULL, &model, diags) != OK)
        return 1;
    for (size_t i = 0; i < sizeof optimizers_tried / sizeof *optimizers_tried; i++)
        failed |= compare(model, optimizers_tried[i], text);
    model_free(model);
    diags_free(diags);
    return failed;
}

int main(void)
{
    static const char *const sets[] = {"avx512", "avx2", "generic"};
    int failed = check_parts();

    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++) {
        setenv("FLOSIM_KERNELS", sets[set], 1);
        for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
            failed |= check_network(networks[i]);
    }
    return failed;
}
