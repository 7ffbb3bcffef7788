/* Which checkpoints of a session are kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state/checkpoint.h"
#include "state/checkpoint_folder.h"
#include "util/crash_point.h"
#include "util/grow.h"

void checkpoint_plain_name(char name[CHECKPOINT_NAME_MAX], const char *session_id)
{
    snprintf(name, CHECKPOINT_NAME_MAX, "checkpoint_%.*s.tar", CHECKPOINT_ID_MAX, session_id);
}

static void kept_name(char name[CHECKPOINT_NAME_MAX], const char *session_id, int64_t round)
{
    snprintf(name, CHECKPOINT_NAME_MAX, "checkpoint_%.*s.tar.%" PRId64, CHECKPOINT_ID_MAX, session_id, round);
}

struct rounds {
    int64_t *numbers;
    size_t n;
};

/* The round in a kept file's name; -1: it is none. */
static int64_t round_of(const char *name, const char *plain)
{
    size_t length = strlen(plain);
    const char *digits = name + length + 1;

    if (strncmp(name, plain, length) != 0 || name[length] != '.' || !*digits || strlen(digits) > 18 ||
        digits[strspn(digits, "0123456789")])
        return -1;
    return strtoll(digits, NULL, 10);
}

static int add_round(struct rounds *rounds, int64_t number)
{
    int64_t *grown = grow(rounds->numbers, rounds->n, sizeof *grown);

    if (!grown)
        return ERR_MEMORY;
    rounds->numbers = grown;
    rounds->numbers[rounds->n++] = number;
    return OK;
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x < y) - (x > y);
}

/* The rounds whose files are kept, the latest first. */
static int list_kept(const struct checkpoint_folder *folder, const char *session_id, struct rounds *out,
                     struct error *err)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    char plain[CHECKPOINT_NAME_MAX];
    struct dirent *entry;
    int status = OK;

    if (!dir) {
        status = FAIL(err, ERR_IO, "cannot list %s: %s", folder->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    checkpoint_plain_name(plain, session_id);
    while (status == OK && (entry = readdir(dir))) {
        int64_t round = round_of(entry->d_name, plain);

        if (round >= 0 && add_round(out, round) != OK)
            status = FAIL(err, ERR_MEMORY, "out of memory");
    }
    closedir(dir);
    if (out->n)
        qsort(out->numbers, out->n, sizeof *out->numbers, descending);
    return status;
}

static int remove_kept(const struct checkpoint_folder *folder, const char *session_id, int64_t round, struct error *err)
{
    char name[CHECKPOINT_NAME_MAX];

    kept_name(name, session_id, round);
    crash_point();
    if (unlinkat(folder->fd, name, 0) && errno != ENOENT)
        return FAIL(err, ERR_IO, "cannot remove %s/%s: %s", folder->path, name, strerror(errno));
    return OK;
}

static int name_kept(const struct checkpoint_folder *folder, const char *session_id, int64_t round, struct error *err)
{
    char plain[CHECKPOINT_NAME_MAX], name[CHECKPOINT_NAME_MAX];
    int status = remove_kept(folder, session_id, round, err); /* of an earlier attempt at this round */

    if (status != OK)
        return status;
    checkpoint_plain_name(plain, session_id);
    kept_name(name, session_id, round);
    crash_point();
    if (linkat(folder->fd, plain, folder->fd, name, 0))
        return FAIL(err, ERR_IO, "cannot keep %s/%s, only the newest: %s", folder->path, name, strerror(errno));
    return OK;
}

int checkpoint_keep(const struct checkpoint_folder *folder, const char *session_id, int64_t round, int64_t keep,
                    struct error *err)
{
    struct rounds kept = {0};
    size_t seen = 0;
    int status = keep > 1 ? name_kept(folder, session_id, round, err) : OK;

    if (status == OK)
        status = list_kept(folder, session_id, &kept, err);
    for (size_t i = 0; status == OK && i < kept.n; i++) {
        bool goes = kept.numbers[i] > round || keep <= 1 || seen >= (size_t)keep;

        seen += !goes;
        if (goes)
            status = remove_kept(folder, session_id, kept.numbers[i], err);
    }
    free(kept.numbers);
    return status;
}

int checkpoint_drop(const char *dir, const char *session_id, size_t *files, struct error *err)
{
    struct checkpoint_folder folder = {.path = dir, .fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .lock = -1};
    struct rounds kept = {0};
    char plain[CHECKPOINT_NAME_MAX];
    int status;

    *files = 0;
    if (folder.fd < 0)
        return errno == ENOENT ? OK : FAIL(err, ERR_IO, "cannot open folder %s: %s", dir, strerror(errno));
    checkpoint_plain_name(plain, session_id);
    status = list_kept(&folder, session_id, &kept, err);
    for (size_t i = 0; status == OK && i < kept.n; i++) {
        status = remove_kept(&folder, session_id, kept.numbers[i], err);
        *files += status == OK;
    }
    if (status == OK && unlinkat(folder.fd, plain, 0) == 0)
        ++*files;
    else if (status == OK && errno != ENOENT)
        status = FAIL(err, ERR_IO, "cannot remove %s/%s: %s", dir, plain, strerror(errno));
    if (status == OK && *files && fsync(folder.fd) && errno != EINVAL)
        status = FAIL(err, ERR_IO, "cannot sync folder %s: %s", dir, strerror(errno));
    checkpoint_folder_close(&folder);
    free(kept.numbers);
    return status;
}
