#include "sim/fleet.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/rng.h"

#define AT(member)     offsetof(struct fleet_group, member)
#define PERIOD(member) offsetof(struct fleet_periods, member)

// clang-format off
static const struct param period_rows[] = {
    {.name = "on", .type = PARAM_DURATION, .offset = PERIOD(on_s), .fallback = "0", .min = 0, .max = 1e9,
     .help = "So long it is there at a stretch."},
    {.name = "off", .type = PARAM_DURATION, .offset = PERIOD(off_s), .fallback = "0", .min = 0, .max = 1e9,
     .help = "And then so long it is not."},
};

static const struct param_table period_table = {
    .name = "trace", .help = "On and off in turns, by the session's clock; where in this each client begins is drawn by the seed.",
    .rows = period_rows, .num_rows = sizeof period_rows / sizeof *period_rows, .size = sizeof(struct fleet_periods),
};

static const struct param rows[] = {
    {.name = "group", .type = PARAM_STRING, .offset = AT(group), .flags = PARAM_REQUIRED,
     .help = "Name of the group."},
    {.name = "share", .type = PARAM_FRACTION, .offset = AT(share), .flags = PARAM_REQUIRED,
     .help = "Its share of the clients; all shares add to 1."},
    {.name = "speed", .type = PARAM_DOUBLE, .offset = AT(speed), .fallback = "0", .min = 0, .max = 1e6,
     .help = "How many times as fast as a device of 10 GFLOP/s; 0: that fast, and never made to wait."},
    {.name = "uplink", .type = PARAM_RATE, .offset = AT(uplink), .fallback = "0",
     .help = "Rate from the device to the leader; 0: without limit."},
    {.name = "downlink", .type = PARAM_RATE, .offset = AT(downlink), .fallback = "0",
     .help = "Rate from the leader to the device; 0: without limit."},
    {.name = "latency", .type = PARAM_DURATION, .offset = AT(latency), .fallback = "0", .min = 0, .max = 3600,
     .help = "One way, both ways alike."},
    {.name = "jitter", .type = PARAM_DURATION, .offset = AT(jitter), .fallback = "0", .min = 0, .max = 3600,
     .help = "Up to so much later, drawn anew each time."},
    {.name = "loss", .type = PARAM_FRACTION, .offset = AT(loss), .fallback = "0", .min = 0, .max = 0.9,
     .help = "Share of the packets that are lost and sent again, which takes time."},
    {.name = "availability", .type = PARAM_FRACTION, .offset = AT(availability), .fallback = "1",
     .help = "With this probability a client is there in a round, drawn anew for each by the seed; where that leaves nobody at all, one is."},
    {.name = "trace", .type = PARAM_SECTION, .offset = AT(trace), .table = &period_table,
     .help = "Or it comes and goes by the clock."},
};
// clang-format on

const struct param_table fleet_group_table = {
    .name = "fleet group",
    .help = "Devices of one kind: what they can compute and how they are connected. Durations are modelled with it.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct fleet_group),
};

/* Hamilton's method: floors first, what is left to the largest remainders (the earlier group on a tie). */
static void deal(const struct fleet *fleet, size_t *count, double *remainder)
{
    size_t dealt = 0;

    for (size_t g = 0; g < fleet->num_groups; g++) {
        double exact = fleet->groups[g].share * (double)fleet->num_clients;

        count[g] = (size_t)floor(exact + 1e-9);
        remainder[g] = exact - (double)count[g];
        dealt += count[g];
    }
    while (dealt < fleet->num_clients) {
        size_t best = 0;

        for (size_t g = 1; g < fleet->num_groups; g++)
            if (remainder[g] > remainder[best])
                best = g;
        remainder[best] -= 1;
        count[best]++;
        dealt++;
    }
}

int fleet_init(struct fleet *fleet, const struct fleet_group *groups, size_t num_groups, size_t num_clients,
               struct error *err)
{
    *fleet = (struct fleet){.groups = groups, .num_groups = num_groups, .num_clients = num_clients};
    if (num_groups == 0)
        return OK;
    size_t *count = calloc(num_groups, sizeof *count);
    double *remainder = calloc(num_groups, sizeof *remainder);
    fleet->first = calloc(num_groups + 1, sizeof *fleet->first);
    int status = count && remainder && fleet->first ? OK : FAIL(err, ERR_MEMORY, "out of memory");
    if (status == OK) {
        deal(fleet, count, remainder);
        for (size_t g = 0; g < num_groups; g++)
            fleet->first[g + 1] = fleet->first[g] + count[g];
        fleet->first[num_groups] = num_clients; /* shares that add to a hair more than 1 deal too many */
    }
    free(count);
    free(remainder);
    return status;
}

void fleet_name(struct fleet *fleet, const struct fleet_group *groups, size_t num_groups)
{
    *fleet = (struct fleet){.groups = groups, .num_groups = num_groups};
}

void fleet_fini(struct fleet *fleet)
{
    free(fleet->first);
    memset(fleet, 0, sizeof *fleet);
}

int fleet_find(const struct fleet *fleet, const char *group)
{
    for (size_t g = 0; g < fleet->num_groups; g++)
        if (fleet->groups[g].group && !strcmp(fleet->groups[g].group, group))
            return (int)g;
    return -1;
}

int fleet_group_of(const struct fleet *fleet, size_t client)
{
    for (size_t g = 0; fleet->first && g < fleet->num_groups; g++)
        if (client < fleet->first[g + 1])
            return (int)g;
    return -1;
}

