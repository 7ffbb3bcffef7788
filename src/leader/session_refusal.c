/* Updates that the leader does not take: why, in figures and to the client. */
#include "codec/encoding.h"
#include "leader/session_internal.h"

static const char *const names[NUM_REFUSALS] = {"non_finite", "shape", "truncated", "stale", "other"};

const char *refusal_name(enum refusal refusal)
{
    return names[refusal];
}

enum refusal session_refusal_of(int status, struct span image)
{
    if (status == ERR_CORRUPT || (status == ERR_INVALID && !weights_are_known(image)))
        return REFUSED_TRUNCATED;
    return status == ERR_INVALID ? REFUSED_SHAPE : REFUSED_OTHER;
}

json_t *session_refusals_json(const int64_t counts[NUM_REFUSALS])
{
    json_t *json = json_object();

    for (size_t i = 0; i < NUM_REFUSALS; i++)
        json_object_set_new(json, names[i], json_integer((json_int_t)counts[i]));
    return json;
}

void session_refusals_read(const json_t *json, int64_t counts[NUM_REFUSALS], bool *broken)
{
    for (size_t i = 0; i < NUM_REFUSALS; i++) {
        const json_t *value = json_object_get(json, names[i]);

        counts[i] = json_integer_value(value);
        *broken |= !json_is_integer(value) || counts[i] < 0;
    }
}

static void ignore(void *context, struct link_reply *reply)
{
    (void)context;
    (void)reply;
}

/* A stock worker has no Abort and says so, which is fine. */
void session_tell_refusal(struct session_job *job)
{
    struct session *session = job->session;
    struct client_link *link = job->client->link;
    struct abort_request request = {
        .session_id = session->setup->session_id,
        .round_idx = (int32_t)job->base_version,
        .leader_term = session->env.leader_term,
        .reason = job->error.message,
    };

    if (link && *job->error.message)
        link->ops->abort(link, &request, ignore, NULL);
}
