/* A session's run folder: events.jsonl, rounds.csv, clients.csv, session.yaml, model.safetensors.
 * report_event may be called on the loop's thread (one small write); the rest writes files and belongs on the compute
 * thread. A zeroed report (dir NULL) writes nothing. */
#ifndef FLOSIM_LEADER_REPORT_H
#define FLOSIM_LEADER_REPORT_H

#include "config/session_config.h"
#include "util/event_log.h"
#include "util/span.h"

struct report {
    char *dir; /* NULL: nothing is written */
    struct event_log events;
};

/* Make the folder and begin its files. origin_ns: t = 0 of an events.jsonl that others write too, on `clock`; 0: the
 * file is ours alone, replaces an earlier one, and begins now. goes_on: the folder of a session that is taken up again:
 * events are appended, and rounds.csv stays until report_rounds. */
int report_open(struct report *report, const char *dir, const struct clock *clock, uint64_t origin_ns, bool goes_on,
                const struct session_config *config, struct error *err);

/* Takes the reference to fields. */
void report_event(struct report *report, const char *name, json_t *fields);

extern const char report_rounds_header[], report_clients_header[];

/* Write rounds.csv anew: the header and these lines. */
int report_rounds(struct report *report, const char *lines, struct error *err);

/* Append one line (with its line end) to rounds.csv. */
int report_round(struct report *report, const char *line, struct error *err);

/* Write clients.csv (header and the given lines) and model.safetensors, each whole or not at all. */
int report_finish(struct report *report, const char *client_lines, struct span model, struct error *err);
void report_close(struct report *report);

#endif
