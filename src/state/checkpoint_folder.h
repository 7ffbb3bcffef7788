/* The folder of checkpoints, which several leaders may share: its lock, the term of the leader that owns it, and files
 * that appear whole or not at all. Not for other rooms. Blocking; one thread at a time for each object.
 *
 *   leader_<cluster>.lock      locked (an OFD lock, so that two leaders of one process exclude each other too) by who
 *                              writes, only while it writes
 *   leader_<cluster>.term      the highest term that any leader took
 *   leader_<cluster>.tmp       what is being written; one that a killed leader left is overwritten by the next write */
#ifndef FLOSIM_STATE_CHECKPOINT_FOLDER_H
#define FLOSIM_STATE_CHECKPOINT_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { CHECKPOINT_ID_MAX = 128, CHECKPOINT_NAME_MAX = 192, CHECKPOINT_LOCK_MS = 10000 };

struct checkpoint_folder {
    const char *path, *cluster; /* borrowed */
    int fd, lock;
};

/* Makes the folder where it is missing, and waits for the lock at most `lock_ms` (0: CHECKPOINT_LOCK_MS). */
int checkpoint_folder_open(struct checkpoint_folder *out, const char *path, const char *cluster, int lock_ms,
                           struct error *err);
void checkpoint_folder_close(struct checkpoint_folder *folder); /* gives the lock back; one not opened is fine if 0 */

int checkpoint_folder_term(const struct checkpoint_folder *folder, uint64_t *term, struct error *err); /* 0: none */
int checkpoint_folder_set_term(const struct checkpoint_folder *folder, uint64_t term, struct error *err);

/* A file on its way. */
struct checkpoint_file {
    const struct checkpoint_folder *folder;
    char temporary[CHECKPOINT_NAME_MAX];
    int fd;
};

int checkpoint_file_begin(struct checkpoint_file *out, const struct checkpoint_folder *folder, struct error *err);
int checkpoint_file_write(struct checkpoint_file *file, const void *data, size_t size, struct error *err);
int checkpoint_file_sync(struct checkpoint_file *file, struct error *err);
/* After checkpoint_file_sync: takes its name, and the folder is synced. The old file of that name stays until then. */
int checkpoint_file_name(struct checkpoint_file *file, const char *name, struct error *err);
void checkpoint_file_end(struct checkpoint_file *file); /* removes it where it has no name yet */

/* Files of one session: `checkpoint_<session>.tar`, and where several are kept each is also
 * `checkpoint_<session>.tar.<round>`. (The round stands last so that no other session's name can be the same.) */
void checkpoint_plain_name(char name[CHECKPOINT_NAME_MAX], const char *session_id);

/* Give the newest its second name, and remove kept ones beyond `keep` and those of later rounds (of a history that was
 * gone back on). */
int checkpoint_keep(const struct checkpoint_folder *folder, const char *session_id, int64_t round, int64_t keep,
                    struct error *err);

#endif
