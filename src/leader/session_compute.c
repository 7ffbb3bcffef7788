/* The compute thread's side of a session: strategies, weights, stores; a new global model from its making to its
 * record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flosim/exact_sum.h>

#include "codec/encoding.h"
#include "leader/session_internal.h"
#include "util/large.h"

/* The strategies' own parts of the state: what they put goes into `pending`, and with the next model into the state. */
static int open_stores(struct session *session, struct error *err)
{
    struct session_compute *compute = &session->compute;
    const char *id = session->setup->session_id;
    struct state *state = session->env.state;
    int status = store_open(state, STORE_TRAINING_SESSION, id, &compute->pending, &compute->session_store, err);

    if (status == OK)
        status = store_open(state, STORE_CLIENT_SELECTION_STATE, id, &compute->pending, &compute->selection_store, err);
    if (status == OK)
        status = store_open(state, STORE_AGGREGATOR_STATE, id, &compute->pending, &compute->aggregator_store, err);
    return status;
}

/* The strategies take their arguments out of the setup. */
static int open_strategies(struct session *session, struct error *err)
{
    struct session_compute *compute = &session->compute;
    struct session_strategies *named = &session->setup->strategies;
    struct strategy_base base = {&session->setup->layout, &compute->training,
                                 (uint64_t)session->setup->config.session_config.seed, session->env.log,
                                 compute->selection_store};
    int status;

    session_describe_training(&session->setup->config, &compute->training, &compute->own_rate);
    status = selector_init(&compute->selector, named->selector, named->selector_args, &base, err);

    named->selector_args = NULL;
    base.store = compute->aggregator_store;
    if (status == OK) {
        status = aggregator_init(&compute->aggregator, named->aggregator, named->aggregator_args, &base, err);
        named->aggregator_args = NULL;
    }
    base.store = compute->session_store;
    for (size_t i = 0; status == OK && i < named->num_terminations; i++) {
        status =
            termination_init(&compute->terminations[i], named->terminations[i], named->termination_args[i], &base, err);
        named->termination_args[i] = NULL;
        compute->num_terminations += status == OK;
    }
    return status;
}

static int allocate_weights(struct session *session, struct error *err)
{
    struct session_compute *compute = &session->compute;
    size_t n = session->setup->layout.num_floats ? session->setup->layout.num_floats : 1;

    compute->global = session->setup->initial;
    session->setup->initial = NULL;
    compute->next = large_zeroed(n * sizeof *compute->next);
    compute->scratch = large_zeroed(n * sizeof *compute->scratch);
    if (session->setup->strategies.aggregator->flags & FLOSIM_USES_BASE)
        compute->base = large_zeroed(n * sizeof *compute->base);
    compute->num_cohorts = 1;
    if (!compute->global || !compute->next || !compute->scratch ||
        (!compute->base && (session->setup->strategies.aggregator->flags & FLOSIM_USES_BASE)))
        return FAIL(err, ERR_MEMORY, "no memory for %zu weights", n);
    return weights_encode(&session->setup->layout, compute->global, &session->image, err);
}

/* ---- the strategies' state ---- */

int session_strategies_save(struct session_compute *compute, struct error *err)
{
    struct selector *selector = &compute->selector;
    struct aggregator *aggregator = &compute->aggregator;

    if (selector->ops->save && selector->ops->save(selector->state) < 0)
        return strategy_error(&selector->host, selector->host.explanation.status, err);
    if (aggregator->ops->save && aggregator->ops->save(aggregator->state) < 0)
        return strategy_error(&aggregator->host, aggregator->host.explanation.status, err);
    for (size_t i = 0; i < compute->num_terminations; i++) {
        struct termination *termination = &compute->terminations[i];

        if (termination->ops->save && termination->ops->save(termination->state) < 0)
            return strategy_error(&termination->host, termination->host.explanation.status, err);
    }
    return OK;
}

int session_strategies_restore(struct session_compute *compute, struct error *err)
{
    struct selector *selector = &compute->selector;
    struct aggregator *aggregator = &compute->aggregator;

    if (selector->ops->restore && selector->ops->restore(selector->state) < 0)
        return strategy_error(&selector->host, selector->host.explanation.status, err);
    if (aggregator->ops->restore && aggregator->ops->restore(aggregator->state) < 0)
        return strategy_error(&aggregator->host, aggregator->host.explanation.status, err);
    for (size_t i = 0; i < compute->num_terminations; i++) {
        struct termination *termination = &compute->terminations[i];

        if (termination->ops->restore && termination->ops->restore(termination->state) < 0)
            return strategy_error(&termination->host, termination->host.explanation.status, err);
    }
    return OK;
}

