/* Selection: a picture of the roster goes to the selector on the compute thread; whom it chose gets a request. */
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

/* One asking, on its way to the compute thread and back. */
struct asking {
    struct executor_task task;
    struct session *session;
    struct flosim_selection selection;
    struct flosim_client *clients;
    struct roster_client **who; /* the roster's entry of each */
    unsigned char *action;
    int status;
    struct error error;
};

static void free_asking(struct asking *asking)
{
    for (size_t i = 0; asking->clients && i < asking->selection.num_clients; i++)
        free((void *)(uintptr_t)asking->clients[i].labels);
    free(asking->clients);
    free(asking->who);
    free(asking->action);
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

static double seconds_per_batch(const struct session *session, const struct roster_client *client)
{
    const struct bench_advert *row = roster_benchmark(client, session->setup->model.id);

    return row && row->num_mini_batches > 0 ? row->time_taken_s / (double)row->num_mini_batches : -1;
}

static void describe(struct session *session, struct roster_client *client, struct flosim_client *out)
{
    const struct dataset_advert *dataset = roster_dataset(client, session_dataset(session));
    const struct client_tally *tally = session_tally(session, client);
    bool selectable = !client->busy && !roster_obstacle(client, session_dataset(session));

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
        .validation_accuracy = tally ? tally->validation_accuracy : -1,
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
    asking->action = calloc(n + 1, 1);
    if (!asking->clients || !asking->who || !asking->action) {
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
    };
    for (size_t i = 0; i < n; i++) {
        asking->who[i] = roster_at(session->env.roster, i);
        describe(session, asking->who[i], &asking->clients[i]);
    }
    return asking;
}

/* ---- compute thread ---- */

static void run_selector(struct executor_task *task)
{
    struct asking *asking = CONTAINER_OF(task, struct asking, task);
    struct selector *selector = &asking->session->compute.selector;

    asking->status = selector->ops->select(selector->state, &asking->selection, asking->action);
    if (asking->status < 0)
        strategy_error(&selector->host, asking->status, &asking->error);
}

/* ---- back on the loop ---- */

/* Chosen are only those whom the picture called selectable, whatever a strategy says. Returns how many, or ERR_MEMORY.
 */
static long make_jobs(struct asking *asking, json_t *ids)
{
    struct session *session = asking->session;
    long chosen = 0;

    for (size_t i = 0; i < asking->selection.num_clients; i++) {
        struct roster_client *client = asking->who[i];
        enum job_kind kind = asking->action[i] == FLOSIM_TRAIN ? JOB_TRAIN : JOB_VALIDATE;
        struct client_tally *tally = session_tally(session, client);

        if (asking->action[i] == FLOSIM_IDLE || !(asking->clients[i].flags & FLOSIM_SELECTABLE) || client->busy)
            continue;
        if (!tally || !session_job_new(session, kind, client))
            return ERR_MEMORY;
        chosen++;
        if (kind == JOB_VALIDATE)
            continue;
        tally->selected++;
        session->counts.selected++;
        session->ledger.sent++;
        session->training++;
        session->outstanding++;
        session->dispatching++;
        json_array_append_new(ids, json_string(client->id));
    }
    return chosen;
}

static void begin_jobs(struct session *session)
{
    struct session_job *next;

    session->asking = false;
    session->batch_open = true;
    session->dispatching++; /* ours, so that the batch is not over before the last is sent */
    for (struct session_job *job = session->jobs; job; job = next) {
        next = job->next;
        if (job->state == JOB_SELECTED && job->kind != JOB_BENCHMARK)
            session_job_begin(job);
    }
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

    if (session->training > 0 || session->benchmarking > 0 || session->wait_timer.heap_index >= 0)
        return;
    session->wait_began_ns = session_now_ns(session);
    log_write(session->env.log, LOG_WARN, "session", "nobody can be selected; waiting round=%lld active=%zu",
              (long long)session->version + 1, roster_num_active(session->env.roster));
    session_set_wait(session, max_wait_s > LEAST_WAIT_S ? max_wait_s : LEAST_WAIT_S);
}

static void nobody_chosen(struct session *session)
{
    session->asking = false;
    await_somebody(session);
    if (session->ask_again)
        session_ask(session);
}

static void selected(struct asking *asking)
{
    struct session *session = asking->session;
    json_t *ids = json_array();
    long chosen = asking->status < 0 ? 0 : make_jobs(asking, ids);

    if (asking->status < 0) {
        session_end(session, SESSION_FAILED, "%s", asking->error.message);
    } else if (chosen < 0) {
        session_end(session, SESSION_FAILED, "no memory for a selection");
    } else if (chosen == 0) {
        nobody_chosen(session);
    } else {
        loop_timer_cancel(session->env.loop, &session->wait_timer);
        session->attempt++;
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
    session->ask_again = session->asking;
    /* A control point in hand comes back here when it is passed. */
    if (session->asking || session->control.name || (session->training > 0 && !while_training))
        return;
    if (session->stop_after_round) {
        session_end(session, SESSION_STOPPED, "%s", session->stop_reason);
        return;
    }
    if (session_bench_start(session) > 0 && session->version == 0 && session->attempt == 0)
        return;
    session->asking = true;
    session_pass(&session->control, "leader.selection", session->version, submit);
}
