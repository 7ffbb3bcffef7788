#include "leader/roster_store.h"

#include <stdlib.h>
#include <string.h>

/* So many at a time, so that a thousand adverts at once do not hold up the loop. */
enum { AT_ONCE = 32 };

static const uint64_t pause_ns = 1000000000, short_pause_ns = 20000000;

/* FNV-1a, 64 bits: tells whether an advert changed. */
static uint64_t digest_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash ? hash : 1;
}

/* True: it went into the batch. */
static bool save_client(struct roster_store *self, struct roster_client *client, struct state_batch *batch)
{
    double timestamp = client->advert.timestamp;
    struct error err = ERROR_INIT;
    char *text;
    uint64_t digest;
    bool saved = false;

    client->unsaved = false;
    client->advert.timestamp = 0; /* alone it is no reason to write */
    text = client_advert_encode(&client->advert);
    client->advert.timestamp = timestamp;
    digest = text ? digest_of(text) : 0;
    free(text);
    if (digest == client->saved_digest)
        return false;
    text = client_advert_encode(&client->advert);
    if (text && state_batch_put_text(batch, STORE_CLIENT_INFO, self->cluster, client->id, text, &err) == OK) {
        client->saved_digest = digest;
        saved = true;
    }
    if (err.status != OK)
        log_write(self->log, LOG_WARN, "roster", "a client cannot be saved: %s client=%s", err.message, client->id);
    free(text);
    return saved;
}

/* Returns how many are left. */
static size_t save(struct roster_store *self, size_t at_most)
{
    struct state_batch *batch = state_batch_new();
    size_t seen = 0, saved = 0, left = 0;

    for (size_t i = 0; batch && i < roster_size(self->roster); i++) {
        struct roster_client *client = roster_at(self->roster, i);

        if (!client->unsaved)
            continue;
        if (seen++ < at_most)
            saved += save_client(self, client, batch);
        else
            left++;
    }
    if (saved)
        state_commit(self->state, batch, NULL);
    else
        state_batch_free(batch);
    return left;
}

static void save_some(struct loop_timer *timer)
{
    struct roster_store *self = CONTAINER_OF(timer, struct roster_store, timer);
    size_t left = save(self, AT_ONCE);

    loop_timer_set(self->loop, timer, left ? short_pause_ns : pause_ns, NULL);
}

void roster_store_save(struct roster_store *self)
{
    save(self, SIZE_MAX);
}

static int remember(void *context, const char *key, struct blob *value)
{
    struct roster_store *self = context;

    (void)key;
    roster_remember(self->roster, blob_span(value));
    return OK;
}

int roster_store_init(struct roster_store *self, struct roster *roster, struct state *state, const char *cluster,
                      struct loop *loop, const struct log *log, struct error *err)
{
    int status;

    *self = (struct roster_store){.roster = roster, .state = state, .cluster = cluster, .loop = loop, .log = log};
    loop_timer_init(&self->timer, save_some);
    status = state_each(state, STORE_CLIENT_INFO, cluster, remember, self, err);
    if (status == OK || status == ERR_NOT_FOUND)
        status = loop_timer_set(loop, &self->timer, pause_ns, err);
    if (status != OK)
        self->roster = NULL;
    return status;
}

void roster_store_fini(struct roster_store *self)
{
    if (!self->roster)
        return;
    loop_timer_cancel(self->loop, &self->timer);
    roster_store_save(self);
    self->roster = NULL;
}
