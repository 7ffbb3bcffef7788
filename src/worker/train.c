/* StartTraining's arithmetic: epochs of mini-batches from the given weights. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/encoding.h"
#include "util/large.h"
#include "util/probe.h"
#include "worker/pss.h"
#include "worker/work.h"

struct training {
    struct work work;
    struct steps steps;
    const struct train_request *request;
    const struct request_bytes *bytes;
    uint32_t *order; /* [num_train]: the epoch's order of items */
    int64_t mini_batches;
    bool is_altered;       /* the host wants to have its say on the result */
    struct loss_sums sums; /* of the last epoch begun */
    float *received;       /* [P] the weights as they came, where somebody needs them in the end; or NULL */
    float *correction;     /* [P] where the strategy wants it */
    double initial_loss;   /* where it was asked for */
    long pss_idle_kb, pss_kb;
};

/* Strategies ask for more than plain training by name; a name that is not here is refused, not ignored. */
static int check_requires(const char *requires, struct error *err)
{
    static const char *const abilities[] = {"proximal", "correction", "initial_loss"};

    while (requires && *requires) {
        size_t n = strcspn(requires, ",");
        bool known = false;

        for (size_t i = 0; i < sizeof abilities / sizeof *abilities; i++)
            known |= strlen(abilities[i]) == n && strncmp(abilities[i], requires, n) == 0;
        if (!known)
            return FAIL(err, ERR_UNIMPLEMENTED, "the strategy needs `%.*s` of its clients, which this worker lacks",
                        n < 64 ? (int)n : 64, requires);
        requires += n + (requires[n] == ',');
    }
    return OK;
}

static int check_request(const struct train_request *request, struct error *err)
{
    int status = check_requires(request->requires, err);

    if (status)
        return status;
    if (!(request->proximal_mu >= 0 && request->proximal_mu < 1e6))
        return FAIL(err, ERR_INVALID, "proximal_mu is %g, must be from 0 to 1e6", request->proximal_mu);
    if (request->num_epochs < 1)
        return FAIL(err, ERR_INVALID, "num_epochs is %d, must be at least 1", (int)request->num_epochs);
    if (!isfinite(request->learning_rate))
        return FAIL(err, ERR_INVALID, "learning_rate is not a number");
    return work_check_limit(&request->limit, err);
}

static const struct worker_host *host_of(const struct training *t)
{
    return t->work.trainer->setup.host;
}

static const struct training_hooks *hooks_of(const struct trainer *trainer)
{
    static const struct training_hooks none;

    return trainer->setup.host->training ? trainer->setup.host->training : &none;
}

static void offer_model(const struct training *t)
{
    const struct training_hooks *hooks = hooks_of(t->work.trainer);

    if (hooks->model)
        hooks->model(host_of(t)->training_context, t->request->round_idx, t->work.params,
                     model_layout(t->work.model)->num_floats);
}

static bool is_altered(const struct training *t)
{
    const struct training_hooks *hooks = hooks_of(t->work.trainer);

    return hooks->alters && hooks->alters(host_of(t)->training_context, t->request->round_idx);
}

/* For the proximal term and for whoever alters the update. */
static int keep_received(struct training *t, struct error *err)
{
    size_t n = model_layout(t->work.model)->num_floats;

    t->is_altered = is_altered(t);
    if (!t->is_altered && !(t->request->proximal_mu > 0))
        return OK;
    t->received = large_alloc(n * sizeof *t->received);
    if (!t->received)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu weights", n);
    memcpy(t->received, t->work.params, n * sizeof *t->received);
    return OK;
}

/* What the strategy adds to the gradient, while the request's bytes are still there. */
static int prepare_drift(struct training *t, struct error *err)
{
    const struct train_request *request = t->request;
    const struct layout *layout = model_layout(t->work.model);
    size_t n = layout->num_floats ? layout->num_floats : 1;

    if (request->correction.size && !(t->correction = large_alloc(n * sizeof *t->correction)))
        return FAIL(err, ERR_MEMORY, "out of memory for a correction of %zu weights", n);
    int status = t->correction ? weights_decode(layout, request->correction, t->correction, err) : OK;
    if (!status)
        optimizer_set_drift(t->steps.optimizer, &(struct drift){request->proximal_mu, t->received, t->correction});
    return status;
}

