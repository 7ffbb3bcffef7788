#include "sim/traces.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/rng.h"

#define AT(member) offsetof(struct traces_keys, member)

enum { MOST_COMPLAINTS = 20 }; /* of a file */

// clang-format off
static const struct param rows[] = {
    {.name = "capacity", .type = PARAM_STRING, .offset = AT(capacity), .flags = PARAM_FILE,
     .help = "JSON file of devices, {\"1\": {\"computation\": ms a sample, \"communication\": kbit/s}, ...}: speed and link of clients whose group declares none."},
    {.name = "availability", .type = PARAM_STRING, .offset = AT(availability), .flags = PARAM_FILE,
     .help = "JSON file of when devices are on, {\"0\": {\"finish_time\": s, \"active\": [s, ...], \"inactive\": [s, ...]}, ...}: for clients whose group says nothing of it."},
    {.name = "model_flops", .type = PARAM_DOUBLE, .offset = AT(model_flops), .fallback = "600e6", .min = 1, .max = 1e15,
     .help = "Operations of the model that `computation` was measured with, one sample forward; the default is MobileNetV2's. So many in so many ms is the device's speed."},
    {.name = "time_scale", .type = PARAM_DOUBLE, .offset = AT(time_scale), .fallback = "1", .min = 1e-6, .max = 1e9,
     .help = "Seconds of the availability trace that pass in a second of the session: with 1440 a day takes a minute."},
};
// clang-format on

const struct param_table traces_table = {
    .name = "traces",
    .help = "Devices of FedScale's traces, dealt to the clients by the seed.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct traces_keys),
};

/* --- a file --- */

struct reading {
    const char *path, *key; /* of the entry that is looked at */
    size_t complaints;
    struct diags *diags;
};

static void complain(struct reading *r, const char *what)
{
    struct diag_place place = {.file = r->path};

    if (r->complaints++ < MOST_COMPLAINTS)
        diag_error(r->diags, place, "device \"%s\": %s", r->key, what);
}

/* NULL where something is wrong. `check` looks at one entry. */
static json_t *read_file(const char *path, void (*check)(struct reading *r, const json_t *entry), struct diags *diags)
{
    struct reading r = {.path = path, .diags = diags};
    struct diag_place place = {.file = path};
    json_error_t where;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where), *entry;

    if (!root && where.line > 0) {
        place.line = where.line;
        place.column = where.column;
    }
    if (!root)
        diag_error(diags, place, "%s", where.text);
    else if (!json_is_object(root) || json_object_size(root) == 0)
        diag_error(diags, place, "must be a mapping with an entry for each device");
    if (!json_is_object(root) || json_object_size(root) == 0) {
        json_decref(root);
        return NULL;
    }
    json_object_foreach(root, r.key, entry) check(&r, entry);
    if (r.complaints > MOST_COMPLAINTS)
        diag_error(diags, place, "and %zu complaints more", r.complaints - MOST_COMPLAINTS);
    if (r.complaints == 0)
        return root;
    json_decref(root);
    return NULL;
}

static double number(const json_t *entry, const char *key)
{
    return json_number_value(json_object_get(entry, key));
}

static void check_capacity(struct reading *r, const json_t *entry)
{
    if (!json_is_object(entry))
        complain(r, "must be a mapping such as {\"computation\": 105.0, \"communication\": 4000.0}");
    else {
        if (!(number(entry, "computation") > 0))
            complain(r, "`computation` must be a number above 0: milliseconds a sample");
        if (!(number(entry, "communication") > 0))
            complain(r, "`communication` must be a number above 0: kbit/s");
    }
}

/* Ascending, from 0 to the end. */
static bool are_times(const json_t *list, double end)
{
    double before = 0;
    size_t i;
    const json_t *item;

    if (!json_is_array(list))
        return false;
    json_array_foreach(list, i, item)
    {
        double s = json_number_value(item);

        if (!json_is_number(item) || s < before || s > end)
            return false;
        before = s;
    }
    return true;
}

static void check_availability(struct reading *r, const json_t *entry)
{
    const json_t *active = json_object_get(entry, "active"), *inactive = json_object_get(entry, "inactive");
    double end = number(entry, "finish_time");

    if (!json_is_object(entry))
        complain(r, "must be a mapping such as {\"finish_time\": 100, \"active\": [0, 50], \"inactive\": [20, 70]}");
    else if (!(end > 0))
        complain(r, "`finish_time` must be a number above 0: seconds");
    else {
        if (!are_times(active, end))
            complain(r, "`active` must be a list of seconds, ascending, between 0 and finish_time");
        if (!are_times(inactive, end))
            complain(r, "`inactive` must be a list of seconds, ascending, between 0 and finish_time");
        if (json_array_size(active) + json_array_size(inactive) == 0)
            complain(r, "is never switched on or off: one of `active` and `inactive` must have an item");
    }
}

/* --- dealing --- */

