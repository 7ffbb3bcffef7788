/* One answer on its way through the compute thread: decode, check, aggregate, and what follows from a new model. */
#include <string.h>

#include <flosim/exact_sum.h>

#include "codec/encoding.h"
#include "leader/session_internal.h"

/* ---- compute thread ---- */

static int check_weights(struct session_job *job, struct span image, struct error *err)
{
    const struct session *session = job->session;
    const struct layout *layout = &session->setup->layout;
    int status = weights_decode(layout, image, session->compute.scratch, err);

    if (status != OK) {
        job->refusal = session_refusal_of(status, image);
        return status;
    }
    if (flosim_largest_bits(session->compute.scratch, layout->num_floats) < 0x7f800000u)
        return OK;
    job->refusal = REFUSED_NON_FINITE;
    return FAIL(err, ERR_INVALID, "its weights are not finite");
}

/* Everything that the leader asks of an update before it may touch the global model. Fills scratch [P]. */
static int check_update(struct session_job *job, struct error *err)
{
    const struct session *session = job->session;
    struct train_response response;
    int status = edge_decode_train_response(job->body, &response, err);

    job->refusal = REFUSED_TRUNCATED;
    if (status != OK)
        return status;
    job->refusal = REFUSED_STALE;
    if (response.round_idx != (int32_t)job->base_version)
        status = FAIL(err, ERR_INVALID, "answer for round %d, asked for %lld", response.round_idx,
                      (long long)job->base_version);
    if (status == OK) {
        job->refusal = REFUSED_OTHER;
        status = job_figures_parse(response.metrics, &job->figures, err);
    }
    if (status == OK && job->figures.num_samples <= 0)
        status = FAIL(err, ERR_INVALID, "its metrics do not say num_samples");
    if (status == OK && !session->setup->cut_anew && job->figures.num_samples > job->num_advertised)
        status = FAIL(err, ERR_INVALID, "it counts %lld samples but advertised %lld",
                      (long long)job->figures.num_samples, (long long)job->num_advertised);
    if (status == OK)
        status = check_weights(job, response.weights, err);
    edge_arena_free(response.arena);
    return status;
}

/* What a call to the aggregator came to is on the cohort's record. */
static void settle(struct session_job *job, int status, size_t arriving)
{
    struct cohort *cohort = &job->session->compute.cohorts[job->cohort];

    if (status != FLOSIM_READY) {
        cohort->held += arriving;
        return;
    }
    cohort->held = 0;
    if (cohort->enough && job->cohort_outstanding_after > 0)
        cohort->closed = job->closes = cohort->latest;
}

/* The round is complete and nothing comes of it; `why` in one sentence. */
static int give_up_round(struct session_job *job, const char *why)
{
    struct aggregator *aggregator = &job->session->compute.aggregator;
    struct cohort *cohort = &job->session->compute.cohorts[job->cohort];

    aggregator->ops->discard(aggregator->state, job->cohort);
    job->result = MERGE_TOO_FEW;
    snprintf(job->too_few, sizeof job->too_few, "%.159s", why);
    cohort->held = 0;
    return FLOSIM_PENDING;
}

static int give_up_short_of_quorum(struct session_job *job)
{
    return give_up_round(job, "too few answered for the quorum");
}

static int give_up_short_of_updates(struct session_job *job)
{
    return give_up_round(job, job->session->compute.aggregator.host.explanation.message);
}

/* The model that an update started from; NULL where the aggregator does not ask for it. */
static int find_base(struct session_job *job, const float **base)
{
    struct session_compute *compute = &job->session->compute;

    *base = NULL;
    if (!(compute->aggregator.ops->flags & FLOSIM_USES_BASE))
        return OK;
    *base = job->base_version == compute->version ? compute->global : compute->base;
    if (*base == compute->global)
        return OK;
    return weights_decode(&job->session->setup->layout, blob_span(job->base_image), compute->base, &job->error);
}

static int merge_update(struct session_job *job)
{
    struct session_compute *compute = &job->session->compute;
    const struct job_figures *figures = &job->figures;
    struct flosim_metric metrics[] = {{"loss", figures->loss},
                                      {"accuracy", figures->accuracy},
                                      {"time_taken_s", figures->time_taken_s},
                                      {"initial_loss", figures->initial_loss}};
    struct flosim_update update = {
        .size = sizeof update,
        .client = job->client->id,
        .base_version = job->base_version,
        .num_samples = figures->num_samples,
        .local_steps = figures->mini_batches > 0 ? figures->mini_batches : 0,
        .weights = compute->scratch,
        .metrics = metrics,
        .num_metrics = sizeof metrics / sizeof *metrics,
        .num_epochs = figures->num_epochs > 0 ? figures->num_epochs : 0,
        .learning_rate = compute->own_rate > 0 ? compute->own_rate : (double)job->learning_rate,
    };
    struct flosim_round round = session_round_of(job, 1);
    int status = find_base(job, &update.base);

    if (status != OK)
        return status;
    if (session_lacks_quorum(job, &round, 1))
        return give_up_short_of_quorum(job);
    status = compute->aggregator.ops->on_update(compute->aggregator.state, &update, &round, compute->next);
    if (status < 0)
        return strategy_error(&compute->aggregator.host, status, &job->error);
    if (status == FLOSIM_TOO_FEW)
        return give_up_short_of_updates(job);
    settle(job, status, 1);
    if (status == FLOSIM_PENDING)
        session_keep_update(job);
    return status;
}

