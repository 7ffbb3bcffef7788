/* What a session knows of each client, and how that is kept: the value `client.<id>` of training_state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

static int grow_tallies(struct session *session, size_t needed)
{
    size_t n = session->num_tallies ? session->num_tallies : 64;
    struct client_tally *tallies;

    while (n < needed)
        n *= 2;
    tallies = realloc(session->tallies, n * sizeof *tallies);
    if (!tallies)
        return ERR_MEMORY;
    memset(tallies + session->num_tallies, 0, (n - session->num_tallies) * sizeof *tallies);
    session->tallies = tallies;
    session->num_tallies = n;
    return OK;
}

static void clear_tally(struct client_tally *tally)
{
    *tally = (struct client_tally){
        .validation_loss = -1, .validation_accuracy = -1, .validation_round = -1, .last_round = -1};
    job_figures_clear(&tally->latest);
}

static int compare_kept(const void *id, const void *kept)
{
    return strcmp(id, ((const struct kept_tally *)kept)->id);
}

/* What an earlier leader knew of it. Numbers of the roster differ from leader to leader: ids do not. */
static void take_kept(struct session *session, struct roster_client *client, struct client_tally *tally)
{
    const struct session_kept *kept = &session->kept;
    const struct kept_tally *found =
        kept->num_tallies ? bsearch(client->id, kept->tallies, kept->num_tallies, sizeof *kept->tallies, compare_kept)
                          : NULL;

    if (!found)
        return;
    *tally = found->tally;
    tally->paused_until_ns = session_now_ns(session) + (uint64_t)(tally->pause_left_s * 1e9);
    if (found->num_mini_batches > 0)
        session_bench_restore(session, client, found->num_mini_batches, found->bench_time_s);
}

struct client_tally *session_tally(struct session *session, struct roster_client *client)
{
    struct client_tally *tally;

    if (client->number >= session->num_tallies && grow_tallies(session, client->number + 1) != OK)
        return NULL;
    tally = &session->tallies[client->number];
    if (!tally->client) {
        clear_tally(tally);
        take_kept(session, client, tally);
        tally->client = client;
    }
    return tally;
}

/* ---- as it is kept ---- */

/* A key has no blanks; an id may. */
void session_client_key(const char *kind, const char *id, char key[TALLY_KEY])
{
    size_t n = (size_t)snprintf(key, TALLY_KEY, "%s", kind);

    for (; *id && n + 4 < TALLY_KEY; id++) {
        unsigned char c = (unsigned char)*id;

        if (c <= ' ' || c == 127 || c == '%')
            n += (size_t)snprintf(key + n, TALLY_KEY - n, "%%%02x", c);
        else
            key[n++] = (char)c;
    }
    key[n] = '\0';
}

/* The client's id as JSON text, with its quotes. */
static void quote(const char *id, char out[6 * CLIENT_ID_MAX + 3])
{
    size_t n = 0;

    out[n++] = '"';
    for (; *id; id++) {
        unsigned char c = (unsigned char)*id;

        if (c < ' ' || c == '"' || c == '\\')
            n += (size_t)snprintf(out + n, 7, "\\u%04x", c);
        else
            out[n++] = (char)c;
    }
    out[n++] = '"';
    out[n] = '\0';
}

_Static_assert(NUM_REFUSALS == 5, "write_outcomes writes five");

static int write_outcomes(const struct client_tally *tally, uint64_t now_ns, char *text, size_t size)
{
    double left_s = tally->paused_until_ns > now_ns ? (double)(tally->paused_until_ns - now_ns) * 1e-9 : 0;
    const int64_t *refused = tally->refused_for;

    return snprintf(text, size,
                    "\"failures_in_a_row\":%lld,\"paused_until\":%lld,\"pause_left_s\":%.17g,"
                    "\"refused_for\":{\"%s\":%lld,\"%s\":%lld,\"%s\":%lld,\"%s\":%lld,\"%s\":%lld},",
                    (long long)tally->failures_in_a_row, (long long)tally->paused_until, left_s, refusal_name(0),
                    (long long)refused[0], refusal_name(1), (long long)refused[1], refusal_name(2),
                    (long long)refused[2], refusal_name(3), (long long)refused[3], refusal_name(4),
                    (long long)refused[4]);
}

/* Written by hand: a round may change a thousand of them, on the loop. 17 digits give every double back. */
static int write_tally(const struct client_tally *tally, const struct bench_advert *bench, uint64_t now_ns, char *text,
                       size_t size)
{
    const struct job_figures *latest = &tally->latest;
    char id[6 * CLIENT_ID_MAX + 3];
    int n, m;

    quote(tally->client->id, id);
    n = snprintf(text, size,
                 "{\"client\":%s,\"selected\":%lld,\"merged\":%lld,\"refused\":%lld,\"failed\":%lld,\"dropped\":%lld,"
                 "\"unused\":%lld,"
                 "\"bytes_down\":%zu,\"bytes_up\":%zu,\"last_round\":%lld,\"validation_loss\":%.17g,"
                 "\"validation_accuracy\":%.17g,\"validation_round\":%lld,\"pss_idle_kb\":%lld,"
                 "\"pss_training_kb\":%lld,\"benchmark_tried\":%s,",
                 id, (long long)tally->selected, (long long)tally->merged, (long long)tally->refused,
                 (long long)tally->failed, (long long)tally->dropped, (long long)tally->unused, tally->bytes_down,
                 tally->bytes_up, (long long)tally->last_round, tally->validation_loss, tally->validation_accuracy,
                 (long long)tally->validation_round, (long long)tally->pss_idle_kb, (long long)tally->pss_training_kb,
                 tally->benchmark_tried ? "true" : "false");
    n += write_outcomes(tally, now_ns, text + n, size - (size_t)n);
    m = snprintf(text + n, size - (size_t)n,
                 "\"latest\":{\"loss\":%.17g,\"accuracy\":%.17g,\"time_taken_s\":%.17g,\"measured_s\":%.17g,"
                 "\"num_samples\":%lld,\"mini_batches\":%lld,\"num_epochs\":%.17g,\"initial_loss\":%.17g,"
                 "\"square_loss\":%.17g},\"benchmark\":{\"num_mini_batches\":%lld,\"time_taken_s\":%.17g}}",
                 latest->loss, latest->accuracy, latest->time_taken_s, latest->measured_s,
                 (long long)latest->num_samples, (long long)latest->mini_batches, latest->num_epochs,
                 latest->initial_loss, latest->square_loss, bench ? (long long)bench->num_mini_batches : 0,
                 bench ? bench->time_taken_s : 0.0);
    return n + m;
}

