/* Who fails again and again is left alone for a while, and longer each time: 1 round after backoff_after failures in a
 * row, then 2, 4 … up to backoff_max_rounds. Rounds are counted, not seconds, so that a run repeats; where clients are
 * selected while others train a round means nothing to them, and stands for backoff_round_s. */
#include "leader/session_internal.h"

static bool goes_by_time(const struct session *session)
{
    return session->setup->strategies.selector->flags & FLOSIM_SELECTS_WHILE_TRAINING;
}

static int64_t pause_after(const struct session *session, int64_t failures)
{
    int64_t after = session->setup->config.session_config.backoff_after;
    int64_t most = session->setup->config.session_config.backoff_max_rounds, pause = 1;

    if (after == 0 || failures < after)
        return 0;
    for (int64_t i = after; i < failures && pause < most; i++)
        pause *= 2;
    return pause < most ? pause : most;
}

static void tell(struct session_job *job, const struct client_tally *tally, int64_t rounds, double seconds)
{
    struct session *session = job->session;
    json_t *fields = json_pack("{s:I, s:s, s:I}", "round", (json_int_t)job->base_version + 1, "client", job->client->id,
                               "failures", (json_int_t)tally->failures_in_a_row);
    char what[64];

    if (seconds > 0) {
        json_object_set_new(fields, "seconds", json_real(seconds));
        snprintf(what, sizeof what, "%g s", seconds);
    } else {
        json_object_set_new(fields, "rounds", json_integer((json_int_t)rounds));
        snprintf(what, sizeof what, "%lld round%s", (long long)rounds, rounds == 1 ? "" : "s");
    }
    session_emit(session, "client_backed_off", fields);
    log_write(session->env.log, LOG_WARN, "session",
              "client is not selected for %s: %lld failures in a row client=%s round=%lld", what,
              (long long)tally->failures_in_a_row, job->client->id, (long long)job->base_version + 1);
}

void session_note_outcome(struct session_job *job, bool good)
{
    struct session *session = job->session;
    struct client_tally *tally = session_tally(session, job->client);
    double seconds = 0;

    tally->failures_in_a_row = good ? 0 : tally->failures_in_a_row + 1;
    int64_t rounds = pause_after(session, tally->failures_in_a_row);
    if (rounds == 0)
        return;
    if (goes_by_time(session)) {
        seconds = (double)rounds * session->setup->config.session_config.backoff_round_s;
        tally->paused_until_ns = session_now_ns(session) + (uint64_t)(seconds * 1e9);
    } else {
        tally->paused_until = session->version + 1 + rounds;
    }
    tell(job, tally, rounds, seconds);
}

static bool is_paused(const struct session *session, const struct client_tally *tally)
{
    if (!tally || tally->failures_in_a_row == 0)
        return false;
    return goes_by_time(session) ? session_now_ns(session) < tally->paused_until_ns
                                 : session->version < tally->paused_until;
}

struct bench {
    size_t num_fit;         /* selectable, and not backed off */
    size_t num_paused;      /* selectable but for that */
    int64_t least_failures; /* of the latter */
};

static struct bench look(struct session *session, struct roster_client *const *who, const struct flosim_client *clients,
                         size_t n)
{
    struct bench bench = {.least_failures = INT64_MAX};

    for (size_t i = 0; i < n; i++) {
        const struct client_tally *tally = session_tally(session, who[i]);

        if (!(clients[i].flags & FLOSIM_SELECTABLE))
            continue;
        if (!is_paused(session, tally)) {
            bench.num_fit++;
            continue;
        }
        bench.num_paused++;
        if (tally->failures_in_a_row < bench.least_failures)
            bench.least_failures = tally->failures_in_a_row;
    }
    return bench;
}

size_t session_back_off(struct session *session, struct roster_client *const *who, struct flosim_client *clients,
                        size_t n)
{
    struct bench bench = look(session, who, clients, n);
    bool takes_least_bad = bench.num_fit == 0 && session->training == 0;
    size_t left_out = 0;

    /* Where a selection has come to nothing, everybody gets the next chance. */
    if (bench.num_paused == 0 || session->spares_nobody || session->lost_in_a_row > 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        const struct client_tally *tally = session_tally(session, who[i]);

        if (!(clients[i].flags & FLOSIM_SELECTABLE) || !is_paused(session, tally) ||
            (takes_least_bad && tally->failures_in_a_row == bench.least_failures))
            continue;
        clients[i].flags &= ~(unsigned)FLOSIM_SELECTABLE;
        left_out++;
    }
    return left_out;
}