static const struct fleet_group *device(const struct fleet *fleet, size_t client)
{
    static const struct fleet_group nominal;
    int g = fleet_group_of(fleet, client);

    return g < 0 ? &nominal : &fleet->groups[g];
}

static const struct device_trace *trace_of(const struct fleet *fleet, size_t client)
{
    static const struct device_trace nothing;

    return fleet->devices && client < fleet->num_clients ? &fleet->devices[client] : &nothing;
}

double fleet_compute_seconds(const struct fleet *fleet, size_t client, double flops)
{
    double speed = device(fleet, client)->speed;

    if (speed <= 0)
        speed = trace_of(fleet, client)->speed;
    return flops / (FLEET_NOMINAL_FLOPS * (speed > 0 ? speed : 1.0));
}

static double seconds_at(double declared, double traced, size_t bytes)
{
    double rate = declared > 0 ? declared : traced;

    return rate > 0 ? (double)bytes / rate : 0.0;
}

double fleet_transfer_seconds(const struct fleet *fleet, size_t client, size_t bytes_down, size_t bytes_up)
{
    const struct fleet_group *link = device(fleet, client);
    double traced = trace_of(fleet, client)->rate;

    return (bytes_down ? link->latency : 0.0) + (bytes_up ? link->latency : 0.0) +
           seconds_at(link->downlink, traced, bytes_down) + seconds_at(link->uplink, traced, bytes_up);
}

/* As the link process shapes it: pieces of 64 KiB, of which each is late by its lost packets. */
static double disturbance_s(const struct link_shape *shape, size_t bytes, struct rng *rng)
{
    enum { PIECE = 65536 };

    double seconds = bytes > 0 && shape->jitter_s > 0 ? shape->jitter_s * rng_uniform(rng) : 0;

    for (size_t at = 0; shape->loss > 0 && at < bytes; at += PIECE)
        seconds += link_stall_s(shape, bytes - at < PIECE ? bytes - at : PIECE, rng);
    return seconds;
}

double fleet_disturbance_seconds(const struct fleet *fleet, size_t client, size_t bytes_down, size_t bytes_up,
                                 struct rng *rng)
{
    struct link_shape shape = fleet_link_shape(fleet, client);

    return disturbance_s(&shape, bytes_down, rng) + disturbance_s(&shape, bytes_up, rng);
}

struct link_shape fleet_link_shape(const struct fleet *fleet, size_t client)
{
    const struct fleet_group *group = device(fleet, client);

    return (struct link_shape){
        .latency_s = group->latency,
        .jitter_s = group->jitter,
        .rate = {[LINK_UP] = group->uplink, [LINK_DOWN] = group->downlink},
        .loss = group->loss,
    };
}

bool fleet_group_has_link(const struct fleet_group *group)
{
    return group->uplink > 0 || group->downlink > 0 || group->latency > 0 || group->jitter > 0 || group->loss > 0;
}

bool fleet_is_declared(const struct fleet *fleet, size_t client)
{
    const struct fleet_group *group = device(fleet, client);

    return group->speed > 0 || fleet_group_has_link(group) || trace_of(fleet, client)->speed > 0;
}

/* --- who is there --- */

enum fleet_presence fleet_presence(const struct fleet *fleet, size_t client)
{
    int g = fleet_group_of(fleet, client);

    if (g >= 0 && fleet->groups[g].trace.off_s > 0)
        return FLEET_BY_CLOCK;
    if (g >= 0 && fleet->groups[g].availability < 1)
        return FLEET_BY_ROUND;
    return trace_of(fleet, client)->changes ? FLEET_BY_CLOCK : FLEET_ALWAYS;
}

static double draw(uint64_t seed, const char *purpose, size_t client, uint64_t round)
{
    struct rng rng;
    char name[24];

    snprintf(name, sizeof name, "%zu", client);
    rng_init(&rng, seed, purpose, name, round);
    return rng_uniform(&rng);
}

bool fleet_is_there_in(const struct fleet *fleet, uint64_t seed, size_t client, int64_t round)
{
    return draw(seed, "availability", client, (uint64_t)round) < device(fleet, client)->availability;
}

void fleet_leave_one(const struct fleet *fleet, uint64_t seed, int64_t round, bool *is_there)
{
    size_t closest = fleet->num_clients;
    double least = HUGE_VAL;

    for (size_t i = 0; i < fleet->num_clients; i++) {
        double lack = draw(seed, "availability", i, (uint64_t)round) - device(fleet, i)->availability;

        if (is_there[i])
            return;
        if (fleet_presence(fleet, i) == FLEET_BY_ROUND && lack < least) {
            least = lack;
            closest = i;
        }
    }
    if (closest < fleet->num_clients)
        is_there[closest] = true;
}

bool fleet_is_there_at(const struct fleet *fleet, uint64_t seed, size_t client, double s, double *change_s)
{
    const struct fleet_periods *trace = &device(fleet, client)->trace;
    double period = trace->on_s + trace->off_s;

    if (trace->off_s <= 0)
        return device_trace_is_on(trace_of(fleet, client), s, change_s);
    double at = fmod(s + draw(seed, "availability-phase", client, 0) * period, period);
    bool is_on = at < trace->on_s;

    *change_s = trace->on_s > 0 ? s + (is_on ? trace->on_s : period) - at : HUGE_VAL;
    return is_on;
}