static int prepare(struct training *t, struct trainer *trainer, struct error *err)
{
    const struct train_request *request = t->request;
    struct work_order order = {
        .model_id = request->model_id,
        .model_class = request->model_class,
        .dataset_id = request->dataset_id,
        .model_config = request->model_config,
        .loss_function = request->loss_function,
        .batch_size = request->batch_size,
    };
    int status = work_prepare(&t->work, trainer, &order, err);

    if (status)
        return status;
    size_t n = t->work.data.num_train;
    if (!n)
        return FAIL(err, ERR_PRECONDITION, "data set %.64s has no items to train on", request->dataset_id);
    if ((size_t)t->work.batch > n)
        t->work.batch = (int)n;
    status = weights_decode(model_layout(t->work.model), request->weights, t->work.params, err);
    if (!status)
        offer_model(t);
    if (!status)
        status = steps_init(&t->steps, &t->work, request->optimizer, (double)request->learning_rate, err);
    if (!status)
        status = keep_received(t, err);
    if (!status)
        status = prepare_drift(t, err);
    if (status)
        return status;
    t->steps.hooks = hooks_of(t->work.trainer);
    t->steps.round = request->round_idx;
    request_bytes_drop(t->bytes);
    t->order = malloc(n * sizeof *t->order);
    if (!t->order)
        return FAIL(err, ERR_MEMORY, "out of memory for an order of %zu items", n);
    for (size_t i = 0; i < n; i++)
        t->order[i] = (uint32_t)i;
    return OK;
}

static void run_mini_batch(struct training *t, size_t first, size_t count)
{
    steps_run(&t->steps, &t->work, t->order, first, count, &t->sums);
    if (t->mini_batches++ == 0)
        PROBE(t->work.trainer->setup.host->probes, "worker.training", t->request->round_idx);
}

static bool limit_reached(const struct training *t)
{
    return stopwatch_limit_reached(&t->work.watch, &t->request->limit, t->mini_batches);
}

/* Where states are carried from batch to batch, what fills no batch is left out. */
static size_t batches_of_epoch(const struct training *t)
{
    size_t n = t->work.data.num_train, batch = (size_t)t->work.batch;

    return model_carries(t->work.model) ? n / batch : (n + batch - 1) / batch;
}

/* A new order of the items; returns how many take part. Where states are carried, sample j of batch k + 1 follows
 * sample j of batch k: item j * steps + k. */
static size_t order_items(struct training *t, struct rng *shuffle)
{
    size_t n = t->work.data.num_train, batch = (size_t)t->work.batch, steps = batches_of_epoch(t);

    if (!model_carries(t->work.model)) {
        rng_shuffle_u32(shuffle, t->order, n);
        return n;
    }
    workspace_reset(t->steps.ws);
    for (size_t i = 0; i < steps * batch; i++)
        t->order[i] = (uint32_t)(i % batch * steps + i / batch);
    return steps * batch;
}

static int run_epoch(struct training *t, struct rng *shuffle, struct error *err)
{
    size_t n = order_items(t, shuffle), batch = (size_t)t->work.batch;

    t->sums = (struct loss_sums){0};
    for (size_t first = 0; first < n; first += batch) {
        run_mini_batch(t, first, n - first < batch ? n - first : batch);
        if (stopper_is_raised(t->work.stop))
            return work_cancelled(err);
        if (limit_reached(t))
            break;
    }
    return OK;
}

static int run_epochs(struct training *t, struct error *err)
{
    const struct train_request *request = t->request;
    const char *client_id = t->work.trainer->setup.client_id;
    struct rng shuffle;
    int status = OK;

    rng_init(&shuffle, request->seed, "shuffle", client_id, (uint64_t)request->round_idx);
    rng_init(&t->steps.noise, request->seed, "dropout", client_id, (uint64_t)request->round_idx);
    for (int32_t epoch = 0; !status && epoch < request->num_epochs && !(epoch > 0 && limit_reached(t)); epoch++)
        status = run_epoch(t, &shuffle, err);
    return status;
}

