/* `flosim submit --follow`: shows a session's progress until it is over. */
#ifndef FLOSIM_CLI_SUBMIT_FOLLOW_H
#define FLOSIM_CLI_SUBMIT_FOLLOW_H

#include "cli/submit_leader.h"

/* Ask the leader every half second; print one line for each finished round (and, on a terminal, a bar), or with
 * `as_json` one JSON object a line; then how it ended. A leader that does not answer, or does not run the session any
 * more, is waited for, and that is told: another one may go on with it. OK when it finished, ERR_CANCELLED when it was
 * stopped or after an interrupt, ERR_UNAVAILABLE when it failed or nobody goes on with it within a minute. */
int submit_follow(const struct leader_address *leader, const char *session_id, bool as_json, struct error *err);

/* The same without the rounds, after a leader was lost (`why`) that had taken the session. */
int submit_wait(const struct leader_address *leader, const char *session_id, bool as_json, const struct error *why,
                struct error *err);

#endif
