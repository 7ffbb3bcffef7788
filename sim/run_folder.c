#include "sim/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/fs.h"

enum { NAME_TRIES = 1000 };

static int is_empty(const char *path)
{
    DIR *dir = opendir(path);
    int entries = 0;

    if (!dir)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        entries += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(dir);
    return entries == 0;
}

static int take_named(const char *path, struct error *err)
{
    if (fs_exists(path) && !fs_is_dir(path))
        return FAIL(err, ERR_EXISTS, "--out %s: that is a file", path);
    if (fs_is_dir(path))
        return is_empty(path) ? OK : FAIL(err, ERR_EXISTS, "--out %s: the folder is not empty; name a new one", path);
    return fs_make_dirs(path, err);
}

/* runs/<name>-<time>, and -2, -3 ... for runs that begin within one second. */
static int take_new(const char *name, char **path, struct error *err)
{
    time_t now = time(NULL);
    struct tm local;
    char stamp[32];

    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &local));
    int status = fs_make_dirs("runs", err);
    for (int i = 1; status == OK && i < NAME_TRIES; i++) {
        char suffix[16] = "";

        if (i > 1)
            snprintf(suffix, sizeof suffix, "-%d", i);
        if (asprintf(path, "runs/%s-%s%s", name, stamp, suffix) < 0) {
            *path = NULL;
            return FAIL(err, ERR_MEMORY, "out of memory");
        }
        if (!mkdir(*path, 0777))
            return OK;
        if (errno != EEXIST)
            return FAIL(err, ERR_SETUP, "cannot make %s: %s", *path, strerror(errno));
        free(*path);
        *path = NULL;
    }
    return status ? status : FAIL(err, ERR_EXISTS, "runs/%s-%s exists %d times", name, stamp, NAME_TRIES);
}

static int make_parts(struct run_folder *folder, struct error *err)
{
    folder->logs = fs_join(folder->path, "logs");
    folder->temp = fs_join(folder->path, "tmp");
    if (!folder->logs || !folder->temp)
        return FAIL(err, ERR_MEMORY, "out of memory");
    int status = fs_make_dirs(folder->logs, err);
    return status ? status : fs_make_dirs(folder->temp, err);
}

static const char *from_here(const char *path)
{
    char *here = realpath(".", NULL);
    size_t n = here ? strlen(here) : 0;
    bool below = n > 1 && strncmp(path, here, n) == 0 && path[n] == '/';

    free(here);
    return below ? path + n + 1 : path;
}

int run_folder_make(struct run_folder *folder, const char *out_dir, const char *name, struct error *err)
{
    char *path = NULL;
    int status;

    memset(folder, 0, sizeof *folder);
    if (out_dir) {
        status = take_named(out_dir, err);
        path = status == OK ? strdup(out_dir) : NULL;
    } else {
        status = take_new(name, &path, err);
    }
    if (status == OK)
        folder->path = path ? realpath(path, NULL) : NULL;
    free(path);
    if (status)
        return error_context(err, ERR_SETUP, "run folder");
    folder->shown = folder->path ? from_here(folder->path) : NULL;
    return folder->path ? make_parts(folder, err) : FAIL(err, ERR_SETUP, "run folder: %s", strerror(errno));
}

void run_folder_fini(struct run_folder *folder)
{
    free(folder->path);
    free(folder->logs);
    free(folder->temp);
    memset(folder, 0, sizeof *folder);
}

char *run_folder_file(const struct run_folder *folder, const char *name)
{
    return fs_join(folder->path, name);
}
