#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/uuid.h"

/* Folders deeper than this are not ours; the walk keeps one descriptor a level. */
enum { MAX_DEPTH = 64 };

static int open_error(struct error *err, const char *path)
{
    int status = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;

    return FAIL(err, status, "cannot open %s: %s", path, strerror(errno));
}

/* Open a regular file for reading; without O_NONBLOCK a FIFO of that name would hang us. */
static int open_regular(const char *path, int *fd, struct stat *info, struct error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return open_error(err, path);
    int status = OK;
    if (fstat(*fd, info))
        status = FAIL(err, ERR_IO, "cannot examine %s: %s", path, strerror(errno));
    else if (!S_ISREG(info->st_mode))
        status = FAIL(err, ERR_INVALID, "%s is %s", path,
                      S_ISDIR(info->st_mode) ? "a folder, not a file" : "not a regular file");
    if (status) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

static int read_whole(int fd, const char *path, void *data, size_t size, struct error *err)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, (char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FAIL(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            return FAIL(err, ERR_IO, "%s became shorter while it was read", path);
        done += (size_t)n;
    }
    return OK;
}

int fs_read(const char *path, size_t max_size, struct blob **out, struct error *err)
{
    struct stat info;
    int fd;

    *out = NULL;
    int status = open_regular(path, &fd, &info, err);
    if (status)
        return status;
    size_t size = (size_t)info.st_size;
    if ((uintmax_t)info.st_size > max_size)
        status = FAIL(err, ERR_TOO_LARGE, "%s has %zu bytes; at most %zu are read", path, size, max_size);
    else if (!(*out = blob_new(size)))
        status = FAIL(err, ERR_MEMORY, "no memory for the %zu bytes of %s", size, path);
    else
        status = read_whole(fd, path, blob_bytes(*out), size, err);
    close(fd);
    if (status) {
        blob_unref(*out);
        *out = NULL;
    }
    return status;
}

int fs_read_secret(const char *path, char **out, struct error *err)
{
    enum { MAX_SECRET_FILE = 4096 };
    struct blob *blob;
    int status;

    *out = NULL;
    if (!path || !*path)
        return OK;
    status = fs_read(path, MAX_SECRET_FILE, &blob, err);
    if (status != OK)
        return status;
    *out = strndup(blob_bytes(blob), blob_size(blob));
    if (!*out)
        status = FAIL(err, ERR_MEMORY, "no memory for the secret of %s", path);
    else
        (*out)[strcspn(*out, "\r\n")] = '\0';
    explicit_bzero(blob_bytes(blob), blob_size(blob));
    blob_unref(blob);
    if (status == OK && !**out) {
        free(*out);
        *out = NULL;
        status = FAIL(err, ERR_INVALID, "%s: the first line is empty; it must be the secret", path);
    }
    return status;
}

struct mapping {
    void *data;
    size_t size;
};

static void unmap(void *context)
{
    struct mapping *mapping = context;

    if (mapping->size)
        munmap(mapping->data, mapping->size);
    free(mapping);
}

static int map_file(int fd, const char *path, size_t size, struct blob **out, struct error *err)
{
    struct mapping *mapping = calloc(1, sizeof *mapping);

    if (!mapping)
        return FAIL(err, ERR_MEMORY, "no memory to map %s", path);
    if (size) { /* mmap refuses an empty range */
        mapping->data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapping->data == MAP_FAILED) {
            free(mapping);
            return FAIL(err, ERR_IO, "cannot map %s: %s", path, strerror(errno));
        }
        mapping->size = size;
    }
    *out = blob_adopt(size ? mapping->data : "", size, unmap, mapping);
    if (!*out) {
        unmap(mapping);
        return FAIL(err, ERR_MEMORY, "no memory to map %s", path);
    }
    return OK;
}

int fs_map(const char *path, struct blob **out, struct error *err)
{
    struct stat info;
    int fd;

    *out = NULL;
    int status = open_regular(path, &fd, &info, err);
    if (status)
        return status;
    status = map_file(fd, path, (size_t)info.st_size, out, err);
    close(fd);
    return status;
}

