/* Selection: a picture of the roster goes to the selector on the compute thread; whom it chose gets a request. */
#include <stdlib.h>
#include <string.h>

#include "codec/encoding.h"
#include "leader/session_internal.h"

/* One asking, on its way to the compute thread and back. */
struct asking {
    struct executor_task task;
    struct session *session;
    struct flosim_selection selection;
    struct flosim_client *clients;
    struct roster_client **who; /* the roster's entry of each */
    struct flosim_choice choice;
    struct job_extras *extras; /* [K]; NULL where the aggregator wants none */
    uint32_t number;           /* the session's how-manieth selection */
    size_t left_out;           /* clients that are backed off */
    struct new_model model;    /* of a round that ended because nobody was chosen for the rest of it … */
    bool given_up;             /* … or it had too few updates: `error` says why */
    int status;
    struct error error;
};

static void free_asking(struct asking *asking)
{
    for (size_t i = 0; asking->clients && i < asking->selection.num_clients; i++)
        free((void *)(uintptr_t)asking->clients[i].labels);
    for (size_t i = 0; asking->extras && i < asking->selection.num_clients; i++)
        blob_unref(asking->extras[i].correction);
    free(asking->extras);
    session_model_fini(&asking->model);
    free(asking->clients);
    free(asking->who);
    free(asking->choice.action);
    free(asking->choice.cohort);
    free(asking);
}

/* ---- the picture ---- */

static void copy_labels(const struct dataset_advert *dataset, struct flosim_client *out)
{
    struct flosim_label *labels = dataset->num_labels ? calloc(dataset->num_labels, sizeof *labels) : NULL;

    if (!labels)
        return;
    for (size_t i = 0; i < dataset->num_labels; i++) {
        memcpy(labels[i].name, dataset->labels[i].label, sizeof labels[i].name);
        labels[i].fraction = dataset->labels[i].fraction;
    }
    out->labels = labels;
    out->num_labels = dataset->num_labels;
}

/* The benchmark's answer tells the time as a float, the client's next advert the same time as a double: a selection
 * must not depend on whether that advert has come. */
static double seconds_per_batch(const struct session *session, const struct roster_client *client)
{
    const struct bench_advert *row = roster_benchmark(client, session->setup->model.id);

    return row && row->num_mini_batches > 0 ? (double)(float)row->time_taken_s / (double)row->num_mini_batches : -1;
}

/* All its items may be held back for its own validation. */
static bool has_items(struct session *session, struct roster_client *client, struct client_tally *tally)
{
    const struct dataset_advert *dataset = roster_dataset(client, session_dataset(session));

    if (!dataset || dataset->num_trainable > 0)
        return true;
    if (client->active && tally && !tally->lack_told) {
        tally->lack_told = true;
        log_write(session->env.log, LOG_WARN, "session",
                  "client is not selected: it has nothing to train on (%lld items, all held back for validation) "
                  "client=%s",
                  (long long)dataset->num_items, client->id);
    }
    return false;
}

static void describe(struct session *session, struct roster_client *client, struct flosim_client *out)
{
    const struct dataset_advert *dataset = roster_dataset(client, session_dataset(session));
    struct client_tally *tally = session_tally(session, client);
    bool selectable =
        has_items(session, client, tally) && !client->busy && !roster_obstacle(client, session_dataset(session));

    *out = (struct flosim_client){
        .id = client->id,
        .flags = (client->active ? (unsigned)FLOSIM_ACTIVE : 0u) | (client->busy ? (unsigned)FLOSIM_BUSY : 0u) |
                 (selectable ? (unsigned)FLOSIM_SELECTABLE : 0u),
        .num_samples = dataset ? dataset->num_items : 0,
        .seconds_per_batch = seconds_per_batch(session, client),
        .last_round = tally ? tally->last_round : -1,
        .last_loss = tally ? tally->latest.loss : -1,
        .last_accuracy = tally ? tally->latest.accuracy : -1,
        .last_seconds = tally ? tally->latest.time_taken_s : -1,
        .validation_loss = tally ? tally->validation_loss : -1,
        .last_square_loss = tally ? tally->latest.square_loss : -1,
        .validation_accuracy = tally ? tally->validation_accuracy : -1,
        .validation_round = tally ? tally->validation_round : -1,
    };
    if (dataset && (session->setup->strategies.selector->flags & FLOSIM_USES_LABELS))
        copy_labels(dataset, out);
}

static struct asking *new_asking(struct session *session)
{
    struct asking *asking = calloc(1, sizeof *asking);
    size_t n = roster_size(session->env.roster);