int session_strategies_anew(struct session_compute *compute, struct error *err)
{
    int status = selector_again(&compute->selector, err);

    if (status == OK)
        status = aggregator_again(&compute->aggregator, err);
    for (size_t i = 0; i < compute->num_terminations && status == OK; i++)
        status = termination_again(&compute->terminations[i], err);
    return status;
}

int session_compute_init(struct session *session, struct error *err)
{
    int status = allocate_weights(session, err);

    if (status == OK)
        status = open_stores(session, err);
    if (status == OK)
        status = open_strategies(session, err);
    return status;
}

void session_compute_fini(struct session *session)
{
    struct session_compute *compute = &session->compute;

    if (compute->selector.ops)
        selector_fini(&compute->selector);
    if (compute->aggregator.ops)
        aggregator_fini(&compute->aggregator);
    for (size_t i = 0; i < compute->num_terminations; i++)
        termination_fini(&compute->terminations[i]);
    store_close(compute->session_store);
    store_close(compute->selection_store);
    store_close(compute->aggregator_store);
    state_batch_free(compute->pending);
    free(compute->global);
    free(compute->next);
    free(compute->scratch);
    free(compute->base);
}

/* ---- a new model ---- */

static bool broken_off(const void *context)
{
    return ((const struct session_compute *)context)->broken_off;
}

/* Round intervals count from 0: the first round is always validated, and so is the last. */
static bool is_due(const struct session *session, int64_t round)
{
    int64_t interval = session->setup->config.session_config.validation_round_interval;

    return session->setup->validator &&
           (interval <= 1 || round % interval == 0 || round + 1 == session_num_rounds(session));
}

static int validate(struct session *session, int64_t round, struct new_model *out, struct error *err)
{
    const struct leader_host *host = session->env.host;
    struct session_compute *compute = &session->compute;
    uint64_t began_ns = session_now_ns(session);
    int status;

    if (!is_due(session, round))
        return OK;
    PROBE(host ? host->probes : NULL, "leader.validation", round);
    status = session->setup->validator->run(session->setup->validator, compute->global, broken_off, compute,
                                            &out->figures, err);
    if (status == ERR_CANCELLED)
        return OK;
    out->validated = status == OK;
    out->validation_s = session_seconds_since(session, began_ns);
    return status;
}

static int check_terminations(struct session *session, struct new_model *out, struct error *err)
{
    struct session_compute *compute = &session->compute;
    struct flosim_progress progress = {
        .size = sizeof progress,
        .validated = out->validated,
        .rounds = compute->version,
        .num_rounds = session_num_rounds(session),
        .accuracy = out->figures.accuracy,
        .loss = out->figures.loss,
        .elapsed_s = session_seconds_since(session, compute->began_ns),
        .global = compute->global,
        .previous = compute->next, /* session_compute_adopt swapped them */
    };

    for (size_t i = 0; i < compute->num_terminations && !out->stop; i++) {
        struct termination *termination = &compute->terminations[i];
        int status = termination->ops->check(termination->state, &progress);

        if (status < 0)
            return strategy_error(&termination->host, status, err);
        out->stop = compute->stopped = status == FLOSIM_STOP;
        if (out->stop)
            snprintf(out->stop_reason, sizeof out->stop_reason, "%s", termination->host.explanation.message);
    }
    return OK;
}

/* What the state is to keep with a model: its number, itself, the strategies as they are now. The loop adds its part.
 */
static int record_model(struct session *session, struct new_model *model, struct error *err)
{
    struct session_compute *compute = &session->compute;
    int status = session_strategies_save(compute, err);

    model->batch = compute->pending ? compute->pending : state_batch_new();
    compute->pending = NULL;
    if (!model->batch)
        return FAIL(err, ERR_MEMORY, "no memory for the state of a round");
    return status == OK ? session_record_version(session, model->batch, compute->version, model->image, err) : status;
}

void session_model_fini(struct new_model *model)
{
    blob_unref(model->image);
    state_batch_free(model->batch);
    model->image = NULL;
    model->batch = NULL;
}

int session_compute_adopt(struct session *session, struct new_model *out, struct error *err)
{
    const struct leader_host *host = session->env.host;
    struct session_compute *compute = &session->compute;
    int64_t round = compute->version;
    float *old = compute->global;
    int status;

    PROBE(host ? host->probes : NULL, "leader.aggregation", round);
    if (flosim_largest_bits(compute->next, session->setup->layout.num_floats) >= 0x7f800000u)
        return FAIL(err, ERR_INVALID, "the aggregator gave a model that is not finite");
    status = weights_encode(&session->setup->layout, compute->next, &out->image, err);
    if (status != OK)
        return status;
    compute->global = compute->next;
    compute->next = old;
    compute->version++;
    status = validate(session, round, out, err);
    if (status == OK)
        status = check_terminations(session, out, err);
    if (status == OK)
        status = record_model(session, out, err);
    if (status != OK)
        session_model_fini(out);
    return status;
}