/* The round may be complete without this client. */
static int merge_failure(struct session_job *job)
{
    struct session_compute *compute = &job->session->compute;
    struct flosim_round round = session_round_of(job, 0);
    int status;

    if (session_lacks_quorum(job, &round, 0))
        return give_up_short_of_quorum(job);
    status = compute->aggregator.ops->on_failure(compute->aggregator.state, job->client->id, &round, compute->next);
    if (status == FLOSIM_TOO_FEW)
        return give_up_short_of_updates(job);
    settle(job, status, 0);
    return status;
}

static int check_validation(struct session_job *job)
{
    struct validation_response response;
    int status = edge_decode_validation_response(job->body, &response, &job->error);

    if (status != OK)
        return status;
    status = job_figures_parse(response.metrics, &job->figures, &job->error);
    edge_arena_free(response.arena);
    return status;
}

static int tell_selector(struct session_job *job)
{
    struct selector *selector = &job->session->compute.selector;
    struct flosim_client client = {
        .id = job->client->id,
        .num_samples = job->num_advertised,
        .seconds_per_batch = -1,
        .last_round = job->base_version,
        .last_loss = job->kind == JOB_TRAIN ? job->figures.loss : -1,
        .last_accuracy = job->kind == JOB_TRAIN ? job->figures.accuracy : -1,
        .last_seconds = job->kind == JOB_TRAIN ? job->figures.time_taken_s : -1,
        .last_square_loss = job->kind == JOB_TRAIN ? job->figures.square_loss : -1,
        .validation_loss = job->kind == JOB_VALIDATE ? job->figures.loss : -1,
        .validation_accuracy = job->kind == JOB_VALIDATE ? job->figures.accuracy : -1,
        .validation_round = job->kind == JOB_VALIDATE ? job->base_version : -1,
    };
    struct flosim_result result = {
        .size = sizeof result,
        .failed = job->error.status != OK,
        .action = job->kind == JOB_TRAIN ? FLOSIM_TRAIN : FLOSIM_VALIDATE,
        .round = job->base_version,
        .client = &client,
    };

    return selector->ops->on_result ? selector->ops->on_result(selector->state, &result) : FLOSIM_OK;
}

/* Hundreds of megabytes, perhaps: not on the loop. */
static void give_back(struct session_job *job)
{
    blob_unref(job->storage);
    blob_unref(job->extras.correction);
    blob_unref(job->base_image);
    job->storage = job->extras.correction = job->base_image = NULL;
    job->body = span_of(NULL, 0);
    if (job->release_credit)
        job->release_credit(job->credit_owner);
    job->release_credit = NULL;
}

/* Its round made a model without it. */
static bool came_too_late(struct session_job *job)
{
    if (job->selection > job->session->compute.cohorts[job->cohort].closed)
        return false;
    if (job->error.status == OK)
        FAIL(&job->error, ERR_CANCELLED, "the round had enough updates without it");
    job->result = MERGE_DROPPED;
    give_back(job);
    job->held_after = job->session->compute.aggregator.ops->held(job->session->compute.aggregator.state);
    return true;
}

static void run_training(struct session_job *job)
{
    struct session_compute *compute = &job->session->compute;
    bool answered = job->error.status == OK && !compute->stopped;
    int status = FLOSIM_PENDING;

    if (came_too_late(job))
        return;
    job->after_end = compute->stopped;
    if (compute->stopped)
        FAIL(&job->error, ERR_CANCELLED, "the session was over when its answer came");
    if (answered && check_update(job, &job->error) == OK)
        status = merge_update(job);
    give_back(job);
    if (job->result != MERGE_TOO_FEW)
        job->result = job->error.status == OK ? MERGE_PENDING : answered ? MERGE_REFUSED : MERGE_FAILED;
    if (job->error.status != OK && !compute->stopped)
        status = merge_failure(job);
    if (status < 0) {
        strategy_error(&compute->aggregator.host, status, &job->error);
        job->result = MERGE_BROKEN;
    }
    if (status == FLOSIM_READY && session_compute_adopt(job->session, &job->model, &job->error) != OK)
        job->result = MERGE_BROKEN;
    job->held_after = compute->aggregator.ops->held(compute->aggregator.state);
}

