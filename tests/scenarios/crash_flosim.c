/* flosim whose leader dies of SIGKILL where a test says, and has a successor at once: for the crash tests alone. Beside
 * flosim's own objects it puts itself (the linker's --wrap) before the few functions below; flosim knows nothing of it.
 *
 * FLOSIM_TEST_CRASH_AT=12          the first leader dies at its 12th write, sync, rename … of what is to survive it
 * FLOSIM_TEST_CRASH_AT=NAME#2      … or when it comes to the probe point NAME the second time
 * FLOSIM_TEST_CRASH_COUNT=FILE     a leader that ends in order writes there how often it came to each: "NAME TIMES"
 * lines, the writes as "write"
 *
 * A leader that SIGKILL ends otherwise, whoever sent it, has a successor, too. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/simulation.h"
#include "sim/simulation_internal.h"
#include "util/crash_point.h"

enum { MAX_NAMES = 32 };

int __real_leader_process_run(void *context);
int __wrap_leader_process_run(void *context);
int __real_simulation_start_leader(struct simulation *simulation, struct error *err);
int __wrap_simulation_start_leader(struct simulation *simulation, struct error *err);
void __real_shared_forget_leader(struct shared *shared);
void __wrap_shared_forget_leader(struct shared *shared);
void __real_probe_halt(struct probes *probes, const char *name, int64_t round);
void __wrap_probe_halt(struct probes *probes, const char *name, int64_t round);
bool __real_probe_holds(struct probes *probes, const char *name, int64_t round);
bool __wrap_probe_holds(struct probes *probes, const char *name, int64_t round);

static struct simulation *the_simulation; /* in the supervisor */

/* Of the leader's process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *name; /* a literal of the code that is tested */
    long times;
} points[MAX_NAMES];
static char deadly_name[64];
static long deadly_times;

static long count(const char *name)
{
    long times = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MAX_NAMES; i++)
        if (!points[i].name || !strcmp(points[i].name, name)) {
            points[i].name = name;
            times = ++points[i].times;
            break;
        }
    pthread_mutex_unlock(&lock);
    return times;
}

static void meet(const char *name)
{
    if (count(name) == deadly_times && !strcmp(name, deadly_name))
        raise(SIGKILL);
}

void __wrap_probe_halt(struct probes *probes, const char *name, int64_t round)
{
    meet(name);
    __real_probe_halt(probes, name, round);
}

bool __wrap_probe_holds(struct probes *probes, const char *name, int64_t round)
{
    meet(name);
    return __real_probe_holds(probes, name, round);
}

static void arm(const char *at)
{
    const char *times = strchr(at, '#');

    if (times)
        snprintf(deadly_name, sizeof deadly_name, "%.*s", (int)(times - at), at);
    deadly_times = times ? atol(times + 1) : 0;
    crash_points_arm(times ? 0 : atol(at));
}

static void tell_counts(const char *path, long writes)
{
    FILE *file = fopen(path, "w");

    if (!file)
        return;
    fprintf(file, "write %ld\n", writes);
    for (size_t i = 0; i < MAX_NAMES && points[i].name; i++)
        fprintf(file, "%s %ld\n", points[i].name, points[i].times);
    fclose(file);
}

int __wrap_leader_process_run(void *context)
{
    const struct simulation *simulation = context;
    const char *at = getenv("FLOSIM_TEST_CRASH_AT"), *counts = getenv("FLOSIM_TEST_CRASH_COUNT");

    if (simulation->leader.starts == 1)
        arm(at ? at : "0");
    int code = __real_leader_process_run(context);
    long writes = crash_points_disarm();
    if (counts)
        tell_counts(counts, writes);
    return code;
}

/* --- a successor --- */

int __wrap_simulation_start_leader(struct simulation *simulation, struct error *err)
{
    the_simulation = simulation;
    return __real_simulation_start_leader(simulation, err);
}

/* The supervisor has just seen the leader's end and asks next whether that was expected. */
void __wrap_shared_forget_leader(struct shared *shared)
{
    static const struct leader_resume how = {0};
    struct simulation *simulation = the_simulation;
    struct error err = ERROR_INIT;

    __real_shared_forget_leader(shared);
    if (!simulation || simulation->leader.signal != SIGKILL || simulation->session_ended_ns)
        return;
    simulation->leader.killed_ns = simulation_now_ns();
    if (simulation_start_leader_again(simulation, &how, &err))
        supervisor_fail(simulation->supervisor, &err);
    simulation->leader.end_expected = true;
}
