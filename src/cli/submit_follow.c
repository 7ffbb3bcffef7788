#include "cli/submit_follow.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

enum { BAR_CELLS = 24, REQUEST_TIMEOUT_S = 10 };

static const struct timespec poll_interval = {0, 500000000};
enum { PATIENCE_S = 60 }; /* with a leader that does not answer: it is started again, or another takes its place */

struct view {
    bool as_json, terminal, bar_is_shown, waited, told_waiting;
    bool quiet;           /* only the end is shown */
    bool lost;            /* the leader does not answer, or does not go on; that was told */
    uint64_t heard_ns;    /* when the session was last seen to go on */
    long long last_round; /* that was shown; 0: none */
    size_t num_rounds_shown;
    double seconds; /* of the rounds shown */
    char figures[64];
};

/* ---- what a person sees ---- */

static void clear_bar(struct view *view)
{
    if (view->bar_is_shown)
        fputs("\r\033[K", stdout);
    view->bar_is_shown = false;
}

static long long integer_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void take_figures(struct view *view, const json_t *round)
{
    if (json_is_number(json_object_get(round, "accuracy")))
        snprintf(view->figures, sizeof view->figures, "accuracy %6.2f %%  loss %.4f", number_of(round, "accuracy"),
                 number_of(round, "loss"));
    else
        snprintf(view->figures, sizeof view->figures, "not validated");
}

static void print_round(struct view *view, const json_t *session, const json_t *round)
{
    view->seconds += number_of(round, "duration_s");
    take_figures(view, round);
    clear_bar(view);
    printf("round %3lld/%lld  %s  %lld selected, %lld merged, %lld failed  %.2f s\n", integer_of(round, "round"),
           integer_of(session, "num_rounds"), view->figures, integer_of(round, "selected"), integer_of(round, "merged"),
           integer_of(round, "failed") + integer_of(round, "refused"), number_of(round, "duration_s"));
}

static void print_json(const json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    putchar('\n');
}

/* A leader shows the latest rounds of a long session, not all of them. */
static void show_new_rounds(struct view *view, const json_t *session)
{
    const json_t *rounds = view->quiet ? NULL : json_object_get(session, "rounds");

    for (size_t i = 0; i < json_array_size(rounds); i++) {
        const json_t *round = json_array_get(rounds, i);
        if (integer_of(round, "round") <= view->last_round)
            continue;
        view->last_round = integer_of(round, "round");
        view->num_rounds_shown++;
        if (view->as_json)
            print_json(round);
        else
            print_round(view, session, round);
    }
}

static void draw_bar(struct view *view, const json_t *session)
{
    const json_t *progress = json_object_get(session, "progress");
    long long selected = integer_of(progress, "selected"), done = integer_of(progress, "done");
    long long round = integer_of(session, "round"), num_rounds = integer_of(session, "num_rounds");
    double round_s = view->num_rounds_shown ? view->seconds / (double)view->num_rounds_shown : 0;
    char cells[BAR_CELLS + 1];

    size_t full = selected > 0 && done > 0 ? (size_t)(done * BAR_CELLS / selected) : 0;
    memset(cells, '.', BAR_CELLS);
    memset(cells, '#', full < BAR_CELLS ? full : BAR_CELLS);
    cells[BAR_CELLS] = '\0';
    clear_bar(view);
    printf("round %lld/%lld [%s] %lld/%lld clients  %s  %.2f s/round  %.0f s left", round + 1, num_rounds, cells, done,
           selected, view->figures, round_s, round_s * (double)(num_rounds - round));
    view->bar_is_shown = true;
}

/* ---- the end ---- */

static void show_end(struct view *view, json_t *session, const char *id, const char *status)
{
    const char *reason = json_string_value(json_object_get(session, "reason"));

    clear_bar(view);
    if (view->as_json) {
        json_object_del(session, "rounds"); /* have been printed */
        json_object_del(session, "config");
        print_json(session);
    } else {
        printf("Session %s %s%s%s\n", id, status, reason && *reason ? ": " : "", reason ? reason : "");
    }
}

/* *outcome: how it went. */
static bool is_over(const char *status, int *outcome)
{
    static const struct {
        const char *text;
        int outcome;
    } ends[] = {{"finished", OK}, {"failed", ERR_UNAVAILABLE}, {"stopped", ERR_CANCELLED}};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        *outcome = ends[i].outcome;
        if (!strcmp(status, ends[i].text))
            return true;
    }
    return false;
}

/* True: it is over. */
static bool show(struct view *view, json_t *session, const char *id, int *outcome)
{
    const char *status = json_string_value(json_object_get(session, "status"));
    bool over = is_over(status, outcome);

    bool waits = !strcmp(status, "waiting");
    if (!view->as_json && waits && view->waited && !view->told_waiting) { /* every session waits for a moment */
        view->told_waiting = true;
        puts("waiting for clients");
    }
    view->waited = waits;
    show_new_rounds(view, session);
    if (over)
        show_end(view, session, id, status);
    else if (view->terminal && !view->quiet && !strcmp(status, "running"))
        draw_bar(view, session);
    fflush(stdout);
    return over;
}

