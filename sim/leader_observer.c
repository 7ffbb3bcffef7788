/* From the leader's events to shared memory, in the leader's process, on its loop's thread. One row per event. */
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "sim/simulation.h"
#include "util/clock.h"

static int64_t integer(const json_t *fields, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(fields, key));
}

/* null: not a number. */
static double number(const json_t *fields, const char *key)
{
    const json_t *value = json_object_get(fields, key);

    return json_is_null(value) ? NAN : json_number_value(value);
}

/* NULL: the event is about nobody of ours. */
static struct client_block *client_of(struct simulation *s, const json_t *id)
{
    long index = simulation_client_number(s, json_string_value(id));

    return index < 0 ? NULL : shared_client(s->shared, (size_t)index);
}

static void session_started(struct simulation *s, const json_t *fields)
{
    (void)fields;
    atomic_store(&shared_leader(s->shared)->session_stage, STAGE_RUNNING);
}

/* The models after the one of `round` are gone, and so is what was merged into them. */
static void forget_after(struct simulation *s, uint32_t round)
{
    atomic_store(&shared_leader(s->shared)->rounds_finished, round);
    for (size_t i = 0; i < s->num_clients; i++)
        for (size_t k = 0; k < MERGE_NOTES; k++) {
            struct merge_note *note = &shared_client(s->shared, i)->merged[k];

            if (note->round > round)
                *note = (struct merge_note){0};
        }
}

static void note_merge(struct simulation *s, struct client_block *client, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    const struct merge_note note = {(uint64_t)integer(fields, "round") << 32 | (uint32_t)integer(fields, "attempt"),
                                    atomic_load(&leader->rounds_finished) + 1};

    for (size_t k = 0; k < MERGE_NOTES; k++)
        if (client->merged[k].training == note.training)
            atomic_fetch_add(&leader->doubled_updates, 1);
    memmove(client->merged + 1, client->merged, (MERGE_NOTES - 1) * sizeof note);
    client->merged[0] = note;
}

/* The leader that takes a dead one's place is at work again, with the model of `round` (0: the initial one). */
static void note_work(struct simulation *s, int64_t round)
{
    struct leader_block *leader = shared_leader(s->shared);

    if (atomic_load(&leader->working_life) == s->leader.starts)
        return;
    if (s->leader.starts > 1)
        forget_after(s, (uint32_t)round);
    atomic_store(&leader->working_since_ns, clock_now_ns(&clock_system));
    atomic_store(&leader->working_life, s->leader.starts);
}

static void note_asked(struct client_block *client, int64_t round)
{
    atomic_store(&client->answers_when_asked, atomic_load(&client->answers));
    atomic_store(&client->is_asked, 1);
    atomic_store(&client->selected_round, round);
}

/* A round of several selections (one was lost, or clients are asked one by one) adds them up. */
static void selected(struct simulation *s, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    const json_t *ids = json_object_get(fields, "clients");
    int64_t round = integer(fields, "round") - 1;
    size_t i;
    const json_t *id;

    if (atomic_load(&leader->round) != round) {
        atomic_store(&leader->selected, 0);
        atomic_store(&leader->answered, 0);
        atomic_store(&leader->round, round);
    }
    json_array_foreach(ids, i, id)
    {
        struct client_block *client = client_of(s, id);

        if (client)
            note_asked(client, round);
    }
    atomic_fetch_add(&leader->selected, (uint32_t)json_array_size(ids));
    atomic_fetch_add(&leader->updates_sent, json_array_size(ids));
    note_work(s, round);
    atomic_store(&leader->selected_round, round); /* last: whoever sees it sees the rest */
}

static void update(struct simulation *s, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    struct client_block *client = client_of(s, json_object_get(fields, "client"));
    int64_t pss_kb = integer(fields, "pss_kb");

    atomic_fetch_add(&leader->answered, 1);
    atomic_fetch_add(&leader->updates_merged, 1);
    atomic_fetch_add(&leader->bytes_up, (uint64_t)integer(fields, "bytes_up"));
    atomic_fetch_add(&leader->bytes_down, (uint64_t)integer(fields, "bytes_down"));
    if (client)
        atomic_store(&client->is_asked, 0);
    if (client)
        note_merge(s, client, fields);
    if (client && pss_kb > atomic_load(&client->pss_training_kb))
        atomic_store(&client->pss_training_kb, pss_kb);
}

static void count_refusal(struct leader_block *leader, const char *name)
{
    for (size_t i = 0; name && i < NUM_REFUSALS; i++)
        if (!strcmp(name, refusal_name((enum refusal)i)))
            atomic_fetch_add(&leader->refused_for[i], 1);
}

static void backed_off(struct simulation *s, const json_t *fields)
{
    (void)fields;
    atomic_fetch_add(&shared_leader(s->shared)->backed_off, 1);
}

