/* A training step of every model that is shipped allocates nothing: its memory is the workspace's, planned once. The
 * linker sends the allocations of our own code here (module.am). Prints the workspaces' sizes with -v. */
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run.h"

enum {
    BATCH = 2,
    /* Larger models take gigabytes here, and their layers are those of smaller ones. */
    MOST_FLOATS = 1 << 26,
};

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static atomic_int allocations;

void *__wrap_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_aligned_alloc(alignment, size);
}

struct trial {
    struct model *model;
    struct workspace *ws;
    struct optimizer *optimizer;
    float *params, *grads, *x;
    int32_t *labels;
    struct rng rng;
};

static int prepare(struct trial *t)
{
    static const char json[] = "{\"name\": \"adam\"}";
    const struct layout *layout = model_layout(t->model);
    size_t D = BATCH * model_input_size(t->model), rows = model_output_rows(t->model);
    uint64_t vocabulary = (uint64_t)model_vocabulary(t->model);

    t->params = malloc(layout->num_floats * sizeof *t->params);
    t->grads = malloc(layout->num_parameters * sizeof *t->grads);
    t->x = malloc(D * sizeof *t->x);
    t->labels = malloc(BATCH * rows * sizeof *t->labels);
    if (!t->params || !t->grads || !t->x || !t->labels || workspace_new(t->model, BATCH, true, &t->ws, NULL) != OK ||
        optimizer_new(span_of(json, sizeof json - 1), 1e-3, layout->num_parameters, &t->optimizer, NULL) != OK)
        return 1;
    rng_init(&t->rng, 1, "test", "memory", 0);
    for (size_t i = 0; i < D; i++)
        t->x[i] = vocabulary ? (float)rng_below(&t->rng, vocabulary) : rng_uniform_between(&t->rng, 0, 1);
    for (size_t i = 0; i < BATCH * rows; i++)
        t->labels[i] = (int32_t)rng_below(&t->rng, model_output_size(t->model) / rows);
    model_init_params(t->model, 1, t->params);
    return 0;
}

static int run(const char *name, struct trial *t)
{
    const struct loss_ops *loss = loss_find("crossentropy");
    struct loss_sums sums = {0};
    int before, allocated;

    if (prepare(t) != 0) {
        fprintf(stderr, "%s: cannot be prepared\n", name);
        return 1;
    }
    before = atomic_load(&allocations);
    train_step(t->model, t->ws, loss, t->optimizer, t->params, t->grads, t->x, (struct targets){.labels = t->labels},
               BATCH, &t->rng, &sums);
    model_forward(t->model, t->ws, t->params, t->x, BATCH, false, NULL);
    allocated = atomic_load(&allocations) - before;
    if (allocated == 0)
        return 0;
    fprintf(stderr, "%s: a step allocates memory %d times\n", name, allocated);
    return 1;
}

/* 16 and 32 samples: what docs/BENCHMARKS.md tells. */
static void print_sizes(const char *name, const struct model *model)
{
    size_t bytes[2] = {0};

    for (int i = 0; i < 2; i++) {
        struct workspace *ws;

        if (workspace_new(model, 16 << i, true, &ws, NULL) == OK)
            bytes[i] = workspace_bytes(ws);
        workspace_free(ws);
    }
    printf("| %s | %.1f | %.1f | %.1f |\n", name, (double)model_layout(model)->num_floats * sizeof(float) / 1e6,
           (double)bytes[0] / 1e6, (double)bytes[1] / 1e6);
}

static int check(const char *models, const char *name, bool sizes)
{
    struct diags *diags = diags_new();
    struct trial t = {0};
    char folder[4096 + 256];
    int failed = 0;

    snprintf(folder, sizeof folder, "%s/%s", models, name);
    if (!diags || model_load(folder, NULL, &t.model, diags) != OK) {
        if (diags)
            diags_print(diags, stderr);
        return 1;
    }
    if (sizes)
        print_sizes(name, t.model);
    else if (model_layout(t.model)->num_floats <= MOST_FLOATS)
        failed = run(name, &t);
    workspace_free(t.ws);
    optimizer_free(t.optimizer);
    free(t.params), free(t.grads), free(t.x), free(t.labels);
    model_free(t.model);
    diags_free(diags);
    return failed;
}

int main(int argc, char **argv)
{
    const char *source = getenv("srcdir");
    char models[3000];
    struct dirent *entry;
    int failed = 0, checked = 0;
    DIR *folder;

    (void)argv;
    snprintf(models, sizeof models, "%s/models", source ? source : ".");
    folder = opendir(models);
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.') {
            failed |= check(models, entry->d_name, argc > 1);
            checked++;
        }
    if (folder)
        closedir(folder);
    return failed || checked == 0;
}
