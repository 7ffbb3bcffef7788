#include <dirent.h>
#include <stdio.h>

#include "sim/fault/limit.h"

/* One more than the highest descriptor in use; 0: the process is gone. */
static rlim_t descriptors_of(pid_t pid)
{
    char path[64];
    rlim_t limit = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        unsigned long fd = 0;

        if (sscanf(entry->d_name, "%lu", &fd) == 1 && fd + 1 > limit)
            limit = fd + 1;
    }
    if (folder)
        closedir(folder);
    return limit;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args;
    return fault_limit_set(world, victim, RLIMIT_NOFILE, descriptors_of(fault_process(world, victim)->pid), err);
}

static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args;
    return fault_limit_lift(world, victim, RLIMIT_NOFILE, err);
}

const struct fault_ops fault_fd_limit = {
    .name = "fd-limit",
    .help =
        "The client gets no file descriptor beyond those that it has (RLIMIT_NOFILE): it cannot take a new connection "
        "or open a file.",
    .takes_for = FOR_OPTIONAL,
    .strike = strike,
    .struck = fault_at_once,
    .noticed = fault_at_once,
    .undo = undo,
    .recovered = fault_limit_is_over,
};
