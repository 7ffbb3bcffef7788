/* The leader role: roster, REST, sessions, on one event loop. Several leaders can live in one process. */
#ifndef FLOSIM_LEADER_LEADER_H
#define FLOSIM_LEADER_LEADER_H

#include <jansson.h>
#include <stdbool.h>

#include "config/leader_config.h"
#include "data/dataset.h"
#include "state/state.h"
#include "util/log.h"
#include "util/probe.h"

struct leader;

/* What the surroundings lend a leader; a deployed one (flosim leader) has none of it. All borrowed for its life. */
struct leader_host {
    struct probes *probes; /* NULL: no points are ever armed */
    void *context;

    /* Everything that happens, on the loop's thread: event name and fields as they go to events.jsonl. NULL: not told.
     */
    void (*observe)(void *context, const char *event, const json_t *fields);

    /* Validation data that is in memory already, by data set name; NULL (or a NULL answer): read it from
     * validation_data_dir_path. */
    const struct data_view *(*validation_data)(void *context, const char *dataset);

    /* Whether a posted session may name this file as a strategy. NULL: none; only names in plugin_dir. */
    bool (*may_load)(void *context, const char *path);

    /* Where a session's run folder goes; NULL: <temp_dir_path>/<session_id>. */
    const char *run_dir;
    /* t = 0 of events.jsonl on the monotonic clock, so that several processes share one; 0: the session's start. */
    uint64_t origin_ns;
    /* Compute clients in parallel at most (for deadlines); 0: as many as are selected. */
    int slots;
    int threads; /* for validation; 0: 1 */
    /* Answers of one client in the simulator carry modelled durations; then elapsed wall time must not reach
     * strategies. */
    bool modelled_time;
};

/* `log`, `host` (may be NULL) are borrowed; `config` too. Connects to the broker, opens the REST port. A broker that is
 * not there or a port in use is ERR_SETUP with the remedy. `succeeds`: it takes another leader's place, so a Redis that
 * nobody has answered at yet is waited for, up to a minute; without, that is an error at once. */
int leader_new(struct leader **out, const struct leader_config *config, const struct leader_host *host, bool succeeds,
               const struct log *log, struct error *err);
/* Before leader_run: go on with the session that an earlier leader left unfinished (in the state, else in the newest
 * checkpoint): restored, else revived; where there is none, just serve. What becomes of it is told in the log. */
int leader_resume(struct leader *leader, struct error *err);

/* How the leader's store is reached. *out borrows from the configuration and from *password, which the caller frees. */
int leader_state_options(const struct leader_config *config, struct state_options *out, char **password,
                         struct error *err);

int leader_rest_port(const struct leader *leader);

/* Runs on the calling thread until leader_stop (OK), or until another leader has taken this one's place
 * (ERR_UNAVAILABLE): then its session has ended without a trace, and nothing of the other's is touched. */
int leader_run(struct leader *leader, struct error *err);

/* Any thread, or a signal handler's eventfd reader. A running session stops after what it has (its folder is written,
 * its job answered 503); retained messages are cleared; the port closes; leader_run returns. */
void leader_stop(struct leader *leader);
void leader_free(struct leader *leader);

#endif