static void run(struct executor_task *task)
{
    struct session_job *job = CONTAINER_OF(task, struct session_job, task);
    int status;

    if (job->kind == JOB_TRAIN) {
        run_training(job);
        if (job->result == MERGE_DROPPED)
            return;
    } else if (job->error.status == OK) {
        check_validation(job);
        give_back(job);
    }
    status = tell_selector(job);
    if (status < 0 && job->result != MERGE_BROKEN) {
        strategy_error(&job->session->compute.selector.host, status, &job->error);
        job->result = MERGE_BROKEN;
    }
}

/* ---- back on the loop ---- */

static void note_failure(struct session_job *job, const char *kind)
{
    struct session *session = job->session;
    bool refused = strcmp(kind, "refused") == 0;

    json_t *fields = json_pack("{s:I, s:s, s:s, s:s, s:b}", "round", (json_int_t)job->base_version + 1, "client",
                               job->client->id, "kind", kind, "reason", job->error.message, "session_over",
                               session->phase != PHASE_RUNNING || job->after_end);

    if (refused)
        json_object_set_new(fields, "refusal", json_string(refusal_name(job->refusal)));
    session_emit(session, "failure", fields);
    log_write(session->env.log, job->result == MERGE_DROPPED ? LOG_INFO : LOG_WARN, "session",
              "%s: %s client=%s round=%lld",
              refused                        ? "update refused"
              : job->result == MERGE_DROPPED ? "not needed"
                                             : "client failed",
              job->error.message, job->client->id, (long long)job->base_version + 1);
}

static void note_update(struct session_job *job)
{
    const struct job_figures *figures = &job->figures;

    session_emit(job->session, "update",
                 json_pack("{s:I, s:i, s:s, s:I, s:f, s:f, s:f, s:I, s:I, s:I}", "round",
                           (json_int_t)job->base_version + 1, "attempt", (int)job->attempt, "client", job->client->id,
                           "num_samples", (json_int_t)figures->num_samples, "loss", figures->loss, "time_taken_s",
                           figures->time_taken_s, "elapsed_s", job->elapsed_s, "bytes_down",
                           (json_int_t)job->bytes_down, "bytes_up", (json_int_t)job->bytes_up, "pss_kb",
                           (json_int_t)figures->pss_kb));
}

static void keep_figures(struct client_tally *tally, const struct session_job *job)
{
    tally->latest = job->figures;
    tally->last_round = job->base_version;
    tally->given = job->figures;
    tally->has_given = true;
    if (job->figures.pss_idle_kb >= 0)
        tally->pss_idle_kb = job->figures.pss_idle_kb;
    if (job->figures.pss_kb > tally->pss_training_kb)
        tally->pss_training_kb = job->figures.pss_kb;
}

static void keep_unused(struct client_tally *tally, const struct session_job *job)
{
    tally->unused++;
    tally->unused_cohort = job->cohort;
}

enum fate { MERGED, REFUSED, FAILED, DROPPED };

/* A broken aggregator ends the session; the update itself is counted as what came of it before. */
static enum fate fate_of(const struct session_job *job)
{
    if (job->result == MERGE_DROPPED)
        return DROPPED;
    if (job->result == MERGE_TOO_FEW && job->error.status == OK)
        return DROPPED;
    if (job->result == MERGE_REFUSED)
        return REFUSED;
    return job->error.status == OK && job->figures.num_samples > 0 ? MERGED : FAILED;
}

static void count_refusal(struct session_job *job, struct client_tally *tally)
{
    job->session->ledger.refused_for[job->refusal]++;
    tally->refused_for[job->refusal]++;
    session_tell_refusal(job);
}

static void count_training(struct session_job *job)
{
    static const char *const kinds[] = {"merged", "refused", "failed", "dropped"};
    struct session *session = job->session;
    struct client_tally *tally = session_tally(session, job->client);
    enum fate fate = fate_of(job);

    *(int64_t *[]){&session->ledger.merged, &session->ledger.refused, &session->ledger.failed,
                   &session->ledger.dropped}[fate] += 1;
    if (job->result != MERGE_DROPPED) /* else its round counted it when it ended */
        *(int64_t *[]){&session->counts.merged, &session->counts.refused, &session->counts.failed,
                       &session->counts.dropped}[fate] += 1;
    *(int64_t *[]){&tally->merged, &tally->refused, &tally->failed, &tally->dropped}[fate] += 1;
    session->counts.bytes_down += job->bytes_down;
    session->counts.bytes_up += job->bytes_up;
    tally->changed = true;
    tally->bytes_down += job->bytes_down;
    tally->bytes_up += job->bytes_up;
    if (fate == REFUSED)
        count_refusal(job, tally);
    session->fruitless = fate == MERGED || fate == DROPPED ? 0 : session->fruitless + 1;
    if (fate == MERGED) {
        keep_figures(tally, job);
        keep_unused(tally, job);
        note_update(job);
    } else {
        note_failure(job, kinds[fate]);
    }
    if (session->phase == PHASE_RUNNING && fate != DROPPED && !job->after_end)
        session_note_outcome(job, fate == MERGED);
}