int session_tally_keep(struct session *session, struct client_tally *tally, struct state_batch *batch,
                       struct error *err)
{
    char key[TALLY_KEY], text[1536 + 6 * CLIENT_ID_MAX];
    int n =
        write_tally(tally, session_bench_figure(session, tally->client), session_now_ns(session), text, sizeof text);

    if (n < 0 || (size_t)n >= sizeof text)
        return FAIL(err, ERR_INTERNAL, "the tally of client %s does not fit", tally->client->id);
    tally->changed = false;
    session_client_key("client.", tally->client->id, key);
    return state_batch_put_bytes(batch, STORE_TRAINING_STATE, session_id(session), key, span_of(text, (size_t)n), err);
}

/* ---- as it is taken up ---- */

static int64_t integer_of(const json_t *json, const char *key, int64_t least, bool *broken)
{
    const json_t *value = json_object_get(json, key);
    int64_t number = json_integer_value(value);

    *broken |= !json_is_integer(value) || number < least;
    return number;
}

static double real_of(const json_t *json, const char *key, bool *broken)
{
    const json_t *value = json_object_get(json, key);

    *broken |= !json_is_number(value);
    return json_number_value(value);
}

static struct job_figures read_figures(const json_t *json, bool *broken)
{
    struct job_figures figures;

    job_figures_clear(&figures);
    figures.loss = real_of(json, "loss", broken);
    figures.accuracy = real_of(json, "accuracy", broken);
    figures.time_taken_s = real_of(json, "time_taken_s", broken);
    figures.measured_s = real_of(json, "measured_s", broken);
    figures.num_samples = integer_of(json, "num_samples", -1, broken);
    figures.mini_batches = integer_of(json, "mini_batches", -1, broken);
    figures.num_epochs = real_of(json, "num_epochs", broken);
    figures.initial_loss = real_of(json, "initial_loss", broken);
    figures.square_loss = real_of(json, "square_loss", broken);
    return figures;
}

int session_tally_read(const char *key, const json_t *json, struct kept_tally *out, struct error *err)
{
    const json_t *bench = json_object_get(json, "benchmark");
    const char *id = json_string_value(json_object_get(json, "client"));
    bool broken = !id || strlen(id) >= sizeof out->id;
    struct client_tally *tally = &out->tally;

    *out = (struct kept_tally){0};
    clear_tally(tally);
    snprintf(out->id, sizeof out->id, "%s", id ? id : "");
    tally->selected = integer_of(json, "selected", 0, &broken);
    tally->merged = integer_of(json, "merged", 0, &broken);
    tally->refused = integer_of(json, "refused", 0, &broken);
    tally->failed = integer_of(json, "failed", 0, &broken);
    tally->dropped = integer_of(json, "dropped", 0, &broken);
    tally->unused = integer_of(json, "unused", 0, &broken);
    tally->bytes_down = (size_t)integer_of(json, "bytes_down", 0, &broken);
    tally->bytes_up = (size_t)integer_of(json, "bytes_up", 0, &broken);
    tally->last_round = integer_of(json, "last_round", -1, &broken);
    tally->validation_loss = real_of(json, "validation_loss", &broken);
    tally->validation_accuracy = real_of(json, "validation_accuracy", &broken);
    tally->validation_round = integer_of(json, "validation_round", -1, &broken);
    tally->pss_idle_kb = integer_of(json, "pss_idle_kb", -1, &broken);
    tally->pss_training_kb = integer_of(json, "pss_training_kb", -1, &broken);
    tally->failures_in_a_row = integer_of(json, "failures_in_a_row", 0, &broken);
    tally->paused_until = integer_of(json, "paused_until", 0, &broken);
    tally->pause_left_s = real_of(json, "pause_left_s", &broken);
    broken |= !(tally->pause_left_s >= 0 && tally->pause_left_s < 1e9);
    session_refusals_read(json_object_get(json, "refused_for"), tally->refused_for, &broken);
    tally->benchmark_tried = json_is_true(json_object_get(json, "benchmark_tried"));
    tally->latest = read_figures(json_object_get(json, "latest"), &broken);
    out->num_mini_batches = integer_of(bench, "num_mini_batches", 0, &broken);
    out->bench_time_s = real_of(bench, "time_taken_s", &broken);
    return broken ? FAIL(err, ERR_CORRUPT, "`%s` is not the tally of a client", key) : OK;
}