/* Each entry once before any comes a second time. */
static json_t **deal(const json_t *root, const char *purpose, uint64_t seed, size_t num_clients)
{
    size_t n = json_object_size(root), i = 0;
    json_t **entries = calloc(n, sizeof(json_t *)), **dealt = calloc(num_clients, sizeof(json_t *));
    uint32_t *order = calloc(n, sizeof *order);
    struct rng rng;
    const char *key;
    json_t *entry;

    if (entries && dealt && order) {
        json_object_foreach((json_t *)root, key, entry)
        {
            order[i] = (uint32_t)i;
            entries[i++] = entry;
        }
        rng_init(&rng, seed, purpose, "", 0);
        rng_shuffle_u32(&rng, order, n);
        for (i = 0; i < num_clients; i++)
            dealt[i] = entries[order[i % n]];
    } else {
        free(dealt);
        dealt = NULL;
    }
    free(entries);
    free(order);
    return dealt;
}

static int take_capacity(const json_t *entry, const struct traces_keys *keys, double nominal_flops,
                         struct device_trace *out)
{
    out->speed = keys->model_flops / (number(entry, "computation") * 1e-3) / nominal_flops;
    out->rate = number(entry, "communication") * 1000 / 8;
    return OK;
}

static int compare_changes(const void *a, const void *b)
{
    const struct trace_change *x = a, *y = b;

    return x->s != y->s ? (x->s > y->s) - (x->s < y->s) : (int)x->is_on - (int)y->is_on;
}

static void append(const json_t *list, bool is_on, struct device_trace *out)
{
    size_t i;
    const json_t *item;

    json_array_foreach(list, i, item) out->changes[out->num_changes++] =
        (struct trace_change){json_number_value(item), is_on};
}

static int take_availability(const json_t *entry, const struct traces_keys *keys, double nominal_flops,
                             struct device_trace *out)
{
    const json_t *active = json_object_get(entry, "active"), *inactive = json_object_get(entry, "inactive");

    (void)nominal_flops;
    out->period_s = number(entry, "finish_time");
    out->time_scale = keys->time_scale;
    out->changes = calloc(json_array_size(active) + json_array_size(inactive), sizeof *out->changes);
    if (!out->changes)
        return ERR_MEMORY;
    append(active, true, out);
    append(inactive, false, out);
    qsort(out->changes, out->num_changes, sizeof *out->changes, compare_changes);
    return OK;
}

struct kind {
    const char *purpose;
    void (*check)(struct reading *r, const json_t *entry);
    int (*take)(const json_t *entry, const struct traces_keys *keys, double nominal_flops, struct device_trace *out);
};

static const struct kind capacity_kind = {"trace-capacity", check_capacity, take_capacity};
static const struct kind availability_kind = {"trace-availability", check_availability, take_availability};

struct dealing {
    const struct traces_keys *keys;
    uint64_t seed;
    size_t num_clients;
    double nominal_flops;
    struct device_trace *out;
};

static int load(const char *path, const struct kind *kind, const struct dealing *to, struct diags *diags)
{
    json_t *root = path ? read_file(path, kind->check, diags) : NULL;
    int status = OK;

    if (!path)
        return OK;
    if (!root)
        return ERR_INVALID;
    json_t **dealt = deal(root, kind->purpose, to->seed, to->num_clients);
    if (!dealt)
        status = ERR_MEMORY;
    for (size_t i = 0; i < to->num_clients && status == OK; i++)
        status = kind->take(dealt[i], to->keys, to->nominal_flops, &to->out[i]);
    if (status)
        diag_error(diags, (struct diag_place){.file = path}, "out of memory");
    free(dealt);
    json_decref(root);
    return status;
}

int traces_load(const struct traces_keys *keys, uint64_t seed, size_t num_clients, double nominal_flops,
                struct device_trace **out, struct diags *diags)
{
    struct dealing to = {keys, seed, num_clients, nominal_flops, calloc(num_clients, sizeof *to.out)};

    *out = NULL;
    if (!to.out) {
        diag_error(diags, (struct diag_place){0}, "out of memory");
        return ERR_MEMORY;
    }
    int capacity = load(keys->capacity, &capacity_kind, &to, diags);
    int availability = load(keys->availability, &availability_kind, &to, diags);
    if (capacity || availability)
        traces_free(to.out, num_clients);
    else
        *out = to.out;
    return capacity ? capacity : availability;
}

void traces_free(struct device_trace *devices, size_t num_clients)
{
    for (size_t i = 0; devices && i < num_clients; i++)
        free(devices[i].changes);
    free(devices);
}

/* --- when it is on --- */

/* The last change up to `at`; where there is none, that of the period before. */
static size_t last_change(const struct device_trace *trace, double at)
{
    size_t low = 0, high = trace->num_changes;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (trace->changes[middle].s <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return (low + trace->num_changes - 1) % trace->num_changes;
}

bool device_trace_is_on(const struct device_trace *trace, double s, double *change_s)
{
    *change_s = HUGE_VAL;
    if (!trace->changes)
        return true;
    double at = fmod(s * trace->time_scale, trace->period_s);
    size_t last = last_change(trace, at), n = trace->num_changes;
    bool is_on = trace->changes[last].is_on;
    for (size_t k = 1; k < n; k++) {
        const struct trace_change *next = &trace->changes[(last + k) % n];

        if (next->is_on == is_on)
            continue;
        *change_s = s + (next->s > at ? next->s - at : next->s - at + trace->period_s) / trace->time_scale;
        break;
    }
    return is_on;
}
