#include "sim/run_history.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/grow.h"

// clang-format off
const struct event_kind event_kinds[] = {
    {"registered",         "Every client is in the leader's roster."},
    {"session_started",    "The session began."},
    {"session_restored",   "The session goes on from stored state."},
    {"session_finished",   "The session is over."},
    {"selected",           "Clients were asked to train."},
    {"update",             "A client's update was merged."},
    {"failure",            "A request for an update failed, or its answer was refused or dropped."},
    {"round",              "A round ended with a new model."},
    {"round_lost",         "A selection brought no new model."},
    {"benchmarked",        "A client has told how fast it is."},
    {"roster",             "A client came or went."},
    {"broker",             "The leader reached the broker or lost it."},
    {"checkpoint",         "A checkpoint was written."},
    {"checkpoint_failed",  "A checkpoint could not be written."},
    {"state_outage",       "The state store does not answer."},
    {"state_recovered",    "The state store has everything again."},
    {"client-ended",       "A client's process ended."},
    {"client_backed_off",  "A client that failed again and again is left out for a while."},
    {"leader-restored",    "The session goes on with a new leader."},
    {"fault-strikes",      "A fault struck a victim."},
    {"fault-noticed",      "The leader has seen it."},
    {"fault-undone",       "It was taken back."},
    {"fault-recovered",    "The victim is at work again."},
    {"fault-late",         "A fault of a round that went by without it: it strikes at the next such point."},
    {"fault-short",        "Fewer victims than asked for."},
    {"run-ended",          "The run is over."},
    {NULL, NULL},
};
// clang-format on

static double number(const json_t *fields, const char *key)
{
    const json_t *value = json_object_get(fields, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static struct history_round *round_at(struct run_history *history, int64_t round, struct error *err)
{
    while (history->num_rounds > 0 && history->rounds[history->num_rounds - 1].round >= round)
        history->num_rounds--; /* a new leader replays it */
    struct history_round *grown = grow(history->rounds, history->num_rounds, sizeof *grown);
    if (!grown) {
        FAIL(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    history->rounds = grown;
    return &grown[history->num_rounds++];
}

static int take_round(struct run_history *history, double t_s, const json_t *line, struct error *err)
{
    int64_t round = (int64_t)json_integer_value(json_object_get(line, "round"));
    struct history_round *out = round > 0 ? round_at(history, round, err) : NULL;

    if (!out)
        return round > 0 ? ERR_MEMORY : OK;
    const struct run_metrics *before = history->num_rounds > 1 ? &out[-1].figures : NULL;
    double accuracy = number(line, "accuracy"), best = before ? before->best_accuracy : (double)NAN;

    *out = (struct history_round){.round = round, .t_s = t_s - history->session_began_s};
    out->figures.rounds = (double)round;
    out->figures.accuracy = accuracy;
    out->figures.best_accuracy = best >= accuracy || isnan(accuracy) ? best : accuracy;
    out->figures.loss = number(line, "loss");
    out->figures.train_loss = number(line, "train_loss");
    out->figures.perplexity = number(line, "perplexity");
    out->figures.mae = number(line, "mae");
    out->figures.mse = number(line, "mse");
    return OK;
}

static int keep_event(struct run_history *history, double t_s, const char *name, struct error *err)
{
    struct history_event *grown = grow(history->events, history->num_events, sizeof *grown);

    if (!grown)
        return FAIL(err, ERR_MEMORY, "out of memory");
    history->events = grown;
    grown[history->num_events].t_s = t_s;
    snprintf(grown[history->num_events].name, sizeof grown->name, "%s", name);
    history->num_events++;
    return OK;
}

struct reading {
    bool (*wanted)(void *context, const char *name);
    void *context;
    struct run_history *history;
};

static int take_line(struct reading *r, const json_t *line, struct error *err)
{
    const char *name = json_string_value(json_object_get(line, "event"));
    double t_s = number(line, "t");
    int status = OK;

    if (!name || isnan(t_s))
        return OK;
    if (!strcmp(name, "session_started") && isnan(r->history->session_began_s))
        r->history->session_began_s = t_s;
    if (!strcmp(name, "round"))
        status = take_round(r->history, t_s, line, err);
    if (status == OK && r->wanted(r->context, name))
        status = keep_event(r->history, t_s, name, err);
    if (status == OK && !strcmp(name, "fault-strikes")) {
        const char *kind = json_string_value(json_object_get(line, "do"));

        if (kind && r->wanted(r->context, kind))
            status = keep_event(r->history, t_s, kind, err);
    }
    return status;
}

static int read_lines(FILE *file, struct reading *r, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    int status = OK;

    while (status == OK && getline(&text, &size, file) > 0) {
        json_t *line = json_loads(text, 0, NULL);

        status = line ? take_line(r, line, err) : OK;
        json_decref(line);
    }
    free(text);
    return status;
}

int run_history_read(const char *path, bool (*wanted)(void *context, const char *name), void *context,
                     struct run_history *out, struct error *err)
{
    struct reading reading = {wanted, context, out};
    FILE *file = fopen(path, "re");

    *out = (struct run_history){.session_began_s = NAN};
    if (!file)
        return FAIL(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    int status = read_lines(file, &reading, err);
    fclose(file);
    if (status)
        run_history_fini(out);
    return status;
}

void run_history_fini(struct run_history *history)
{
    free(history->rounds);
    free(history->events);
    *history = (struct run_history){.session_began_s = NAN};
}