    if (!asking)
        return NULL;
    asking->session = session;
    asking->clients = calloc(n + 1, sizeof *asking->clients);
    asking->who = calloc(n + 1, sizeof *asking->who);
    asking->choice =
        (struct flosim_choice){.size = sizeof asking->choice, .action = calloc(n + 1, 1), .cohort = calloc(n + 1, 1)};
    if (session->compute.aggregator.ops->prepare)
        asking->extras = calloc(n + 1, sizeof *asking->extras);
    if (!asking->clients || !asking->who || !asking->choice.action || !asking->choice.cohort ||
        (session->compute.aggregator.ops->prepare && !asking->extras)) {
        free_asking(asking);
        return NULL;
    }
    asking->selection = (struct flosim_selection){
        .size = sizeof asking->selection,
        .attempt = session->attempt,
        .round = session->version,
        .num_rounds = session_num_rounds(session),
        .num_training = session->training,
        .num_held = session->held,
        .num_clients = n,
        .clients = asking->clients,
        .num_validating = session->validating,
        .over_selection = session->setup->config.session_config.over_selection,
    };
    asking->number = session->selections + 1;
    for (size_t i = 0; i < n; i++) {
        asking->who[i] = roster_at(session->env.roster, i);
        describe(session, asking->who[i], &asking->clients[i]);
    }
    asking->left_out = session_back_off(session, asking->who, asking->clients, n);
    return asking;
}

/* ---- compute thread ---- */

/* Chosen are only those whom the picture called selectable, whatever a strategy says. */
static int check_choice(struct asking *asking)
{
    struct flosim_choice *choice = &asking->choice;
    uint32_t num_cohorts = choice->num_cohorts ? choice->num_cohorts : 1;

    if (num_cohorts > FLOSIM_MAX_COHORTS)
        return FAIL(&asking->error, ERR_INVALID, "the selection works with %u cohorts; at most %d are possible",
                    (unsigned)num_cohorts, FLOSIM_MAX_COHORTS);
    for (size_t i = 0; i < asking->selection.num_clients; i++) {
        if (!(asking->clients[i].flags & FLOSIM_SELECTABLE) || choice->action[i] > FLOSIM_VALIDATE)
            choice->action[i] = FLOSIM_IDLE;
        if (choice->action[i] == FLOSIM_TRAIN && choice->cohort[i] >= num_cohorts)
            return FAIL(&asking->error, ERR_INVALID, "the selection puts a client into cohort %u of %u",
                        (unsigned)choice->cohort[i], (unsigned)num_cohorts);
        if (choice->action[i] != FLOSIM_TRAIN)
            choice->cohort[i] = 0;
    }
    return OK;
}

/* What the aggregator wants of client i besides plain training. */
static int prepare_client(struct asking *asking, size_t i)
{
    struct session_compute *compute = &asking->session->compute;
    struct aggregator *aggregator = &compute->aggregator;
    struct flosim_request request = {.size = sizeof request};
    struct flosim_round round = {.size = sizeof round,
                                 .version = compute->version,
                                 .global = compute->global,
                                 .cohort = asking->choice.cohort[i],
                                 .num_cohorts = compute->num_cohorts,
                                 .num_clients = compute->num_clients,
                                 .num_wanted = session_num_wanted(&compute->cohorts[asking->choice.cohort[i]])};
    int status = aggregator->ops->prepare(aggregator->state, asking->clients[i].id, &round, &request);

    if (status < 0)
        return strategy_error(&aggregator->host, status, &asking->error);
    asking->extras[i].proximal_mu = request.proximal_mu;
    asking->extras[i].wants_initial_loss = request.wants_initial_loss;
    if (!request.correction)
        return OK;
    return weights_encode(&asking->session->setup->layout, request.correction, &asking->extras[i].correction,
                          &asking->error);
}

static int prepare_clients(struct asking *asking)
{
    int status = OK;

    for (size_t i = 0; asking->extras && i < asking->selection.num_clients && status == OK; i++)
        if (asking->choice.action[i] == FLOSIM_TRAIN)
            status = prepare_client(asking, i);
    return status;
}

static bool nobody_is_chosen(const struct asking *asking)
{
    for (size_t i = 0; i < asking->selection.num_clients; i++)
        if (asking->choice.action[i] != FLOSIM_IDLE)
            return false;
    return true;
}

