#include "state/checkpoint_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/crash_point.h"
#include "util/fs.h"
#include "util/sync.h"

enum { LOCK_POLL_MS = 5, TERM_MAX = 32 };

static void leader_file(char name[CHECKPOINT_NAME_MAX], const char *cluster, const char *what)
{
    snprintf(name, CHECKPOINT_NAME_MAX, "leader_%s.%s", cluster, what);
}

/* ---- the folder and its lock ---- */

static bool deadline_passed(const struct timespec *deadline)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > deadline->tv_sec || (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

/* There is no waiting for an OFD lock with a deadline. */
static int lock_file(int fd, int lock_ms)
{
    const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
    struct timespec deadline = sync_deadline_in_ms(lock_ms);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    while (fcntl(fd, F_OFD_SETLK, &whole)) {
        if ((errno != EAGAIN && errno != EACCES && errno != EINTR) || deadline_passed(&deadline))
            return -1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int take_lock(struct checkpoint_folder *folder, int lock_ms, struct error *err)
{
    char name[CHECKPOINT_NAME_MAX];

    leader_file(name, folder->cluster, "lock");
    folder->lock = openat(folder->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (folder->lock < 0)
        return FAIL(err, ERR_IO, "cannot open %s/%s: %s", folder->path, name, strerror(errno));
    if (lock_file(folder->lock, lock_ms) == 0)
        return OK;
    if (errno == EAGAIN || errno == EACCES)
        return FAIL(err, ERR_UNAVAILABLE, "%s/%s is locked: another leader has been writing there for %d ms",
                    folder->path, name, lock_ms);
    return FAIL(err, ERR_IO, "cannot lock %s/%s: %s", folder->path, name, strerror(errno));
}

int checkpoint_folder_open(struct checkpoint_folder *out, const char *path, const char *cluster, int lock_ms,
                           struct error *err)
{
    int status;

    *out = (struct checkpoint_folder){.path = path, .cluster = cluster, .fd = -1, .lock = -1};
    if (!fs_is_component(cluster) || strlen(cluster) > CHECKPOINT_ID_MAX)
        return FAIL(err, ERR_INVALID, "the cluster's name cannot be part of a file's name");
    status = fs_make_dirs(path, err);
    if (status != OK)
        return status;
    out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0)
        return FAIL(err, ERR_IO, "cannot open folder %s: %s", path, strerror(errno));
    status = take_lock(out, lock_ms ? lock_ms : CHECKPOINT_LOCK_MS, err);
    if (status != OK)
        checkpoint_folder_close(out);
    return status;
}

void checkpoint_folder_close(struct checkpoint_folder *folder)
{
    if (folder->lock >= 0)
        close(folder->lock);
    if (folder->fd >= 0)
        close(folder->fd);
    folder->lock = folder->fd = -1;
}

/* ---- a file that appears whole ---- */

int checkpoint_file_begin(struct checkpoint_file *out, const struct checkpoint_folder *folder, struct error *err)
{
    *out = (struct checkpoint_file){.folder = folder};
    leader_file(out->temporary, folder->cluster, "tmp");
    crash_point();
    out->fd = openat(folder->fd, out->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (out->fd < 0)
        return FAIL(err, ERR_IO, "cannot create %s/%s: %s", folder->path, out->temporary, strerror(errno));
    return OK;
}

int checkpoint_file_write(struct checkpoint_file *file, const void *data, size_t size, struct error *err)
{
    for (const char *at = data; size;) {
        ssize_t n;

        crash_point();
        n = write(file->fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FAIL(err, ERR_IO, "cannot write %s/%s: %s", file->folder->path, file->temporary, strerror(errno));
        at += n;
        size -= (size_t)n;
    }
    return OK;
}

int checkpoint_file_sync(struct checkpoint_file *file, struct error *err)
{
    int fd = file->fd;

    crash_point();
    file->fd = -1;
    if (fsync(fd)) {
        int cause = errno;

        close(fd);
        return FAIL(err, ERR_IO, "cannot sync %s/%s: %s", file->folder->path, file->temporary, strerror(cause));
    }
    if (close(fd))
        return FAIL(err, ERR_IO, "cannot write %s/%s: %s", file->folder->path, file->temporary, strerror(errno));
    return OK;
}

/* What was done to the folder is on disk only when the folder is. Some file systems cannot; there is no more to do. */
static int sync_folder(const struct checkpoint_folder *folder, struct error *err)
{
    crash_point();
    if (fsync(folder->fd) && errno != EINVAL && errno != EROFS)
        return FAIL(err, ERR_IO, "cannot sync folder %s: %s", folder->path, strerror(errno));
    return OK;
}

int checkpoint_file_name(struct checkpoint_file *file, const char *name, struct error *err)
{
    const struct checkpoint_folder *folder = file->folder;

    crash_point();
    if (renameat(folder->fd, file->temporary, folder->fd, name))
        return FAIL(err, ERR_IO, "cannot rename %s/%s to %s: %s", folder->path, file->temporary, name, strerror(errno));
    file->temporary[0] = '\0';
    return sync_folder(folder, err);
}

void checkpoint_file_end(struct checkpoint_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->temporary[0])
        unlinkat(file->folder->fd, file->temporary, 0);
}

/* ---- the term ---- */

static int parse_term(const struct checkpoint_folder *folder, const char *text, uint64_t *term, struct error *err)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 19 || strcmp(text + digits, "\n") != 0)
        return FAIL(err, ERR_CORRUPT,
                    "%s/leader_%s.term is damaged: remove it if no other leader of this cluster is at work",
                    folder->path, folder->cluster);
    *term = strtoull(text, NULL, 10);
    return OK;
}

int checkpoint_folder_term(const struct checkpoint_folder *folder, uint64_t *term, struct error *err)
{
    char name[CHECKPOINT_NAME_MAX], text[TERM_MAX] = "";
    ssize_t n;
    int fd;

    *term = 0;
    leader_file(name, folder->cluster, "term");
    fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return OK;
    n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0) {
        int cause = errno;

        if (fd >= 0)
            close(fd);
        return FAIL(err, ERR_IO, "cannot read %s/%s: %s", folder->path, name, strerror(cause));
    }
    close(fd);
    return parse_term(folder, text, term, err);
}

int checkpoint_folder_set_term(const struct checkpoint_folder *folder, uint64_t term, struct error *err)
{
    char name[CHECKPOINT_NAME_MAX], text[TERM_MAX];
    struct checkpoint_file file;
    int status = checkpoint_file_begin(&file, folder, err);

    if (status != OK)
        return status;
    snprintf(text, sizeof text, "%" PRIu64 "\n", term);
    leader_file(name, folder->cluster, "term");
    status = checkpoint_file_write(&file, text, strlen(text), err);
    if (status == OK)
        status = checkpoint_file_sync(&file, err);
    if (status == OK)
        status = checkpoint_file_name(&file, name, err);
    checkpoint_file_end(&file);
    return status;
}