void session_take_back_merged(struct session *session, unsigned cohort)
{
    int64_t n = 0, of_this_round;

    for (size_t i = 0; i < roster_size(session->env.roster); i++) {
        struct client_tally *tally = session_tally(session, roster_at(session->env.roster, i));

        if (!tally || !tally->unused || (cohort != EVERY_COHORT && tally->unused_cohort != cohort))
            continue;
        n += tally->unused;
        tally->merged -= tally->unused;
        tally->dropped += tally->unused;
        tally->unused = 0;
        tally->has_given = false;
        tally->changed = true;
    }
    session->ledger.merged -= n;
    session->ledger.dropped += n;
    /* Another cohort's model may have ended the round in which they were counted. */
    of_this_round = n < session->counts.merged ? n : session->counts.merged;
    session->counts.merged -= of_this_round;
    session->counts.dropped += of_this_round;
}

void session_round_given_up(struct session *session, unsigned cohort, const char *why)
{
    session_take_back_merged(session, cohort);
    session_drop_kept(session);
    session_round_lost(session, why);
}

/* A client that cannot do what the strategy needs will never be able to, nor will others of its kind. */
static bool is_unable(const struct session_job *job)
{
    const struct job_extras *extras = &job->extras;

    return job->error.status == ERR_UNIMPLEMENTED && job->session->phase == PHASE_RUNNING &&
           (extras->proximal_mu > 0 || extras->correction || extras->wants_initial_loss);
}

/* Where somebody always trains no round is ever lost: this is their bound. */
static bool is_hopeless(const struct session *session)
{
    return (session->setup->strategies.selector->flags & FLOSIM_SELECTS_WHILE_TRAINING) &&
           session->fruitless > MAX_LOST_IN_A_ROW * roster_size(session->env.roster);
}

static void training_over(struct session_job *job)
{
    struct session *session = job->session;
    struct new_model model = job->model;

    job->model.image = NULL;
    job->model.batch = NULL;
    session->training--;
    session->held = job->held_after;
    session_commit_kept(job);
    count_training(job);
    if (job->closes) {
        struct round_counts *counts = &session->counts;

        counts->dropped = counts->selected - counts->merged - counts->refused - counts->failed;
        session_drop_surplus(session, job->cohort, job->closes);
    }
    if (model.image && (job->result == MERGE_BROKEN || is_unable(job) || is_hopeless(session)))
        session_model_fini(&model);
    if (job->result == MERGE_BROKEN || is_unable(job))
        session_end(session, SESSION_FAILED, "%s", job->error.message);
    else if (is_hopeless(session))
        session_end(session, SESSION_FAILED, "%zu answers in a row failed or were refused; the last: %s",
                    session->fruitless, job->error.message);
    else if (model.image)
        session_round_finished(session, job->cohort, &model);
    else if (job->result == MERGE_TOO_FEW)
        session_round_given_up(session, job->cohort, job->too_few);
    else if (session->training == 0 && session->held == 0 && job->result != MERGE_DROPPED && !job->after_end)
        session_round_lost(session, "nobody answered");
    else
        session_ask(session);
}

static void validation_over(struct session_job *job)
{
    struct client_tally *tally = session_tally(job->session, job->client);

    job->session->validating--;
    tally->validation_round = job->base_version;
    tally->changed = true;
    if (job->result == MERGE_BROKEN) {
        session_end(job->session, SESSION_FAILED, "%s", job->error.message);
        return;
    }
    if (job->error.status != OK) {
        tally->validation_loss = tally->validation_accuracy = -1;
        note_failure(job, "failed");
    } else {
        tally->validation_loss = job->figures.loss;
        tally->validation_accuracy = job->figures.accuracy;
    }
    session_ask(job->session);
}

static void done(struct executor_task *task)
{
    struct session_job *job = CONTAINER_OF(task, struct session_job, task);
    struct session *session = job->session;

    job->client->busy = false;
    if (job->kind == JOB_TRAIN)
        training_over(job);
    else
        validation_over(job);
    job->session = NULL;
    if (!job->answer_due)
        session_job_free(job);
    session_task_done(session);
}

void session_merge(struct session_job *job)
{
    const struct dataset_advert *dataset = roster_dataset(job->client, session_dataset(job->session));

    job->num_advertised = dataset ? dataset->num_items : 0;
    job->task.run = run;
    job->task.done = done;
    job->session->tasks++;
    executor_submit(job->session->env.executor, &job->task);
}