static void failure(struct simulation *s, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    struct client_block *client = client_of(s, json_object_get(fields, "client"));
    const char *kind = json_string_value(json_object_get(fields, "kind"));

    if (client)
        atomic_store(&client->is_asked, 0);
    atomic_fetch_add(&leader->answered, 1);
    if (kind && !strcmp(kind, "dropped")) {
        atomic_fetch_add(&leader->updates_dropped, 1);
        return;
    }
    count_refusal(leader, json_string_value(json_object_get(fields, "refusal")));
    atomic_fetch_add(kind && !strcmp(kind, "refused") ? &leader->updates_refused : &leader->updates_failed, 1);
    if (client && !json_is_true(json_object_get(fields, "session_over"))) /* the session's end is not its failure */
        atomic_fetch_add(&client->failures, 1);
}

static void round_ended(struct simulation *s, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    int64_t round = integer(fields, "round") - 1;
    uint32_t n = (uint32_t)round;

    /* A leader that began anew from an older checkpoint replays rounds: theirs are the records that count. */
    if (round < 0 || n >= shared_max_rounds(s->shared))
        return;
    *shared_round(s->shared, n) = (struct round_record){
        .round = round,
        .selected = (uint32_t)integer(fields, "selected"),
        .merged = (uint32_t)integer(fields, "merged"),
        .failed = (uint32_t)integer(fields, "failed") + (uint32_t)integer(fields, "refused"),
        .validated = json_is_number(json_object_get(fields, "loss")),
        .accuracy = number(fields, "accuracy"),
        .loss = number(fields, "loss"),
        .perplexity = number(fields, "perplexity"),
        .mae = number(fields, "mae"),
        .mse = number(fields, "mse"),
        .train_loss = number(fields, "train_loss"),
        .seconds = number(fields, "duration_s"),
    };
    atomic_store(&leader->rounds_finished, n + 1);
}

static void round_lost(struct simulation *s, const json_t *fields)
{
    (void)fields;
    atomic_fetch_add(&shared_leader(s->shared)->lost_rounds, 1);
}

static void session_finished(struct simulation *s, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    const json_t *ledger = json_object_get(fields, "ledger");
    struct rusage usage;
    const char *status = json_string_value(json_object_get(fields, "status"));
    const char *reason = json_string_value(json_object_get(fields, "reason"));

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        atomic_store(&leader->peak_rss_kb, usage.ru_maxrss);
    atomic_store(&leader->updates_sent, (uint64_t)integer(ledger, "sent"));
    atomic_store(&leader->updates_merged, (uint64_t)integer(ledger, "merged"));
    atomic_store(&leader->updates_refused, (uint64_t)integer(ledger, "refused"));
    for (size_t i = 0; i < NUM_REFUSALS; i++)
        atomic_store(&leader->refused_for[i],
                     (uint64_t)integer(json_object_get(ledger, "refused_for"), refusal_name((enum refusal)i)));
    atomic_store(&leader->updates_failed, (uint64_t)integer(ledger, "failed"));
    atomic_store(&leader->updates_dropped, (uint64_t)integer(ledger, "dropped"));
    atomic_store(&leader->lost_rounds, (uint64_t)integer(fields, "lost_rounds"));
    snprintf(leader->reason, sizeof leader->reason, "%s", reason ? reason : "");
    note_work(s, integer(fields, "rounds"));
    atomic_store(&leader->session_stage, status && !strcmp(status, "finished") ? STAGE_FINISHED : STAGE_FAILED);
}

static void broker_changed(struct simulation *s, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    const char *state = json_string_value(json_object_get(fields, "state"));
    bool is_up = state && !strcmp(state, "connected");

    if (is_up)
        atomic_fetch_add(&leader->broker_connections, 1);
    atomic_store(&leader->broker_is_up, is_up);
}

static void roster_changed(struct simulation *s, const json_t *fields)
{
    struct leader_block *leader = shared_leader(s->shared);
    struct client_block *client = client_of(s, json_object_get(fields, "client"));
    const char *state = json_string_value(json_object_get(fields, "state"));
    uint32_t active = state && !strcmp(state, "active");

    if (!client || atomic_exchange(&client->active, active) == active)
        return;
    if (active) {
        atomic_fetch_add(&client->activations, 1);
        atomic_fetch_add(&leader->active_clients, 1);
    } else {
        atomic_fetch_sub(&leader->active_clients, 1);
    }
}

static const struct {
    const char *event;
    void (*take)(struct simulation *simulation, const json_t *fields);
} rows[] = {
    {"update", update},
    {"roster", roster_changed},
    {"broker", broker_changed},
    {"selected", selected},
    {"failure", failure},
    {"client_backed_off", backed_off},
    {"round", round_ended},
    {"round_lost", round_lost},
    {"session_started", session_started},
    {"session_finished", session_finished},
};

void leader_observer(void *context, const char *event, const json_t *fields)
{
    struct simulation *simulation = context;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].event, event)) {
            rows[i].take(simulation, fields);
            shared_notify(simulation->shared);
            return;
        }
}
