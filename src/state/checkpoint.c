/* What checkpoints there are, and whose the folder is. */
#include "state/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/checkpoint_folder.h"
#include "util/fs.h"

static const char prefix[] = "checkpoint_", suffix[] = ".tar";

int checkpoint_find(const char *dir, const char *session_id, char **path, struct error *err)
{
    char name[CHECKPOINT_NAME_MAX];

    checkpoint_plain_name(name, session_id);
    *path = fs_join(dir, name);
    if (!*path)
        return FAIL(err, ERR_MEMORY, "out of memory");
    if (fs_exists(*path))
        return OK;
    free(*path);
    *path = NULL;
    return FAIL(err, ERR_NOT_FOUND, "there is no checkpoint %s/%s", dir, name);
}

/* The session in a checkpoint's name; false: it is none. */
static bool session_of(const char *name, char id[CHECKPOINT_ID_MAX + 1])
{
    size_t length = strlen(name), around = sizeof prefix - 1 + sizeof suffix - 1;

    if (length <= around || length - around > CHECKPOINT_ID_MAX || strncmp(name, prefix, sizeof prefix - 1) != 0 ||
        strcmp(name + length - (sizeof suffix - 1), suffix) != 0)
        return false;
    memcpy(id, name + sizeof prefix - 1, length - around);
    id[length - around] = '\0';
    return true;
}

static int is_checkpoint(const struct dirent *entry)
{
    char id[CHECKPOINT_ID_MAX + 1];

    return session_of(entry->d_name, id);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int checkpoint_list(const char *dir, int (*visit)(void *context, const char *session_id, const char *path),
                    void *context, struct error *err)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, is_checkpoint, by_name);
    int status = OK;

    if (n < 0)
        return errno == ENOENT ? OK : FAIL(err, ERR_IO, "cannot list %s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        char id[CHECKPOINT_ID_MAX + 1];
        char *path = status == OK ? fs_join(dir, entries[i]->d_name) : NULL;

        if (path && session_of(entries[i]->d_name, id))
            status = visit(context, id, path);
        else if (status == OK)
            status = FAIL(err, ERR_MEMORY, "out of memory");
        free(path);
        free(entries[i]);
    }
    free(entries);
    return status;
}

int checkpoint_take_term(const char *dir, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err)
{
    struct checkpoint_folder folder;
    uint64_t taken;
    int status = checkpoint_folder_open(&folder, dir, cluster, 0, err);

    if (status == OK)
        status = checkpoint_folder_term(&folder, &taken, err);
    if (status == OK) {
        *term = taken >= at_least ? taken + 1 : at_least;
        status = checkpoint_folder_set_term(&folder, *term, err);
    }
    checkpoint_folder_close(&folder);
    return status;
}
