/* How `flosim submit` and `flosim sessions` talk to a leader: REST requests, answers as JSON, and what an answer means for the exit code. */
#ifndef FLOSIM_CLI_SUBMIT_LEADER_H
#define FLOSIM_CLI_SUBMIT_LEADER_H

#include <jansson.h>
#include <stdbool.h>

#include "util/error.h"

struct leader_address {
    char base[320];    /* http://host:port */
    const char *token; /* borrowed; NULL: none */
};

struct leader_answer {
    long http_status;
    json_t *json; /* owned; NULL where the body is no JSON */
};

/* host:port, [IPv6]:port, or the same behind http://. ERR_INVALID says what is expected. */
int leader_address_parse(const char *text, struct leader_address *out, struct error *err);

/* The bearer token in the file's first line, in a new string; it must fit into a header. `path` NULL: *out is NULL. */
int leader_token_read(const char *path, char **out, struct error *err);

enum { SESSION_PATH_MAX = 16 + 3 * 128 + 1 };

/* "/v1/sessions/ID" of an id of at most 128 bytes, percent-encoded. */
void leader_session_path(const char *id, char path[SESSION_PATH_MAX]);

/* One request; `body` JSON or NULL. timeout_s 0: waits as long as it takes. ERR_CANCELLED after an interrupt (see
 * interrupted()), ERR_UNAVAILABLE with the remedy where nobody answers, ERR_IO where the leader died meanwhile. */
int leader_request(const struct leader_address *leader, const char *method, const char *path, const char *body,
                   double timeout_s, struct leader_answer *out, struct error *err);
void leader_answer_fini(struct leader_answer *answer);

/* The answer's "message", or "". */
const char *leader_answer_message(const struct leader_answer *answer);

/* OK, ERR_INVALID (4xx), ERR_UNIMPLEMENTED (501), ERR_CANCELLED (503: stopped, or the leader leaves) or ERR_UNAVAILABLE
 * (any other failure at the leader). */
int leader_answer_status(const struct leader_answer *answer);

/* SIGINT or SIGTERM has come since interrupts_catch. */
void interrupts_catch(void);
bool interrupted(void);

#endif
