/* Threads that commit, read, load, list and snapshot at once, over a store that goes away every few transactions and
 * comes back, now and then with nothing: a plain program, so that it runs under ThreadSanitizer, too. The store has no
 * lock of its own: what the state does with it from two threads at once is a race. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/state.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { COMMITS = 120, WRITERS = 3 };

/* ---- a store that goes away ---- */

static struct backend *kept; /* what is in it; outlives the state */
static unsigned transactions;

static int open_shaky(void *priv, const struct store_options *options, struct error *err)
{
    (void)priv;
    (void)options;
    (void)err;
    return OK;
}

static void close_shaky(void *priv)
{
    (void)priv;
}

static void forget(void)
{
    backend_close(kept);
    CHECK(backend_open(&kept, store_kind_find("inmemory"), &(struct store_options){0}, NULL) == OK);
}

static int reopen(void *priv, bool *complete, struct error *err)
{
    (void)priv;
    *complete = transactions % 3 != 0;
    if (transactions % 2 == 0) {
        transactions++;
        return FAIL(err, ERR_UNAVAILABLE, "still away");
    }
    if (!*complete)
        forget();
    return OK;
}

static int get(void *priv, enum store_name store, const char *id, const char *key, struct blob **out, struct error *err)
{
    (void)priv;
    return kept->ops->get(kept->priv, store, id, key, out, err);
}

static int len(void *priv, enum store_name store, const char *id, size_t *out, struct error *err)
{
    (void)priv;
    return kept->ops->len(kept->priv, store, id, out, err);
}

static int each(void *priv, enum store_name store, const char *id, store_visit visit, void *context, struct error *err)
{
    (void)priv;
    return kept->ops->each(kept->priv, store, id, visit, context, err);
}

static int putall(void *priv, const struct state_batch *batch, struct error *err)
{
    (void)priv;
    if (++transactions % 5 == 0)
        return FAIL(err, ERR_UNAVAILABLE, "gone");
    return kept->ops->putall(kept->priv, batch, err);
}

static int sessions(void *priv, store_visit_session visit, void *context, struct error *err)
{
    (void)priv;
    return kept->ops->sessions(kept->priv, visit, context, err);
}

static int take_term(void *priv, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err)
{
    (void)priv;
    return kept->ops->take_term(kept->priv, cluster, at_least, term, err);
}

static const struct store_ops shaky = {
    .name = "shaky",
    .outlives = true,
    .private_size = 1,
    .open = open_shaky,
    .close = close_shaky,
    .reopen = reopen,
    .get = get,
    .len = len,
    .each = each,
    .putall = putall,
    .sessions = sessions,
    .take_term = take_term,
};

/* ---- who uses the state ---- */

static struct state *state;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int outages, recoveries;

static void note(int *count)
{
    pthread_mutex_lock(&mutex);
    ++*count;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void note_outage(void *context, const char *reason)
{
    (void)context;
    CHECK(*reason);
    note(&outages);
}

static void note_recovery(void *context, double outage_s, size_t bytes, bool everything)
{
    (void)context;
    (void)bytes;
    (void)everything;
    CHECK(outage_s >= 0);
    note(&recoveries);
}

/* Else everything would be committed within the first outage. */
static void wait_until_back(void)
{
    pthread_mutex_lock(&mutex);
    while (recoveries < outages)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

struct waiting {
    struct state_ticket ticket;
    struct loop *loop;
};

static void answered(struct loop_event *event)
{
    loop_stop(CONTAINER_OF(CONTAINER_OF(event, struct state_ticket, event), struct waiting, ticket)->loop);
}

static struct state_batch *batch_of(const char *id, int n)
{
    struct state_batch *batch = state_batch_new();
    char text[32];

    snprintf(text, sizeof text, "%d", n);
    CHECK(batch && state_batch_put_text(batch, STORE_TRAINING_SESSION, id, "round", text, NULL) == OK);
    CHECK(state_batch_put_text(batch, STORE_AGGREGATOR_STATE, id, "n", text, NULL) == OK);
    return batch;
}

static void *commit(void *argument)
{
    const char *id = argument;
    struct loop *loop;

    CHECK(loop_new(&loop, &clock_system, NULL) == OK);
    for (int i = 1; i <= COMMITS; i++) {
        struct waiting waiting = {.ticket = {.event.handle = answered, .loop = loop}, .loop = loop};

        if (i % 4) {
            state_commit(state, batch_of(id, i), NULL);
            continue;
        }
        state_commit(state, batch_of(id, i), &waiting.ticket);
        loop_run(loop);
        CHECK(waiting.ticket.status == OK);
        if (!waiting.ticket.durable)
            wait_until_back();
    }
    loop_free(loop);
    return NULL;
}

static int ignore(void *context, const struct state_session *session)
{
    (void)context;
    CHECK(*session->id);
    return OK;
}

static void *look(void *argument)
{
    const atomic_bool *over = argument;

    while (!atomic_load(over)) {
        struct state_snapshot *snapshot = NULL;
        struct state_health health;
        int status = state_load(state, "nobodys", NULL);

        CHECK(status == ERR_NOT_FOUND || status == ERR_UNAVAILABLE);
        status = state_sessions(state, ignore, NULL, NULL);
        CHECK(status == OK || status == ERR_UNAVAILABLE);
        if (state_snapshot(state, "a", &snapshot, NULL) == OK) /* of one instant: both or none */
            CHECK(snapshot->n == 2 && blob_size(snapshot->entries[0].value) == blob_size(snapshot->entries[1].value) &&
                  memcmp(blob_bytes(snapshot->entries[0].value), blob_bytes(snapshot->entries[1].value),
                         blob_size(snapshot->entries[0].value)) == 0);
        state_snapshot_free(snapshot);
        state_health(state, &health);
        CHECK(health.durable && !health.refused && health.backlog_bytes < 1000);
    }
    return NULL;
}

static void expect_last(const char *id)
{
    char want[32];
    struct blob *value;

    snprintf(want, sizeof want, "%d", COMMITS);
    CHECK(kept->ops->get(kept->priv, STORE_AGGREGATOR_STATE, id, "n", &value, NULL) == OK);
    CHECK(blob_size(value) == strlen(want) && memcmp(blob_bytes(value), want, strlen(want)) == 0);
    blob_unref(value);
}

int main(void)
{
    static char ids[WRITERS][2] = {"a", "b", "c"};
    struct state_options options = {
        .kind = &shaky, .cluster = "0", .close_ms = 60000, .tell = {.outage = note_outage, .recovered = note_recovery}};
    pthread_t writers[WRITERS], reader;
    atomic_bool over = false;
    uint64_t term;

    CHECK(backend_open(&kept, store_kind_find("inmemory"), &(struct store_options){0}, NULL) == OK);
    CHECK(state_open(&state, &options, NULL) == OK);
    CHECK(state_take_term(state, 1, &term, NULL) == OK);
    CHECK(pthread_create(&reader, NULL, look, &over) == 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&writers[i], NULL, commit, ids[i]) == 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&over, true);
    pthread_join(reader, NULL);
    state_close(state);
    CHECK(outages > 5 && recoveries == outages);
    for (int i = 0; i < WRITERS; i++)
        expect_last(ids[i]);
    backend_close(kept);
    return 0;
}