/* The loss of the weights as they came, on the whole training set. */
static int measure_initial_loss(struct training *t, struct error *err)
{
    struct work *work = &t->work;
    struct evaluation result;
    int status;

    if (!t->request->initial_loss)
        return OK;
    status = work_evaluate(work, 0, work->data.num_train, &result, err);
    t->initial_loss = status ? -1 : result.loss;
    return status;
}

static int write_metrics(const struct training *t, double duration_s, double measured_s, char **out, struct error *err)
{
    struct evaluation figures = evaluation_of(t->work.model, t->work.loss, &t->sums);
    json_t *metrics =
        json_pack("{s:o, s:o, s:I, s:I, s:o, s:I, s:I}", "time_taken_s", work_number(duration_s), "num_epochs",
                  work_number((double)t->mini_batches / (double)batches_of_epoch(t)), "total_mini_batches",
                  (json_int_t)t->mini_batches, "num_samples", (json_int_t)t->work.data.num_train, "measured_s",
                  work_number(measured_s), "pss_idle_kb", (json_int_t)t->pss_idle_kb, "pss_kb", (json_int_t)t->pss_kb);

    int failed = work_add_figures(metrics, &figures);

    if (t->work.loss->counts_correct)
        failed |= json_object_set_new(metrics, "square_loss",
                                      work_number(t->sums.squared_loss / (double)t->sums.predictions));
    if (t->request->initial_loss)
        failed |= json_object_set_new(metrics, "initial_loss", work_number(t->initial_loss));
    *out = failed ? NULL : json_dumps(metrics, JSON_COMPACT);
    json_decref(metrics);
    return *out ? OK : FAIL(err, ERR_MEMORY, "out of memory for metrics");
}

/* With the slot held. The answer's image is made here too: it is as large as the model. */
static int compute(struct training *t, struct trainer *trainer, struct trained *out, struct error *err)
{
    int status = prepare(t, trainer, err);

    if (!status)
        status = measure_initial_loss(t, err);
    if (!status)
        status = run_epochs(t, err);
    if (status)
        return status;
    const struct training_hooks *hooks = hooks_of(trainer);
    void *context = host_of(t)->training_context;
    if (t->is_altered)
        hooks->alter(context, t->request->round_idx, t->received, t->work.params,
                     model_layout(t->work.model)->num_floats);
    t->pss_kb = pss_read_kb();
    status = weights_encode(model_layout(t->work.model), t->work.params, &out->weights, err);
    if (!status && hooks->image)
        hooks->image(context, t->request->round_idx, &out->weights);
    return status;
}

int trainer_train(struct trainer *trainer, const struct train_request *request, const struct request_bytes *bytes,
                  struct stopper *stop, struct trained *out, struct error *err)
{
    struct training t = {.request = request, .bytes = bytes, .pss_idle_kb = pss_read_kb()};
    double duration_s = 0, measured_s = 0;

    *out = (struct trained){0};
    int status = check_request(request, err);
    if (!status)
        status = work_begin(&t.work, trainer, stop, err);
    if (status)
        return status;
    status = compute(&t, trainer, out, err);
    if (!status) {
        measured_s = stopwatch_measured_s(&t.work.watch);
        duration_s =
            stopwatch_duration_s(&t.work.watch, request->round_idx, request->weights.size, blob_size(out->weights));
    }
    steps_fini(&t.steps);
    free(t.order);
    free(t.received);
    free(t.correction);
    work_end(&t.work);
    if (!status)
        status = work_idle(&t.work, duration_s, err);
    if (!status)
        status = write_metrics(&t, duration_s, measured_s, &out->metrics, err);
    if (status)
        trained_fini(out);
    return status;
}

int trainer_offer_answer(const struct trainer *trainer, int64_t round, struct stopper *stop, struct blob **head,
                         struct blob **weights, struct error *err)
{
    static const double long_s = 3600;
    const struct training_hooks *hooks = hooks_of(trainer);

    if (!hooks->answer || hooks->answer(trainer->setup.host->training_context, round, head, weights))
        return OK;
    while (!stopper_sleep(stop, long_s))
        ;
    return work_cancelled(err);
}

void trained_fini(struct trained *trained)
{
    blob_unref(trained->weights);
    free(trained->metrics);
    *trained = (struct trained){0};
}
