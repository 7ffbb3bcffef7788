/* Checkpoints of a running session: where they come in. (checkpoint_interval has no effect yet.) */
#include "leader/session_internal.h"

bool session_checkpoint_is_awaited(const struct session *session, int64_t round)
{
    (void)session;
    (void)round;
    return false;
}

void session_checkpoint_if_due(struct session *session, int64_t round)
{
    (void)session;
    (void)round;
}

void session_checkpoint_end(struct session *session, void (*then)(struct session *session))
{
    then(session);
}

void session_checkpoints_fini(struct session *session)
{
    (void)session;
}
