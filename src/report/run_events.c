#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/run_record.h"
#include "util/grow.h"

enum { MAX_LINE = 16 << 20 };

struct reading {
    struct run_record *record;
    json_t *numbers; /* id of a client -> its place */
    double began_s;  /* NAN: the session has not begun */
    int64_t round;   /* that goes on */
    json_t *ends;    /* round as text -> when it ended; a replayed one as it ended last */
    size_t num_damaged;
    struct error *err;
};

static double number(const json_t *event, const char *key)
{
    const json_t *value = json_object_get(event, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static int64_t whole(const json_t *event, const char *key)
{
    return json_integer_value(json_object_get(event, key));
}

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));

    return text ? text : "";
}

/* --- clients --- */

static int no_memory(struct reading *reading)
{
    return FAIL(reading->err, ERR_MEMORY, "out of memory");
}

/* Its place, made where it is new; -1: no id, or no memory. */
static long client_of(struct reading *reading, const char *id)
{
    struct run_record *record = reading->record;
    const json_t *known = json_object_get(reading->numbers, id);
    struct run_client *grown;

    if (known)
        return (long)json_integer_value(known);
    if (!*id || !(grown = grow(record->clients, record->num_clients, sizeof *grown)))
        return -1;
    record->clients = grown;
    grown[record->num_clients] = (struct run_client){.id = strdup(id), .name = strdup("")};
    if (!grown[record->num_clients].id || !grown[record->num_clients].name ||
        json_object_set_new(reading->numbers, id, json_integer((json_int_t)record->num_clients))) {
        free(grown[record->num_clients].id);
        free(grown[record->num_clients].name);
        return -1;
    }
    return (long)record->num_clients++;
}

/* --- requests and answers --- */

static void close_span(struct run_record *record, struct run_client *client, double t, enum span_end end)
{
    struct run_span *span = &record->spans[client->open_span - 1];

    span->end_s = t > span->begin_s ? t : span->begin_s;
    span->end = end;
    span->is_open = false;
    client->ends[SPAN_OPEN]--;
    client->ends[end]++;
    client->open_span = 0;
}

static int open_span(struct reading *reading, const char *id, int64_t round, double t)
{
    struct run_record *record = reading->record;
    long place = client_of(reading, id);
    struct run_span *grown = place < 0 ? NULL : grow(record->spans, record->num_spans, sizeof *grown);

    if (place < 0 && !*id)
        return OK;
    if (!grown)
        return no_memory(reading);
    record->spans = grown;
    struct run_client *client = &record->clients[place];
    if (client->open_span) /* asked anew: the leader that waited for the old answer is gone */
        close_span(record, client, t, SPAN_OPEN);
    grown[record->num_spans] = (struct run_span){(size_t)place, round, t, t, SPAN_OPEN, true};
    client->open_span = ++record->num_spans;
    client->ends[SPAN_OPEN]++;
    return OK;
}

static int on_selected(struct reading *reading, const json_t *event, double t)
{
    const json_t *ids = json_object_get(event, "clients");

    reading->round = whole(event, "round");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (id && open_span(reading, id, reading->round, t))
            return ERR_MEMORY;
    }
    return OK;
}

static int answered(struct reading *reading, const json_t *event, double t, enum span_end end)
{
    long place = client_of(reading, text_of(event, "client"));

    if (place >= 0 && reading->record->clients[place].open_span)
        close_span(reading->record, &reading->record->clients[place], t, end);
    return OK;
}

static int on_update(struct reading *reading, const json_t *event, double t)
{
    return answered(reading, event, t, SPAN_MERGED);
}

static int on_failure(struct reading *reading, const json_t *event, double t)
{
    const char *kind = text_of(event, "kind");

    return answered(reading, event, t,
                    !strcmp(kind, "refused")   ? SPAN_REFUSED
                    : !strcmp(kind, "dropped") ? SPAN_DROPPED
                                               : SPAN_FAILED);
}

/* --- rounds --- */

static int on_round(struct reading *reading, const json_t *event, double t)
{
    char key[32];

    snprintf(key, sizeof key, "%lld", (long long)whole(event, "round"));
    return json_object_set_new(reading->ends, key, json_real(t)) ? no_memory(reading) : OK;
}

static int on_begun(struct reading *reading, const json_t *event, double t)
{
    (void)event;
    if (isnan(reading->began_s))
        reading->began_s = t;
    return OK;
}

static int keep(json_t **slot, const json_t *event)
{
    json_decref(*slot);
    *slot = json_deep_copy(event);
    return *slot ? OK : ERR_MEMORY;
}

static int on_finished(struct reading *reading, const json_t *event, double t)
{
    (void)t;
    return keep(&reading->record->finished, event) ? no_memory(reading) : OK;
}

static int on_ended(struct reading *reading, const json_t *event, double t)
{
    (void)t;
    return keep(&reading->record->ended, event) ? no_memory(reading) : OK;
}

/* --- faults --- */

static const char *victim_of(const json_t *event)
{
    const char *id = text_of(event, "client_id");

    return *id ? id : text_of(event, "victim");
}

