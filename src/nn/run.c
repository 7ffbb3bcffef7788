#include "nn/run.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "nn/columns.h"

enum { CHUNK_MAX = 64, THREADS_MAX = 256 };

int batch_init(struct batch *batch, const struct model *model, const struct loss_ops *loss, bool has_values,
               size_t capacity, struct error *err)
{
    size_t rows = model_output_rows(model), outputs = model_output_size(model);

    batch->x = malloc(capacity * model_input_size(model) * sizeof *batch->x);
    batch->labels = malloc(capacity * rows * sizeof *batch->labels);
    batch->values = has_values || loss->wants_values ? malloc(capacity * outputs * sizeof *batch->values) : NULL;
    if (batch->x && batch->labels && (batch->values || !(has_values || loss->wants_values)))
        return OK;
    batch_fini(batch);
    return FAIL(err, ERR_MEMORY, "out of memory for a batch of %zu", capacity);
}

void batch_fini(struct batch *batch)
{
    free(batch->x);
    free(batch->labels);
    free(batch->values);
    *batch = (struct batch){0};
}

struct targets batch_targets(struct batch *batch, const struct model *model, const struct loss_ops *loss,
                             bool has_values, int N)
{
    size_t rows = model_output_rows(model);

    if (!loss->wants_values)
        return (struct targets){.labels = batch->labels};
    if (!has_values)
        targets_from_labels(batch->labels, (size_t)N * rows, model_output_size(model) / rows, batch->values);
    return (struct targets){.values = batch->values};
}

void train_step(const struct model *model, struct workspace *ws, const struct loss_ops *loss,
                struct optimizer *optimizer, float *params, float *grads, const float *x, struct targets target, int N,
                struct rng *rng, struct loss_sums *sums)
{
    size_t rows = model_output_rows(model);
    const float *y = model_forward(model, ws, params, x, N, true, rng);
    float *gy = workspace_gradient(ws);

    loss->evaluate(y, target, (size_t)N * rows, model_output_size(model) / rows, gy, sums);
    model_backward(model, ws, params, gy, grads, NULL);
    optimizer_step(optimizer, workspace_team(ws), params, grads);
}

struct evaluation evaluation_of(const struct model *model, const struct loss_ops *loss, const struct loss_sums *sums)
{
    double n = (double)sums->predictions;
    struct evaluation out = {
        .loss = sums->loss / n,
        .accuracy = loss->counts_correct ? 100.0 * (double)sums->correct / n : NAN,
        .perplexity = NAN,
        .mae = loss->wants_values ? sums->absolute_error / n : NAN,
        .mse = loss->wants_values ? sums->squared_error / n : NAN,
        .num_items = sums->predictions / (int64_t)model_output_rows(model),
    };

    if (!loss->wants_values && model_vocabulary(model) > 0)
        out.perplexity = exp(out.loss);
    return out;
}

/* Shared by the threads of one evaluation. */
struct job {
    const struct model *model;
    const struct loss_ops *loss;
    const float *params;
    const struct batch_source *source;
    struct column *columns; /* of a model that carries its state: a chunk is so many columns; else so many items */
    size_t num_columns;
    size_t chunk, num_chunks;
    struct loss_sums *sums;            /* [num_chunks] */
    bool (*stop)(const void *context); /* NULL, or asked by the calling thread */
    const void *stop_context;
    atomic_size_t next;
    atomic_bool cancelled;
};

/* One thread's own. */
struct crew {
    struct job *job;
    struct workspace *ws;
    struct batch batch;
    pthread_t thread;
    bool is_caller, started;
};

static void evaluate_batch(struct crew *crew, size_t count, struct loss_sums *sums)
{
    struct job *job = crew->job;
    size_t rows = model_output_rows(job->model);
    const float *y = model_forward(job->model, crew->ws, (float *)job->params, crew->batch.x, (int)count, false, NULL);

    job->loss->evaluate(y, batch_targets(&crew->batch, job->model, job->loss, job->source->has_values, (int)count),
                        count * rows, model_output_size(job->model) / rows, NULL, sums);
}

static void evaluate_items(struct crew *crew, size_t i)
{
    struct job *job = crew->job;
    size_t first = i * job->chunk, left = job->source->num_items - first;
    size_t count = left < job->chunk ? left : job->chunk;

    job->source->fetch(job->source->context, first, count, crew->batch.x, crew->batch.labels, crew->batch.values);
    evaluate_batch(crew, count, &job->sums[i]);
}

/* Only the calling thread asks. */
static bool is_cancelled(const struct crew *crew)
{
    struct job *job = crew->job;

    if (crew->is_caller && job->stop && job->stop(job->stop_context))
        atomic_store(&job->cancelled, true);
    return atomic_load(&job->cancelled);
}