static int write_parts(int fd, const char *path, const struct span *parts, size_t num_parts, struct error *err)
{
    for (size_t i = 0; i < num_parts; i++) {
        size_t done = 0;
        while (done < parts[i].size) {
            ssize_t n = write(fd, (const char *)parts[i].data + done, parts[i].size - done);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return FAIL(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
            done += (size_t)n;
        }
    }
    return OK;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* A rename is on disk only when its folder is. */
static int sync_folder(const char *path, struct error *err)
{
    char *folder = folder_of(path);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int status = OK;

    if (!folder)
        status = FAIL(err, ERR_MEMORY, "out of memory");
    else if (fd < 0)
        status = FAIL(err, ERR_IO, "cannot open folder %s: %s", folder, strerror(errno));
    else if (fsync(fd) && errno != EINVAL && errno != EROFS) /* some file systems cannot; there is no more to do */
        status = FAIL(err, ERR_IO, "cannot sync folder %s: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(folder);
    return status;
}

/* A name beside `path` that nobody else uses; open(2) with O_EXCL gives it the usual mode, which mkstemp would not. */
static int open_temporary(const char *path, char **name, int *fd, struct error *err)
{
    char unique[UUID_TEXT];
    int status = uuid_random(unique, err);

    if (status)
        return status;
    if (asprintf(name, "%s.tmp-%.8s", path, unique) < 0) {
        *name = NULL;
        return FAIL(err, ERR_MEMORY, "out of memory");
    }
    *fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (*fd >= 0)
        return OK;
    status = FAIL(err, ERR_IO, "cannot create %s: %s", path, strerror(errno));
    free(*name);
    return status;
}

static int finish_temporary(int fd, const char *path, int status, struct error *err)
{
    if (!status && fsync(fd))
        status = FAIL(err, ERR_IO, "cannot sync %s: %s", path, strerror(errno));
    if (close(fd) && !status)
        status = FAIL(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    return status;
}

int fs_write_atomic(const char *path, const struct span *parts, size_t num_parts, struct error *err)
{
    char *name = NULL;
    int fd = -1;
    int status = open_temporary(path, &name, &fd, err);

    if (status)
        return status;
    status = finish_temporary(fd, path, write_parts(fd, path, parts, num_parts, err), err);
    if (!status && rename(name, path))
        status = FAIL(err, ERR_IO, "cannot rename to %s: %s", path, strerror(errno));
    if (status)
        unlink(name);
    free(name);
    return status ? status : sync_folder(path, err);
}

static int make_dir(const char *path, struct error *err)
{
    int cause = mkdir(path, 0777) ? errno : 0;

    if (!cause || fs_is_dir(path))
        return OK;
    return FAIL(err, ERR_IO, "cannot make folder %s: %s", path, strerror(cause));
}

int fs_make_dirs(const char *path, struct error *err)
{
    char *copy = strdup(path);
    int status = OK;

    if (!copy)
        return FAIL(err, ERR_MEMORY, "out of memory");
    for (char *at = copy + 1; *copy && *at && !status; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        status = make_dir(copy, err);
        *at = '/';
    }
    if (!status)
        status = make_dir(copy, err);
    free(copy);
    return status;
}

static int remove_at(int folder, const char *name, const char *shown, int depth, struct error *err);

static int remove_entries(DIR *dir, const char *shown, int depth, struct error *err)
{
    int status = OK;

    for (struct dirent *entry; !status && (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        status = remove_at(dirfd(dir), entry->d_name, shown, depth + 1, err);
    }
    return status;
}

/* Everything goes by descriptors and O_NOFOLLOW: a link swapped in meanwhile leads nowhere. */
static int remove_folder(int parent, const char *name, const char *shown, int depth, struct error *err)
{
    if (depth > MAX_DEPTH)
        return FAIL(err, ERR_INVALID, "%s is nested more than %d folders deep; nothing more is removed", shown,
                    MAX_DEPTH);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int status = FAIL(err, ERR_IO, "cannot open folder %s in %s: %s", name, shown, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    int status = remove_entries(dir, shown, depth, err);
    closedir(dir);
    if (!status && unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
        status = FAIL(err, ERR_IO, "cannot remove folder %s in %s: %s", name, shown, strerror(errno));
    return status;
}

static int remove_at(int folder, const char *name, const char *shown, int depth, struct error *err)
{
    if (!unlinkat(folder, name, 0) || errno == ENOENT)
        return OK;
    if (errno == EISDIR || errno == EPERM)
        return remove_folder(folder, name, shown, depth, err);
    return FAIL(err, ERR_IO, "cannot remove %s in %s: %s", name, shown, strerror(errno));
}

int fs_remove_tree(const char *path, struct error *err)
{
    return remove_at(AT_FDCWD, path, path, 0, err);
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool fs_is_dir(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *fs_join(const char *a, const char *b)
{
    char *path = NULL;
    size_t length = strlen(a);

    if (*b == '/')
        return strdup(b);
    const char *slash = length && a[length - 1] == '/' ? "" : "/";
    return asprintf(&path, "%s%s%s", a, length ? slash : "", b) < 0 ? NULL : path;
}

bool fs_is_component(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > 255 || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (const char *at = name; *at; at++)
        if (*at == '/' || (unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}
