#include "sim/scenario.h"

#define AT(member)        offsetof(struct scenario_keys, member)
#define DATA(member)      offsetof(struct data_keys, member)
#define BROKER(member)    offsetof(struct broker_keys, member)
#define REDIS(member)     offsetof(struct redis_keys, member)
#define HEARTBEAT(member) offsetof(struct heartbeat_keys, member)
#define RECORDED(member)  offsetof(struct recorded_keys, member)
#define NUM(rows)         (sizeof(rows) / sizeof *(rows))

/* In the order of enum must_fail. */
static const char *const must_fails[] = {"no", "expectation", "run", NULL};
static const char *const clocks[] = {"real", NULL};
static const char *const links[] = {"modelled", "shaped", NULL}; /* enum links_kind */
static const char *const times[] = {"modelled", "measured", NULL};

// clang-format off
static const struct param heartbeat_rows[] = {
    {.name = "interval", .type = PARAM_DURATION, .offset = HEARTBEAT(interval_s), .fallback = "5", .min = 0.01, .max = 86400,
     .help = "How often a client tells that it lives."},
    {.name = "misses", .type = PARAM_INT, .offset = HEARTBEAT(misses), .fallback = "5", .min = 1, .max = 1000,
     .help = "After missing so many, and two seconds more, it counts as gone."},
};

static const struct param_table heartbeat_table = {
    .name = "heartbeat", .help = "How soon the leader misses a client that is silent; one whose process ends is missed at once.",
    .rows = heartbeat_rows, .num_rows = NUM(heartbeat_rows), .size = sizeof(struct heartbeat_keys),
};

static const struct param recorded_rows[] = {
    {.name = "flosim", .type = PARAM_STRING, .offset = RECORDED(flosim), .help = "Version of flosim."},
    {.name = "openblas", .type = PARAM_STRING, .offset = RECORDED(openblas), .help = "Version of OpenBLAS."},
    {.name = "kernels", .type = PARAM_STRING, .offset = RECORDED(kernels),
     .help = "Kernel set of the training engine, and of OpenBLAS where it counts; FLOSIM_KERNELS=avx512|avx2|generic asks for one."},
    {.name = "grpc", .type = PARAM_STRING, .offset = RECORDED(grpc), .help = "Version of gRPC."},
    {.name = "machine", .type = PARAM_STRING, .offset = RECORDED(machine), .help = "Architecture."},
};

const struct param_table recorded_table = {
    .name = "recorded", .help = "What a resolved scenario ran with. Another set may give other bytes, and that is said.",
    .rows = recorded_rows, .num_rows = NUM(recorded_rows), .size = sizeof(struct recorded_keys),
};

static const struct param rows[] = {
    {.name = "name", .type = PARAM_STRING, .offset = AT(name),
     .help = "Names the run's folder and reports; default: the file's name."},
    {.name = "seed", .type = PARAM_INT, .offset = AT(seed), .fallback = "0", .min = 0, .max = 9007199254740992,
     .help = "Everything random comes from it."},
    {.name = "clients", .type = PARAM_INT, .offset = AT(clients), .min = 1, .max = 20000, .flags = PARAM_REQUIRED,
     .help = "How many client processes; --clients N on the command line."},
    {.name = "slots", .type = PARAM_INT, .offset = AT(slots), .fallback = "0", .min = 0, .max = 4096,
     .help = "How many clients compute at once; 0: as many as there are cores."},
    {.name = "threads", .type = PARAM_INT, .offset = AT(threads), .fallback = "1", .min = 1, .max = 256,
     .help = "Threads of the leader's validation."},
    {.name = "data", .type = PARAM_NODE, .offset = AT(data), .flags = PARAM_REQUIRED,
     .help = "The data and how it is dealt; see the section data."},
    {.name = "broker", .type = PARAM_NODE, .offset = AT(broker), .fallback = "embedded",
     .help = "`embedded`: a mosquitto of its own on a free port of the loopback; or {host, port, ...} of one that runs."},
    {.name = "state", .type = PARAM_SECTION, .offset = AT(state), .table = &state_config_table,
     .help = "The leader's state store, as in its own file."},
    {.name = "redis", .type = PARAM_NODE, .offset = AT(redis),
     .help = "Keep the leader's state in Redis. `embedded`: a redis-server of its own on a free port of the loopback; or {host, port} of one that runs."},
    {.name = "heartbeat", .type = PARAM_SECTION, .offset = AT(heartbeat), .table = &heartbeat_table,
     .help = "How soon a silent client is missed."},
    {.name = "fleet", .type = PARAM_LIST, .offset = AT(fleet), .table = &fleet_group_table,
     .help = "Groups of unlike devices; absent: all are nominal."},
    {.name = "traces", .type = PARAM_SECTION, .offset = AT(traces), .table = &traces_table,
     .help = "Devices as FedScale's traces describe them."},
    {.name = "session", .type = PARAM_NODE, .offset = AT(session),
     .help = "The training: a session, as in a session file."},
    {.name = "session_file", .type = PARAM_STRING, .offset = AT(session_file),
     .help = "Or the file that it is in."},
    {.name = "faults", .type = PARAM_NODE, .offset = AT(faults),
     .help = "A list of what goes wrong; see the section fault."},
    {.name = "expect", .type = PARAM_NODE, .offset = AT(expect),
     .help = "A list of what must hold, such as `accuracy >= 80 by round 20`; `flosim help expect` says what can stand here."},
    {.name = "must_fail", .type = PARAM_CHOICE, .offset = AT(must_fail), .choices = must_fails, .fallback = "no",
     .help = "The scenario is there to fail, and exits 0 only if it does: `expectation`, one of `expect` must not hold; `run`, the run must not be able to go on."},
    {.name = "fail_reason", .type = PARAM_STRING, .offset = AT(fail_reason),
     .help = "With must_fail: what it must say of why, a part of the message."},
    {.name = "clock", .type = PARAM_CHOICE, .offset = AT(clock), .choices = clocks, .fallback = "real",
     .help = "`real`: a client of a declared speed or link idles until its modelled time has passed."},
    {.name = "time", .type = PARAM_CHOICE, .offset = AT(time), .choices = times, .fallback = "modelled",
     .help = "Whether strategies see the durations of the modelled devices or those of this machine."},
    {.name = "links", .type = PARAM_CHOICE, .offset = AT(links), .choices = links, .fallback = "modelled",
     .help = "Whether a group's uplink, downlink, latency, jitter and loss are modelled, so that they are part of the durations, or "
             "shaped: its clients' connections really are so slow, which `time` does not see."},
    {.name = "recorded", .type = PARAM_SECTION, .offset = AT(recorded), .table = &recorded_table,
     .help = "What a resolved scenario ran with."},
};

