/* Every file and folder below loses its write permission. Root ignores permissions, so leader and clients of a run with
 * this fault give that right up when they start. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/fault.h"

enum { OPEN_FOLDERS = 16, WRITE_BITS = S_IWUSR | S_IWGRP | S_IWOTH };

/* What vanishes meanwhile is no error. */
static int lock_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    if (type != FTW_SL)
        chmod(path, st->st_mode & 07777 & ~(mode_t)WRITE_BITS);
    return 0;
}

static int unlock_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    if (type != FTW_SL)
        chmod(path, (st->st_mode & 07777) | S_IWUSR);
    return 0;
}

static char *folder_of(const struct fault_world *world, const struct victim *victim)
{
    char *folder = NULL;

    if (victim->target == FAULT_LEADER)
        return strdup(world->checkpoint_folder);
    return asprintf(&folder, "%s/client-%03zu", world->temp_folder, victim->client) < 0 ? NULL : folder;
}

static int change(const struct fault_world *world, const struct victim *victim, __nftw_func_t one, struct error *err)
{
    char *folder = folder_of(world, victim);

    if (!folder)
        return FAIL(err, ERR_MEMORY, "out of memory");
    int failed = nftw(folder, one, OPEN_FOLDERS, FTW_PHYS);
    int status = failed && errno != ENOENT
                     ? FAIL(err, ERR_UNAVAILABLE, "cannot change permissions below %s: %s", folder, strerror(errno))
                     : OK;
    free(folder);
    return status;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args;
    if (victim->target == FAULT_LEADER && mkdir(world->checkpoint_folder, 0777) && errno != EEXIST)
        return FAIL(err, ERR_UNAVAILABLE, "cannot make %s: %s", world->checkpoint_folder, strerror(errno));
    fault_process(world, victim)->end_expected |= victim->target == FAULT_CLIENTS;
    return change(world, victim, lock_one, err);
}

/* A process that did not survive it is started anew. */
static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    int status = change(world, victim, unlock_one, err);

    if (status || victim->target == FAULT_LEADER)
        return status;
    if (fault_process_has_ended(world, victim))
        return fault_start_process(world, victim, args, err);
    fault_process(world, victim)->end_expected = false;
    return OK;
}

static bool recovered(const struct fault_world *world, const struct victim *victim)
{
    return victim->target == FAULT_LEADER || atomic_load(&shared_client(world->shared, victim->client)->active);
}

const struct fault_ops fault_read_only = {
    .name = "read-only",
    .help = "The victim's files and folders lose their write permission: a client's temp folder, or with `whom: "
            "leader` its checkpoints, which "
            "it then cannot write and says so; what it has open stays open.",
    .also = FAULT_BIT(FAULT_LEADER),
    .takes_for = FOR_OPTIONAL,
    .leader_works = true,
    .heeds_permissions = true,
    .strike = strike,
    .struck = fault_at_once,
    .noticed = fault_at_once,
    .undo = undo,
    .recovered = recovered,
};

void fault_lift_read_only(const struct fault_world *world)
{
    const char *const folders[] = {world->temp_folder, world->checkpoint_folder};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (folders[i])
            nftw(folders[i], unlock_one, OPEN_FOLDERS, FTW_PHYS);
}