static int leave_running(struct view *view, const struct leader_address *leader, const char *id, struct error *err)
{
    char path[SESSION_PATH_MAX];

    clear_bar(view);
    fflush(stdout);
    leader_session_path(id, path);
    return FAIL(err, ERR_CANCELLED, "interrupted; session %s goes on: GET %s%s shows it, DELETE stops it", id,
                leader->base, path);
}

/* ---- polling ---- */

/* One look: OK with *session (owned), or why not. */
static int look(const struct leader_address *leader, const char *id, json_t **session, struct error *err)
{
    char path[SESSION_PATH_MAX];
    struct leader_answer answer;

    *session = NULL;
    leader_session_path(id, path);
    int status = leader_request(leader, "GET", path, NULL, REQUEST_TIMEOUT_S, &answer, err);
    if (status)
        return status;
    status = leader_answer_status(&answer);
    if (status)
        FAIL(err, status, "the leader answered %ld: %s", answer.http_status, leader_answer_message(&answer));
    else if (!json_is_string(json_object_get(answer.json, "status")))
        status = FAIL(err, ERR_INVALID, "%s%s does not answer as a leader does", leader->base, path);
    else
        *session = json_incref(answer.json);
    leader_answer_fini(&answer);
    return status;
}

/* A leader that came back may not have the session yet. */
static bool may_pass(const struct view *view, int status)
{
    return status == ERR_UNAVAILABLE || status == ERR_DEADLINE || status == ERR_IO ||
           (view->lost && status == ERR_INVALID);
}

static void tell_lost(struct view *view, const struct leader_address *leader, const char *id, const char *why)
{
    if (view->lost)
        return;
    view->lost = true;
    clear_bar(view);
    fflush(stdout);
    fprintf(stderr, "flosim submit: %s: waiting up to %d s for a leader at %s that goes on with session %s\n", why,
            PATIENCE_S, leader->base, id);
}

static void tell_found(struct view *view, const char *id)
{
    if (view->lost)
        fprintf(stderr, "flosim submit: session %s goes on\n", id);
    view->lost = false;
    view->heard_ns = clock_now_ns(&clock_system);
}

static bool has_patience(const struct view *view)
{
    return clock_now_ns(&clock_system) - view->heard_ns < (uint64_t)PATIENCE_S * 1000000000u;
}

/* The leader leaves (and stops its session), does not show a session that it had accepted, or is silent for too long:
 * not the caller's fault. */
static int give_up(struct view *view, const struct leader_address *leader, const char *id, const struct error *why,
                   struct error *err)
{
    clear_bar(view);
    fflush(stdout);
    if (may_pass(view, why->status))
        return FAIL(err, ERR_UNAVAILABLE,
                    "no leader at %s goes on with session %s (%s): where its state was kept, submit it again with "
                    "--restore --session_id %s",
                    leader->base, id, why->message, id);
    return FAIL(err, why->status == ERR_CANCELLED ? ERR_CANCELLED : ERR_UNAVAILABLE, "%s", why->message);
}

/* The leader has the session from an earlier life, and does not run it. */
static bool is_interrupted(const json_t *session)
{
    return strcmp(json_string_value(json_object_get(session, "status")), "interrupted") == 0;
}

static int follow(struct view *view, const struct leader_address *leader, const char *id, struct error *err)
{
    int outcome = OK;

    while (!interrupted()) {
        struct error why = ERROR_INIT;
        json_t *session;
        int status = look(leader, id, &session, &why);
        bool over = false;

        if (status && interrupted())
            break;
        if (!status && is_interrupted(session)) {
            status = FAIL(&why, ERR_UNAVAILABLE, "the leader has the session, but does not run it");
        } else if (!status) {
            tell_found(view, id);
            over = show(view, session, id, &outcome);
        }
        json_decref(session);
        if (over)
            return outcome;
        if (status && (!may_pass(view, status) || !has_patience(view)))
            return give_up(view, leader, id, &why, err);
        if (status)
            tell_lost(view, leader, id, why.message);
        nanosleep(&poll_interval, NULL);
    }
    return leave_running(view, leader, id, err);
}

int submit_follow(const struct leader_address *leader, const char *session_id, bool as_json, struct error *err)
{
    struct view view = {
        .as_json = as_json, .terminal = !as_json && isatty(STDOUT_FILENO), .heard_ns = clock_now_ns(&clock_system)};

    return follow(&view, leader, session_id, err);
}

int submit_wait(const struct leader_address *leader, const char *session_id, bool as_json, const struct error *why,
                struct error *err)
{
    struct view view = {.as_json = as_json, .quiet = true, .heard_ns = clock_now_ns(&clock_system)};

    tell_lost(&view, leader, session_id, why->message);
    return follow(&view, leader, session_id, err);
}
