/* What FedScale's traces say of real devices (Lai et al. 2022): how fast they compute and how they are connected, and
 * when they are on. Files in JSON, of the shape of its pickles; each client takes one entry of each, dealt by the seed.
 *   capacity:     {"1": {"computation": 105.0, "communication": 4000.0}, …}    ms a sample, kbit/s
 *   availability: {"0": {"finish_time": 518400, "active": [12040, …], "inactive": [21943, …]}, …}    seconds */
#ifndef FLOSIM_SIM_TRACES_H
#define FLOSIM_SIM_TRACES_H

#include "util/diag.h"
#include "util/params.h"

struct traces_keys {    /* `traces:` */
    char *capacity;     /* a file, or NULL */
    char *availability; /* the same */
    double model_flops; /* of the model that the capacities were measured with, one sample forward */
    double time_scale;  /* seconds of the trace in one of the session */
};

extern const struct param_table traces_table;

struct trace_change {
    double s; /* since the trace began */
    bool is_on;
};

struct device_trace {             /* of one client */
    double speed;                 /* times the nominal device; 0: not known */
    double rate;                  /* bytes per second, both ways; 0: not known */
    struct trace_change *changes; /* [num_changes] by time, repeating after period_s; NULL: always on. Owned. */
    size_t num_changes;
    double period_s, time_scale;
};

/* A new array [num_clients] from the files that the keys name; everything that is wrong with them goes to diags, a
 * complaint an entry, the first of many. `nominal_flops`: per second, of the device of speed 1. */
int traces_load(const struct traces_keys *keys, uint64_t seed, size_t num_clients, double nominal_flops,
                struct device_trace **out, struct diags *diags);
void traces_free(struct device_trace *devices, size_t num_clients); /* NULL is legal */

/* `s` seconds after the session began: is it on? And when does that change next (HUGE_VAL: never)? */
bool device_trace_is_on(const struct device_trace *trace, double s, double *change_s);

#endif