/* A round that waited for more updates (at_least) gets no more: it ends with what is held. */
static int end_round(struct asking *asking)
{
    struct session_compute *compute = &asking->session->compute;
    struct aggregator *aggregator = &compute->aggregator;
    struct flosim_round round = {.size = sizeof round,
                                 .version = compute->version,
                                 .global = compute->global,
                                 .num_cohorts = 1,
                                 .complete = 1,
                                 .num_wanted = compute->cohorts[0].held,
                                 .num_clients = asking->selection.num_clients};
    int status = aggregator->ops->on_failure(aggregator->state, "", &round, compute->next);

    if (status < 0)
        return strategy_error(&aggregator->host, status, &asking->error);
    if (status == FLOSIM_TOO_FEW) {
        strategy_error(&aggregator->host, status, &asking->error);
        aggregator->ops->discard(aggregator->state, 0);
        asking->given_up = true;
    }
    if (status == FLOSIM_PENDING)
        return OK;
    compute->cohorts[0].held = 0;
    if (asking->given_up)
        return OK;
    return session_compute_adopt(asking->session, &asking->model, &asking->error);
}

static void run_selector(struct executor_task *task)
{
    struct asking *asking = CONTAINER_OF(task, struct asking, task);
    struct session_compute *compute = &asking->session->compute;
    struct selector *selector = &compute->selector;

    asking->status = selector->ops->select(selector->state, &asking->selection, &asking->choice);
    if (asking->status < 0 || asking->status == FLOSIM_STOP) {
        strategy_error(&selector->host, asking->status, &asking->error);
        return;
    }
    asking->status = check_choice(asking);
    if (asking->status != OK)
        return;
    if (nobody_is_chosen(asking) && compute->cohorts[0].at_least > 0 && compute->cohorts[0].held > 0 &&
        asking->selection.num_training == 0 && asking->selection.num_validating == 0) {
        asking->status = end_round(asking);
        return;
    }
    session_cohorts_chosen(compute, &asking->choice, asking->selection.num_clients, asking->number);
    asking->status = prepare_clients(asking);
}

/* ---- back on the loop ---- */

static void count_chosen(struct session_job *job, struct client_tally *tally)
{
    struct session *session = job->session;

    tally->selected++;
    tally->changed = true;
    session->counts.selected++;
    session->ledger.sent++;
    session->training++;
    session->outstanding++;
    session->cohort_outstanding[job->cohort]++;
    session->dispatching++;
}

static int make_job(struct asking *asking, size_t i, json_t *ids)
{
    struct session *session = asking->session;
    enum job_kind kind = asking->choice.action[i] == FLOSIM_TRAIN ? JOB_TRAIN : JOB_VALIDATE;
    struct client_tally *tally = session_tally(session, asking->who[i]);
    struct session_job *job = tally ? session_job_new(session, kind, asking->who[i]) : NULL;

    if (!job)
        return ERR_MEMORY;
    if (kind == JOB_VALIDATE) {
        session->validating++;
        return OK;
    }
    job->cohort = asking->choice.cohort[i];
    job->selection = asking->number;
    if (asking->extras) {
        job->extras = asking->extras[i];
        asking->extras[i].correction = NULL;
    }
    count_chosen(job, tally);
    json_array_append_new(ids, json_string(asking->who[i]->id));
    return OK;
}

/* Returns how many, or ERR_MEMORY. Who became busy or left since the picture was taken is left out. */
static long make_jobs(struct asking *asking, json_t *ids)
{
    long chosen = 0;

    for (size_t i = 0; i < asking->selection.num_clients; i++) {
        if (asking->choice.action[i] == FLOSIM_IDLE || asking->who[i]->busy)
            continue;
        if (make_job(asking, i, ids) != OK)
            return ERR_MEMORY;
        chosen++;
    }
    session_choose_stragglers(asking->session, asking->number, json_array_size(ids));
    return chosen;
}

static void begin_jobs(struct session *session)
{
    session->asking = false;
    session->batch_open = true;
    session->dispatching++; /* ours, so that the batch is not over before the last is sent */
    session_begin_jobs(session);
    session_request_sent(session);
    if (session->ask_again)
        session_ask(session);
}

/* A request of training was sent, or will never be. When the last of the selection is out, the observer has its say. */
void session_request_sent(struct session *session)
{
    if (--session->dispatching > 0 || !session->batch_open)
        return;
    session->batch_open = false;
    session_pass(&session->training_hold, "leader.training", session->version, session_drain);
}

void session_nobody_came(struct session *session)
{
    session_end(session, SESSION_FAILED, "no client could be selected for %.0f s (%zu of %zu are active)",
                session_seconds_since(session, session->wait_began_ns), roster_num_active(session->env.roster),
                roster_size(session->env.roster));
}

