#include <string.h>

#include "sim/fault.h"

extern const struct fault_ops fault_backdoor, fault_bandwidth, fault_broker_kill, fault_broker_restart,
    fault_clock_skew, fault_corrupt_update, fault_crash_loop, fault_disconnect, fault_disk_full, fault_duplicate_reply,
    fault_fd_limit, fault_flaky, fault_free_rider, fault_half_open, fault_jitter, fault_join, fault_kill,
    fault_label_flip, fault_latency, fault_leader_kill, fault_leader_restart, fault_leave, fault_loss,
    fault_memory_limit, fault_no_reply, fault_oom_kill, fault_partition, fault_pause, fault_port_taken, fault_read_only,
    fault_redis_kill, fault_redis_restart, fault_restart, fault_slow_cpu, fault_slow_drip, fault_stale_update,
    fault_stop, fault_wrong_shape;

// clang-format off
const struct fault_ops *const fault_kinds[] = {
    &fault_backdoor,
    &fault_bandwidth,
    &fault_broker_kill,
    &fault_broker_restart,
    &fault_clock_skew,
    &fault_corrupt_update,
    &fault_crash_loop,
    &fault_disconnect,
    &fault_disk_full,
    &fault_duplicate_reply,
    &fault_fd_limit,
    &fault_flaky,
    &fault_free_rider,
    &fault_half_open,
    &fault_jitter,
    &fault_join,
    &fault_kill,
    &fault_label_flip,
    &fault_latency,
    &fault_leader_kill,
    &fault_leader_restart,
    &fault_leave,
    &fault_loss,
    &fault_memory_limit,
    &fault_no_reply,
    &fault_oom_kill,
    &fault_partition,
    &fault_pause,
    &fault_port_taken,
    &fault_read_only,
    &fault_redis_kill,
    &fault_redis_restart,
    &fault_restart,
    &fault_slow_cpu,
    &fault_slow_drip,
    &fault_stale_update,
    &fault_stop,
    &fault_wrong_shape,
    NULL,
};
// clang-format on

enum { NUM_KINDS = sizeof fault_kinds / sizeof *fault_kinds - 1 };

const struct fault_ops *fault_find(const char *name)
{
    for (size_t i = 0; i < NUM_KINDS; i++)
        if (!strcmp(fault_kinds[i]->name, name))
            return fault_kinds[i];
    return NULL;
}

const char *fault_unknown(const char *name, char text[WORDS_TEXT])
{
    const char *names[NUM_KINDS];

    for (size_t i = 0; i < NUM_KINDS; i++)
        names[i] = fault_kinds[i]->name;
    return unknown_word("fault", name, names, NUM_KINDS, text);
}