/* Item `step` of columns 0 ... count - 1, one below the other. */
static void fetch_step(struct crew *crew, const struct column *columns, size_t count, size_t step)
{
    const struct job *job = crew->job;
    struct batch *batch = &crew->batch;
    size_t D = model_input_size(job->model), O = model_output_size(job->model), rows = model_output_rows(job->model);

    for (size_t c = 0; c < count; c++)
        job->source->fetch(job->source->context, columns[c].first + step, 1, batch->x + c * D, batch->labels + c * rows,
                           batch->values ? batch->values + c * O : NULL);
}

/* The columns grow shorter, so those that are still read are always the first of the batch and keep their states. */
static void evaluate_columns(struct crew *crew, size_t i)
{
    struct job *job = crew->job;
    const struct column *columns = job->columns + i * job->chunk;
    size_t left = job->num_columns - i * job->chunk, count = left < job->chunk ? left : job->chunk;

    workspace_reset(crew->ws);
    for (size_t step = 0; step < columns[0].count; step++) {
        if (step > 0 && is_cancelled(crew))
            return;
        while (columns[count - 1].count <= step)
            count--;
        fetch_step(crew, columns, count, step);
        evaluate_batch(crew, count, &job->sums[i]);
    }
}

static void *run_chunks(void *context)
{
    struct crew *crew = context;
    struct job *job = crew->job;
    size_t i;

    while ((i = atomic_fetch_add(&job->next, 1)) < job->num_chunks && !is_cancelled(crew)) {
        if (job->columns)
            evaluate_columns(crew, i);
        else
            evaluate_items(crew, i);
    }
    return NULL;
}

static int crew_init(struct crew *crew, struct job *job, struct error *err)
{
    int status = batch_init(&crew->batch, job->model, job->loss, job->source->has_values, job->chunk, err);

    crew->job = job;
    return status ? status : workspace_new(job->model, (int)job->chunk, false, &crew->ws, err);
}

static void crew_fini(struct crew *crew)
{
    workspace_free(crew->ws);
    batch_fini(&crew->batch);
}

/* The calling thread works too, and alone asks `stop`. */
static void run_job(struct crew *crews, int threads)
{
    for (int t = 1; t < threads; t++)
        crews[t].started = pthread_create(&crews[t].thread, NULL, run_chunks, &crews[t]) == 0;
    crews[0].is_caller = true;
    run_chunks(&crews[0]);
    for (int t = 1; t < threads; t++)
        if (crews[t].started)
            pthread_join(crews[t].thread, NULL);
}

static void sum_up(const struct job *job, struct evaluation *out)
{
    struct loss_sums sums = {0};

    for (size_t i = 0; i < job->num_chunks; i++) {
        sums.loss += job->sums[i].loss;
        sums.predictions += job->sums[i].predictions;
        sums.correct += job->sums[i].correct;
        sums.absolute_error += job->sums[i].absolute_error;
        sums.squared_error += job->sums[i].squared_error;
        sums.squared_loss += job->sums[i].squared_loss;
    }
    *out = evaluation_of(job->model, job->loss, &sums);
}

static int run_threads(struct job *job, int threads, struct error *err)
{
    struct crew *crews = calloc((size_t)threads, sizeof *crews);
    int status = crews ? OK : FAIL(err, ERR_MEMORY, "out of memory for %d threads", threads);

    for (int t = 0; t < threads && status == OK; t++)
        status = crew_init(&crews[t], job, err);
    if (status == OK)
        run_job(crews, threads);
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
    struct job job = {.model = model,
                      .loss = loss,
                      .params = params,
                      .source = source,
                      .num_columns = source->num_items,
                      .stop = stop,
                      .stop_context = stop_context};
    int status;

    if (source->num_items == 0 || batch < 1)
        return FAIL(err, ERR_INVALID, "nothing to evaluate: %zu items in batches of %d", source->num_items, batch);
    /* Whole blocks, and no more than the cache likes: the batch's size is about memory, not about results. */
    job.chunk = batch < CHUNK_MAX ? ((size_t)batch + 15) / 16 * 16 : CHUNK_MAX;
    if (model_carries(model) && !(job.columns = columns_cut(source, (size_t)batch, &job.num_columns, err)))
        return ERR_MEMORY;
    job.num_chunks = (job.num_columns + job.chunk - 1) / job.chunk;
    if (threads < 1)
        threads = 1;
    if ((size_t)threads > job.num_chunks)
        threads = (int)job.num_chunks;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    job.sums = calloc(job.num_chunks, sizeof *job.sums);
    status = job.sums ? run_threads(&job, threads, err)
                      : FAIL(err, ERR_MEMORY, "out of memory for %zu sums", job.num_chunks);
    if (status == OK)
        sum_up(&job, out);
    free(job.columns);
    free(job.sums);
    return status;
}