static int on_strike(struct reading *reading, const json_t *event, double t)
{
    struct run_record *record = reading->record;
    struct run_fault *grown = grow(record->faults, record->num_faults, sizeof *grown);
    const char *id = text_of(event, "client_id");

    if (!grown)
        return no_memory(reading);
    record->faults = grown;
    struct run_fault *fault = &grown[record->num_faults++];
    *fault = (struct run_fault){.number = whole(event, "fault"),
                                .occurrence = whole(event, "occurrence"),
                                .client = *id ? client_of(reading, id) : -1,
                                .round = reading->round,
                                .struck_s = t,
                                .noticed_s = NAN,
                                .undone_s = NAN,
                                .recovered_s = NAN};
    snprintf(fault->what, sizeof fault->what, "%s", text_of(event, "do"));
    snprintf(fault->victim, sizeof fault->victim, "%s", victim_of(event));
    if (fault->client >= 0)
        record->clients[fault->client].num_faults++;
    return OK;
}

/* The latest strike of that fault on that victim. */
static struct run_fault *fault_of(struct run_record *record, const json_t *event)
{
    const char *victim = victim_of(event);

    for (size_t i = record->num_faults; i-- > 0;) {
        struct run_fault *fault = &record->faults[i];
        if (fault->number == whole(event, "fault") && fault->occurrence == whole(event, "occurrence") &&
            !strncmp(fault->victim, victim, sizeof fault->victim - 1))
            return fault;
    }
    return NULL;
}

static void set_once(double *slot, double t)
{
    if (isnan(*slot))
        *slot = t;
}

static int on_noticed(struct reading *reading, const json_t *event, double t)
{
    struct run_fault *fault = fault_of(reading->record, event);

    if (fault)
        set_once(&fault->noticed_s, t);
    return OK;
}

static int on_undone(struct reading *reading, const json_t *event, double t)
{
    struct run_fault *fault = fault_of(reading->record, event);

    if (fault)
        set_once(&fault->undone_s, t);
    return OK;
}

static int on_recovered(struct reading *reading, const json_t *event, double t)
{
    struct run_fault *fault = fault_of(reading->record, event);

    if (fault)
        set_once(&fault->recovered_s, t);
    return OK;
}

/* --- the file --- */

static const struct {
    const char *event;
    int (*take)(struct reading *reading, const json_t *event, double t);
} takers[] = {
    {"update", on_update},
    {"selected", on_selected},
    {"failure", on_failure},
    {"round", on_round},
    {"session_started", on_begun},
    {"session_restored", on_begun},
    {"session_finished", on_finished},
    {"fault-strikes", on_strike},
    {"fault-noticed", on_noticed},
    {"fault-undone", on_undone},
    {"fault-recovered", on_recovered},
    {"run-ended", on_ended},
};

static int take_event(struct reading *reading, const json_t *event)
{
    const char *name = text_of(event, "event");
    double t = number(event, "t");

    if (!isfinite(t) || t < 0) {
        reading->num_damaged++;
        return OK;
    }
    if (t > reading->record->end_s)
        reading->record->end_s = t;
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (!strcmp(takers[i].event, name))
            return takers[i].take(reading, event, t);
    return OK;
}

static int take_line(struct reading *reading, const char *line, size_t size)
{
    json_t *event = size > MAX_LINE ? NULL : json_loadb(line, size, 0, NULL);
    int status = OK;

    if (json_is_object(event))
        status = take_event(reading, event);
    else
        reading->num_damaged++;
    json_decref(event);
    return status;
}

static int take_lines(struct reading *reading, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    int status = OK;

    for (ssize_t n; status == OK && (n = getline(&line, &room, file)) >= 0;)
        status = take_line(reading, line, (size_t)n);
    free(line);
    return status;
}

/* From the run's clock to the session's. */
static void shift_all(struct reading *reading)
{
    struct run_record *record = reading->record;
    double began = isnan(reading->began_s) ? 0 : reading->began_s;

    for (size_t i = 0; i < record->num_spans; i++) {
        if (record->spans[i].is_open)
            record->spans[i].end_s = record->end_s;
        record->spans[i].begin_s -= began;
        record->spans[i].end_s -= began;
    }
    for (size_t i = 0; i < record->num_faults; i++) {
        struct run_fault *fault = &record->faults[i];
        fault->struck_s -= began;
        fault->noticed_s -= began;
        fault->undone_s -= began;
        fault->recovered_s -= began;
    }
    record->end_s -= began;
    for (size_t i = 0; i < record->rounds.num_rows; i++) {
        const json_t *end = json_object_get(reading->ends, run_table_text(&record->rounds, i, "round"));
        record->ended_s[i] = end ? json_real_value(end) - began : NAN;
    }
}

static int read_file(struct reading *reading, FILE *file)
{
    reading->numbers = json_object();
    reading->ends = json_object();
    int status = reading->numbers && reading->ends ? take_lines(reading, file) : no_memory(reading);

    if (status == OK)
        shift_all(reading);
    if (reading->num_damaged)
        run_record_note(reading->record, "events.jsonl: %zu damaged line(s) left out", reading->num_damaged);
    json_decref(reading->numbers);
    json_decref(reading->ends);
    return status;
}

int run_events_read(const char *path, struct run_record *record, struct error *err)
{
    struct reading reading = {.record = record, .began_s = NAN, .err = err};
    FILE *file = fopen(path, "re");
    int status;

    for (size_t i = 0; i < record->rounds.num_rows; i++)
        record->ended_s[i] = NAN;
    if (!file) {
        run_record_note(record, "events.jsonl: %s", strerror(errno));
        return OK;
    }
    status = read_file(&reading, file);
    fclose(file);
    return status;
}
