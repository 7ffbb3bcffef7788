#include <inttypes.h>
#include <stdio.h>

#include "sim/fault/limit.h"

struct args {
    int64_t headroom;
};

static const struct param rows[] = {
    {.name = "headroom",
     .type = PARAM_BYTES,
     .offset = offsetof(struct args, headroom),
     .fallback = "0",
     .min = 0,
     .max = 1e15,
     .help = "So much more than it has when the fault strikes (its private data, VmData of /proc)."},
};

static const struct param_table table = {
    .name = "memory-limit",
    .help = "How much it may still get.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

/* Bytes of private data of a process; 0: it is gone. */
static rlim_t data_of(pid_t pid)
{
    char path[64], line[256];
    uint64_t kb = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmData: %" SCNu64 " kB", &kb) == 1)
            break;
    if (file)
        fclose(file);
    return (rlim_t)kb * 1024;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;
    rlim_t used = data_of(fault_process(world, victim)->pid);

    return fault_limit_set(world, victim, RLIMIT_DATA, used + (rlim_t)keys->headroom, err);
}

static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args;
    return fault_limit_lift(world, victim, RLIMIT_DATA, err);
}

const struct fault_ops fault_memory_limit = {
    .name = "memory-limit",
    .help =
        "The client gets no more memory than it has (RLIMIT_DATA): its allocations fail, and it says so or dies of it. "
        "After `for:` it may have more again, or is started anew.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .strike = strike,
    .struck = fault_at_once,
    .noticed = fault_at_once,
    .undo = undo,
    .recovered = fault_limit_is_over,
};