const struct param_table scenario_table = {
    .name = "scenario", .help = "What to simulate, what goes wrong, and what must hold in spite of it.",
    .rows = rows, .num_rows = NUM(rows), .size = sizeof(struct scenario_keys),
};

static const struct param data_rows[] = {
    {.name = "source", .type = PARAM_STRING, .offset = DATA(source), .flags = PARAM_REQUIRED,
     .help = "Where the data comes from; its own keys stand beside this one."},
    {.name = "scheme", .type = PARAM_STRING, .offset = DATA(scheme), .fallback = "iid",
     .help = "How it is dealt to the clients; its own keys stand beside this one."},
    {.name = "samples_per_client", .type = PARAM_INT, .offset = DATA(samples_per_client), .fallback = "0", .min = 0, .max = 1e9,
     .help = "Clients times so many samples are drawn first, then dealt; 0: all of them."},
    {.name = "validation_samples", .type = PARAM_INT, .offset = DATA(validation_samples), .fallback = "0", .min = 0, .max = 1e9,
     .help = "The leader validates on the first so many of the source's validation set; 0: all of it."},
    {.name = "local_validation_fraction", .type = PARAM_FRACTION, .offset = DATA(local_validation_fraction), .fallback = "0.05",
     .help = "What each client keeps of its part for its own validation."},
};

const struct param_table data_common_table = {
    .name = "data", .help = "The data and how it is dealt. The keys of source and scheme stand beside these.",
    .rows = data_rows, .num_rows = NUM(data_rows), .size = sizeof(struct data_keys),
};

static const struct param broker_rows[] = {
    {.name = "host", .type = PARAM_STRING, .offset = BROKER(host), .flags = PARAM_REQUIRED, .help = "Its host."},
    {.name = "port", .type = PARAM_INT, .offset = BROKER(port), .fallback = "1883", .min = 1, .max = 65535,
     .help = "Its port."},
    {.name = "username", .type = PARAM_STRING, .offset = BROKER(username), .help = "User."},
    {.name = "password_file", .type = PARAM_STRING, .offset = BROKER(password_file),
     .help = "File with the password."},
    {.name = "topic_prefix", .type = PARAM_STRING, .offset = BROKER(topic_prefix),
     .help = "Put before every topic, to keep simulations on one broker apart."},
};

const struct param_table broker_table = {
    .name = "broker", .help = "A broker that runs already.",
    .rows = broker_rows, .num_rows = NUM(broker_rows), .size = sizeof(struct broker_keys),
};

static const struct param redis_rows[] = {
    {.name = "host", .type = PARAM_STRING, .offset = REDIS(host), .flags = PARAM_REQUIRED, .help = "Host of the server."},
    {.name = "port", .type = PARAM_INT, .offset = REDIS(port), .fallback = "6379", .min = 1, .max = 65535,
     .help = "Its port."},
};

const struct param_table redis_table = {
    .name = "redis", .help = "A Redis server that runs already; how to log in there stands in the section state.",
    .rows = redis_rows, .num_rows = NUM(redis_rows), .size = sizeof(struct redis_keys),
};
// clang-format on
