/* Files: whole reads with a bound, atomic writes, folders. Blocking: call it on a compute thread, not on a loop. */
#ifndef FLOSIM_UTIL_FS_H
#define FLOSIM_UTIL_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/error.h"
#include "util/span.h"

/* Returns a new blob with the file's bytes; ERR_NOT_FOUND, ERR_TOO_LARGE (more than max_size), ERR_IO, ERR_MEMORY. */
int fs_read(const char *path, size_t max_size, struct blob **out, struct error *err);

/* A token or password: the file's first line in a new string, without its line end. At most 4,096 bytes are read.
 * `path` NULL or empty: *out is NULL. An empty first line is ERR_INVALID. The bytes that were read are wiped. */
int fs_read_secret(const char *path, char **out, struct error *err);

/* Map a file read-only; the blob unmaps it. The file must not be truncated meanwhile. */
int fs_map(const char *path, struct blob **out, struct error *err);

/* Write to a temporary name in the same folder, fsync, rename, fsync the folder: readers see the old or the new file.
 * `parts` are written one after another. */
int fs_write_atomic(const char *path, const struct span *parts, size_t num_parts, struct error *err);

int fs_make_dirs(const char *path, struct error *err);   /* like mkdir -p */
int fs_remove_tree(const char *path, struct error *err); /* never follows a link; an absent path is fine */
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);

/* a + "/" + b in a new string; an absolute b is returned alone; NULL when out of memory. */
char *fs_join(const char *a, const char *b);

/* One path component that cannot leave its folder: not empty, no '/', not "." or "..", no NUL, no control characters,
 * at most 255 bytes. */
bool fs_is_component(const char *name);

#endif
