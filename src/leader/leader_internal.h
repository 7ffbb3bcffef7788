/* What the files of the leader role share. Nobody else includes this. */
#ifndef FLOSIM_LEADER_LEADER_INTERNAL_H
#define FLOSIM_LEADER_LEADER_INTERNAL_H

#include <stdatomic.h>

#include "leader/client_link_grpc.h"
#include "leader/discovery.h"
#include "leader/leader.h"
#include "leader/roster_store.h"
#include "leader/session.h"
#include "net/http_server.h"
#include "state/state.h"
#include "util/uuid.h"

enum { KEPT_SESSIONS = 16, KEPT_MODELS = 4 };

/* A session that is over, as REST still shows it. */
struct past_session {
    json_t *json;       /* whole */
    struct blob *model; /* NULL: no longer kept */
};

struct submission;

struct leader {
    const struct leader_config *config;
    const struct leader_host *host; /* may be NULL */
    bool succeeds;                  /* another leader: what that one left may come up later than this one */
    const struct log *log;
    uint64_t term;
    char id[UUID_TEXT]; /* of this process */
    struct state *state;
    struct loop *loop;
    struct executor *executor;
    struct edge_client *edge;
    struct grpc_links links;
    struct roster *roster;
    struct roster_store roster_store;
    struct roster_listener listener;
    struct discovery *discovery;
    struct http_server *http;

    struct error contact; /* how the first contact with the broker went */
    bool contacted;
    bool ready; /* mqtt_sub_timeout_s has passed */
    bool leaving;
    struct loop_event replaced_event; /* from the state's thread */
    atomic_bool replaced_posted;
    struct error failure; /* why it cannot go on: another leader has taken its place */
    struct loop_timer ready_timer;
    struct loop_timer linger_timer; /* of a leader that leaves */
    atomic_bool stop_asked;
    struct loop_event stop_event;

    struct submission *submission;           /* a session being made or waiting for its start; NULL: none */
    struct session *session;                 /* running; NULL: none */
    struct http_exchange *waiting;           /* /execute_command of the running session; NULL: none */
    struct past_session past[KEPT_SESSIONS]; /* latest first */
    size_t num_past;
    struct checkpoint_tally checkpoints;
    struct executor *storage; /* asks the store and the checkpoints for REST; NULL: not needed yet */
};

/* sessions.c: from the request to the record. One at a time. */
void sessions_submit(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                     bool blocking);
int sessions_resume(struct leader *leader, struct error *err); /* the session that was left unfinished; tells */
void sessions_ready(struct leader *leader);
void sessions_leave(struct leader *leader); /* ends what runs, then leader_left; of a replaced leader without a trace */
void sessions_fini(struct leader *leader);
json_t *sessions_find(const struct leader *leader, const char *session_id, struct blob **model); /* new reference */

/* rest_stored.c: what is stored of sessions, for REST. */
void sessions_list(struct leader *leader, struct http_exchange *exchange);
void sessions_drop(struct leader *leader, struct http_exchange *exchange, const char *id, struct span body);

/* rest.c */
void rest_handle(void *context, struct http_exchange *exchange, const struct http_request *request);

/* leader_term.c: whose turn it is. */
int leader_take_term(struct leader *leader, struct error *err);
void leader_replaced(struct leader *leader, uint64_t term, const char *who);   /* term 0: not known; loop thread */
void leader_hears_of_another(void *leader, const char *who);                   /* leader_replaced for a session */
void leader_watch_state(struct leader *leader, struct state_options *options); /* before state_open */
bool leader_is_replaced(const struct leader *leader);

/* leader.c */
void leader_left(struct leader *leader);

#endif
