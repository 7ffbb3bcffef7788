/* What a run folder tells, read from its files alone: rounds.csv, clients.csv, events.jsonl, scenario.resolved.yaml or
 * session.yaml. A file that is absent or damaged leaves its part out and a note; a run that was broken off has a record
 * of what is there. Times are seconds since the session began. */
#ifndef FLOSIM_REPORT_RUN_RECORD_H
#define FLOSIM_REPORT_RUN_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "report/run_table.h"

/* How a request for an update ended. */
enum span_end { SPAN_MERGED, SPAN_FAILED, SPAN_REFUSED, SPAN_DROPPED, SPAN_OPEN, NUM_SPAN_ENDS };

struct run_span { /* from the selection of a client to its answer */
    size_t client;
    int64_t round;
    double begin_s, end_s;
    enum span_end end;
    bool is_open;
};

struct run_client {
    char *id, *name; /* name: "" where no file tells it */
    size_t ends[NUM_SPAN_ENDS];
    size_t num_faults;
    size_t open_span; /* its latest, + 1; 0: none is open */
};

struct run_fault {
    int64_t number, occurrence; /* as in the events */
    char what[40];
    char victim[64];                                   /* the client's id, leader, broker, redis */
    long client;                                       /* -1: no client */
    int64_t round;                                     /* that went on when it struck; 0: before the first */
    double struck_s, noticed_s, undone_s, recovered_s; /* NAN: not, or not told */
};

struct run_record {
    char *name; /* of the scenario, else of the folder */
    struct run_table rounds, clients_table;
    double *ended_s; /* [rounds.num_rows]; NAN: not told */
    struct run_client *clients;
    size_t num_clients;
    struct run_span *spans;
    size_t num_spans;
    struct run_fault *faults;
    size_t num_faults;
    double end_s;     /* of the last event */
    json_t *finished; /* session_finished's fields, or NULL */
    json_t *ended;    /* run-ended's, or NULL: it was broken off, or there was no simulator */
    json_t *figures;  /* name -> "83.21 %": run-ended's, else what the other files tell */
    char *settings;   /* text of the file that says how to repeat it, or NULL */
    const char *settings_name;
    json_t *notes; /* array of what is missing or damaged */
};

/* ERR_NOT_FOUND: the folder holds neither events nor rounds. ERR_MEMORY. On failure out is zeros. */
int run_record_read(const char *dir, struct run_record *out, struct error *err);
void run_record_fini(struct run_record *record);

/* Whose end was it: "merged", "failed", ... */
const char *span_end_name(enum span_end end);

/* --- for the parts of the reader --- */

void run_record_note(struct run_record *record, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* events.jsonl, line by line: spans, faults, ended_s, finished, ended. An absent file is noted. ERR_MEMORY. */
int run_events_read(const char *path, struct run_record *record, struct error *err);

#endif
