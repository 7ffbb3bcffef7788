#include "nn/run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CHUNK_MAX = 64, THREADS_MAX = 256 };

struct step_result train_step(const struct model *model, struct workspace *ws, const struct loss_ops *loss,
                              struct optimizer *optimizer, float *params, float *grads, const float *x,
                              struct targets target, int N, struct rng *rng)
{
    struct step_result result = {0, 0};
    const float *y = model_forward(model, ws, params, x, N, true, rng);
    float *gy = workspace_gradient(ws);

    result.loss_sum = loss->evaluate(y, target, N, model_output_size(model), gy, &result.correct);
    model_backward(model, ws, params, gy, grads, NULL);
    optimizer_step(optimizer, params, grads);
    return result;
}

struct chunk_sum {
    double loss;
    int64_t correct;
};

/* Shared by the threads of one evaluation. */
struct job {
    const struct model *model;
    const struct loss_ops *loss;
    const float *params;
    const struct batch_source *source;
    size_t chunk, num_chunks;
    struct chunk_sum *sums; /* [num_chunks] */
    atomic_size_t next;
    atomic_bool cancelled;
};

/* One thread's own. */
struct crew {
    struct job *job;
    struct workspace *ws;
    float *x;
    int32_t *labels;
    pthread_t thread;
    bool started;
};

static void evaluate_chunk(struct crew *crew, size_t i)
{
    struct job *job = crew->job;
    size_t first = i * job->chunk, left = job->source->num_items - first;
    size_t count = left < job->chunk ? left : job->chunk;
    const float *y;

    job->source->fetch(job->source->context, first, count, crew->x, crew->labels);
    y = model_forward(job->model, crew->ws, (float *)job->params, crew->x, (int)count, false, NULL);
    job->sums[i].loss = job->loss->evaluate(y, (struct targets){.labels = crew->labels}, (int)count,
                                            model_output_size(job->model), NULL, &job->sums[i].correct);
}

static void *run_chunks(void *context)
{
    struct crew *crew = context;
    struct job *job = crew->job;
    size_t i;

    while (!atomic_load(&job->cancelled) && (i = atomic_fetch_add(&job->next, 1)) < job->num_chunks)
        evaluate_chunk(crew, i);
    return NULL;
}

static int crew_init(struct crew *crew, struct job *job, struct error *err)
{
    crew->job = job;
    crew->x = malloc(job->chunk * model_input_size(job->model) * sizeof *crew->x);
    crew->labels = malloc(job->chunk * sizeof *crew->labels);
    if (!crew->x || !crew->labels)
        return FAIL(err, ERR_MEMORY, "out of memory for a batch of %zu", job->chunk);
    return workspace_new(job->model, (int)job->chunk, false, &crew->ws, err);
}

static void crew_fini(struct crew *crew)
{
    workspace_free(crew->ws);
    free(crew->x);
    free(crew->labels);
}

/* The calling thread works too, and alone asks `stop`. */
static void run_job(struct job *job, struct crew *crews, int threads, bool (*stop)(const void *), const void *context)
{
    size_t i;

    for (int t = 1; t < threads; t++)
        crews[t].started = pthread_create(&crews[t].thread, NULL, run_chunks, &crews[t]) == 0;
    while ((i = atomic_fetch_add(&job->next, 1)) < job->num_chunks) {
        if (stop && stop(context)) {
            atomic_store(&job->cancelled, true);
            break;
        }
        evaluate_chunk(&crews[0], i);
    }
    for (int t = 1; t < threads; t++)
        if (crews[t].started)
            pthread_join(crews[t].thread, NULL);
}

static void sum_up(const struct job *job, struct evaluation *out)
{
    double loss = 0;
    int64_t correct = 0;

    for (size_t i = 0; i < job->num_chunks; i++) {
        loss += job->sums[i].loss;
        correct += job->sums[i].correct;
    }
    out->num_items = (int64_t)job->source->num_items;
    out->loss = loss / (double)out->num_items;
    out->accuracy = 100.0 * (double)correct / (double)out->num_items;
}

static int run_threads(struct job *job, int threads, bool (*stop)(const void *), const void *context, struct error *err)
{
    struct crew *crews = calloc((size_t)threads, sizeof *crews);
    int status = crews ? OK : FAIL(err, ERR_MEMORY, "out of memory for %d threads", threads);

    for (int t = 0; t < threads && status == OK; t++)
        status = crew_init(&crews[t], job, err);
    if (status == OK)
        run_job(job, crews, threads, stop, context);
    for (int t = 0; t < threads && crews; t++)
        crew_fini(&crews[t]);
    free(crews);
    if (status == OK && atomic_load(&job->cancelled))
        status = FAIL(err, ERR_CANCELLED, "the evaluation was stopped");
    return status;
}

int evaluate(const struct model *model, const struct loss_ops *loss, const float *params,
             const struct batch_source *source, int batch, int threads, bool (*stop)(const void *context),
             const void *stop_context, struct evaluation *out, struct error *err)
{
    struct job job = {.model = model, .loss = loss, .params = params, .source = source};
    int status;

    if (source->num_items == 0 || batch < 1)
        return FAIL(err, ERR_INVALID, "nothing to evaluate: %zu items in batches of %d", source->num_items, batch);
    /* Whole blocks, and no more than the cache likes: the batch's size is about memory, not about results. */
    job.chunk = batch < CHUNK_MAX ? ((size_t)batch + 15) / 16 * 16 : CHUNK_MAX;
    job.num_chunks = (source->num_items + job.chunk - 1) / job.chunk;
    if (threads < 1)
        threads = 1;
    if ((size_t)threads > job.num_chunks)
        threads = (int)job.num_chunks;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    job.sums = calloc(job.num_chunks, sizeof *job.sums);
    if (!job.sums)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu sums", job.num_chunks);
    status = run_threads(&job, threads, stop, stop_context, err);
    if (status == OK)
        sum_up(&job, out);
    free(job.sums);
    return status;
}