/* Nobody is chosen and nobody trains: somebody must come back in time. */
static void await_somebody(struct session *session)
{
    double max_wait_s = session->setup->config.session_config.wait_for_clients.max_wait_s;
    enum { LEAST_WAIT_S = 10 };

    if (session->training > 0 || session->validating > 0 || session->benchmarking > 0 ||
        session->wait_timer.heap_index >= 0)
        return;
    session->wait_began_ns = session_now_ns(session);
    log_write(session->env.log, LOG_WARN, "session", "nobody can be selected; waiting round=%lld active=%zu",
              (long long)session->version + 1, roster_num_active(session->env.roster));
    session_set_wait(session, max_wait_s > LEAST_WAIT_S ? max_wait_s : LEAST_WAIT_S);
}

/* Those that are left do not suffice, and nobody else is coming: who is backed off gets another chance. */
static bool may_spare_nobody(const struct session *session, const struct asking *asking)
{
    return asking->left_out > 0 && session->training == 0 && session->validating == 0;
}

static void nobody_chosen(struct session *session, const struct asking *asking)
{
    session->asking = false;
    if (may_spare_nobody(session, asking)) {
        session->spares_nobody = true;
        session_ask(session);
        return;
    }
    await_somebody(session);
    if (session->ask_again)
        session_ask(session);
}

static void selected(struct asking *asking)
{
    struct session *session = asking->session;
    json_t *ids = json_array();
    long chosen = asking->status != OK ? 0 : make_jobs(asking, ids);

    if (asking->status < 0 && may_spare_nobody(session, asking)) {
        nobody_chosen(session, asking);
    } else if (asking->status < 0) {
        session_end(session, SESSION_FAILED, "%s", asking->error.message);
    } else if (asking->status == FLOSIM_STOP) {
        session_end(session, SESSION_FINISHED, "%s", asking->error.message);
    } else if (chosen < 0) {
        session_end(session, SESSION_FAILED, "no memory for a selection");
    } else if (asking->given_up) {
        session->asking = false;
        session->held = 0;
        session_round_given_up(session, 0, asking->error.message);
    } else if (asking->model.image) {
        session->asking = false;
        session->held = 0;
        session_round_finished(session, 0, &asking->model);
    } else if (chosen == 0) {
        nobody_chosen(session, asking);
    } else {
        session->spares_nobody = false;
        loop_timer_cancel(session->env.loop, &session->wait_timer);
        session->attempt++;
        session->selections = asking->number;
        if (json_array_size(ids) == 0) { /* to validate only: the round itself is still to come */
            begin_jobs(session);
            json_decref(ids);
            return;
        }
        session_emit(session, "selected",
                     json_pack("{s:I, s:O, s:i}", "round", (json_int_t)session->version + 1, "clients", ids, "attempt",
                               (int)session->attempt));
        session_pass(&session->control, "leader.selected", session->version, begin_jobs);
    }
    json_decref(ids);
}

static void asked(struct executor_task *task)
{
    struct asking *asking = CONTAINER_OF(task, struct asking, task);
    struct session *session = asking->session;

    if (session->phase == PHASE_RUNNING)
        selected(asking);
    free_asking(asking);
    session_task_done(session);
}

static void submit(struct session *session)
{
    struct asking *asking = new_asking(session);

    if (!asking) {
        session_end(session, SESSION_FAILED, "no memory for a selection");
        return;
    }
    asking->task.run = run_selector;
    asking->task.done = asked;
    session->tasks++;
    executor_submit(session->env.executor, &asking->task);
}

void session_ask(struct session *session)
{
    bool while_training = session->setup->strategies.selector->flags & FLOSIM_SELECTS_WHILE_TRAINING;

    if (session->phase != PHASE_RUNNING)
        return;
    if (session->due)
        return; /* a round that the state does not have for sure yet: nothing is built on it; asked again afterwards */
    session->ask_again = session->asking;
    /* A control point in hand comes back here when it is passed. */
    if (session->asking || session->control.name || (session->training > 0 && !while_training))
        return;
    if (session_timed_out(session)) {
        session_end(session, SESSION_FINISHED, "global_timeout_duration_s of %.0f s is over",
                    session->setup->config.server_training_config.global_timeout_duration_s);
        return;
    }
    if (session->stop_after_round) {
        session_end(session, SESSION_STOPPED, "%s", session->stop_reason);
        return;
    }
    if (session_bench_start(session) > 0 && session->version == 0 && session->attempt == 0)
        return;
    session->asking = true;
    session_pass(&session->control, "leader.selection", session->version, submit);
}
