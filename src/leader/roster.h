/* The roster: every client that ever spoke to this leader, sorted by id, and whether it is in contact.
 *
 * A client is active from its advert until `max_heartbeat_miss_threshold x interval + 2 s` pass without a heartbeat,
 * until its `offline` arrives, or until a request to it fails as unavailable; the next advert or heartbeat makes it
 * active again. What is kept is bounded per client (the advert's own bounds, a ring of heartbeat times), in number of
 * clients and in bytes of all adverts: where room is wanted, the clients that were heard of longest ago are forgotten,
 * but none that is active, and none at all while somebody holds the roster (a session does): pointers to entries and
 * their numbers stay good meanwhile. An advert without room is dropped. Loop thread only; an entry's `id` never changes
 * and may be read by any thread. */
#ifndef FLOSIM_LEADER_ROSTER_H
#define FLOSIM_LEADER_ROSTER_H

#include <jansson.h>

#include "codec/advert.h"
#include "leader/client_link.h"
#include "util/log.h"
#include "util/loop.h"

struct roster;

struct roster_client {
    char id[CLIENT_ID_MAX];
    size_t number; /* below roster_size, no two alike; the same for as long as the roster is held */
    bool active, busy;
    bool remembered;             /* known from before the leader's start, not heard of since */
    bool unsaved;                /* the advert, or what was learned of it, changed since the roster was saved */
    uint64_t saved_digest;       /* of the advert as it was saved; 0: it was not */
    bool refused_term;           /* its latest answer: another leader has a higher term */
    int echoes;                  /* that are to be answered */
    char reason[160];            /* why it is not active; "" where it is */
    struct client_advert advert; /* the latest; name, endpoint, data sets, models, benchmarks; benchmark and model rows
                                  * are brought up to date by what the leader learns itself */
    double *heartbeats;          /* ring of wall times of the latest ones */
    size_t num_heartbeats, next_heartbeat;
    uint64_t last_seen_ns;
    uint64_t unavailable_ns;  /* when a request last failed as unavailable; 0: never */
    struct client_link *link; /* NULL: not open; see roster_link */
    uint64_t failures;
    size_t counted_bytes; /* of the advert, in the roster's sum */
};

/* Opens a link to a client's endpoint; ours: it speaks our codec (and takes keepalive pings). */
struct link_factory {
    int (*open)(void *context, const char *endpoint, bool ours, struct client_link **out, struct error *err);
    void *context;
};

struct roster_options {
    double heartbeat_interval_s;
    int64_t max_missed;          /* max_heartbeat_miss_threshold */
    int64_t num_heartbeats_kept; /* num_heartbeats_timestamp_cached */
    size_t max_clients;          /* 0: 100,000 */
    size_t max_bytes;            /* of what the adverts say, about; 0: 512 MiB */
    double echo_timeout_s;
    void (*replaced)(void *context); /* see roster_note_term; NULL: not told */
    void *context;
};

enum roster_change {
    ROSTER_ACTIVE,   /* became active (also: new, or back) */
    ROSTER_INACTIVE, /* became inactive; `reason` says why */
    ROSTER_UPDATED,  /* a new advert of an active client */
};

struct roster_listener {
    void (*changed)(struct roster_listener *listener, struct roster_client *client, enum roster_change change);
    void (*hearing)(struct roster_listener *listener, bool hearing); /* as roster_set_hearing was told; or NULL */
    struct roster_listener *next;                                    /* the roster's own */
};

/* All borrowed. */
int roster_new(struct roster **out, const struct roster_options *options, const struct link_factory *factory,
               struct loop *loop, const struct log *log, struct error *err);

/* Closes every link (what is open on them answers with ERR_CANCELLED) and ends the watch over heartbeats; to be called
 * before what the links are made of goes away. roster_free then frees. */
void roster_close(struct roster *roster);
void roster_free(struct roster *roster);

void roster_listen(struct roster *roster, struct roster_listener *listener);
void roster_unlisten(struct roster *roster, struct roster_listener *listener);

/* While it is held nobody is forgotten. Each hold needs its release. */
void roster_hold(struct roster *roster);
void roster_release(struct roster *roster);

/* What came in. Payloads are untrusted; what is malformed is logged and dropped. */
void roster_take_advert(struct roster *roster, struct span payload);
void roster_take_heartbeat(struct roster *roster, struct span payload);
void roster_take_status(struct roster *roster, const char *client_id, struct span payload, bool retained);

/* A client of an earlier life of the leader, with its last advert: known, not in contact. */
void roster_remember(struct roster *roster, struct span advert);
/* Try the remembered clients at their old addresses: who answers an echo is in contact; who does not is out of contact
 * until its advert. Of several at one address only the one that advertised last. */
void roster_call_remembered(struct roster *roster);

/* The broker went away, or came back: nobody is missed while nothing can be heard, nor before clients have had the time
 * to find the way back to it themselves. */
void roster_set_hearing(struct roster *roster, bool hearing);

/* A request failed as unavailable: out of contact until it is heard of again. */
void roster_lost_contact(struct roster *roster, struct roster_client *client, const char *reason);

/* Whether the client took a request of this leader's term. One that refuses may lie; when more than half of those in
 * contact do, `replaced` is called. */
void roster_note_term(struct roster *roster, struct roster_client *client, bool refused);

/* Ask the client for an echo (which also ends its adverts); a failure makes it inactive. done (may be NULL) then runs
 * exactly once, later, unless false is returned: the echo could not be sent, and the client is inactive. */
bool roster_echo(struct roster *roster, struct roster_client *client, void (*done)(void *context), void *context);

/* The open link of an active client, opened where needed. Borrowed; good until the client becomes inactive. */
struct client_link *roster_link(struct roster *roster, struct roster_client *client, struct error *err);

size_t roster_size(const struct roster *roster);
size_t roster_num_active(const struct roster *roster);
struct roster_client *roster_at(const struct roster *roster, size_t i); /* by ascending id */
struct roster_client *roster_find(const struct roster *roster, const char *id);

/* Facts of a client; NULL where there is none. */
const struct dataset_advert *roster_dataset(const struct roster_client *client, const char *dataset_id);
const char *roster_model_hash(const struct roster_client *client, const char *model_id);
const struct bench_advert *roster_benchmark(const struct roster_client *client, const char *model_id);

/* What the leader learned: the client now has these model files, this benchmark. Forgotten silently when out of memory
 * or bounds (then it is found out again). */
void roster_learn_model(struct roster_client *client, const char *model_id, const char *hash);
void roster_learn_benchmark(struct roster_client *client, const char *model_id, const char *hash, int64_t batches,
                            double seconds);

/* Why it cannot be selected for this data set, or NULL where it can be. */
const char *roster_obstacle(const struct roster_client *client, const char *dataset_id);

/* How many items of this data set it can train on; 0 where it does not have the set. */
int64_t roster_trainable(const struct roster_client *client, const char *dataset_id);

/* {"clients": [...]} for GET /v1/clients; new reference, NULL when out of memory. */
json_t *roster_json(const struct roster *roster);

#endif
