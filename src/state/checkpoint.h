/* Checkpoints: a session's state in one tar file `<dir>/checkpoint_<session>.tar`, whole or not there at all.
 *
 *   training_session_<id>, training_state_<id>, client_selection_state_<id>, aggregator_state_<id>, and where the
 *   state has it client_info_<cluster>: a safetensors file each (state/checkpoint_entry.h)
 *   manifest.json           what the checkpoint is, and size and SHA-256 of every entry before it
 *   manifest.json.sha256    the manifest's own, as sha256sum writes and checks it
 *
 * The same state gives the same bytes: no time stamps, no owners. A new file is written beside the old one, synced,
 * and takes its name; whatever goes wrong or is killed meanwhile, the last good one stays. The folder may be shared by
 * leaders that stand in for each other: who writes holds its lock, and who was replaced (another took a higher term)
 * writes no more.
 *
 * Blocking; call it on a thread of its own. Any number of threads. */
#ifndef FLOSIM_STATE_CHECKPOINT_H
#define FLOSIM_STATE_CHECKPOINT_H

#include <stdint.h>

#include "state/state.h"
#include "util/probe.h"

enum { CHECKPOINT_FORMAT = 1 };

struct checkpoint_place {
    const char *dir, *cluster;
    uint64_t term; /* of this leader */
    int64_t keep;  /* how many of a session; above 1 the newest are also `checkpoint_<session>.tar.<round>` */
    int lock_ms;   /* how long to wait for another leader that is writing; 0: 10 s */
    struct probes
        *probes; /* may be NULL; checkpoint.begin, checkpoint.half, checkpoint.before-rename, checkpoint.done */
};

/* Writes the snapshot of the session, which is borrowed; nothing of it is copied. client_info, where it is in it, is
 * place->cluster's. ERR_PRECONDITION: replaced by
 * another leader, ERR_UNAVAILABLE: the folder is locked, ERR_IO: no room, no right …; one sentence names the file. On
 * any error the last good checkpoint is as it was, but for one: when older ones could not be kept or removed, the new
 * one is there. */
int checkpoint_write(const struct checkpoint_place *place, const char *session_id,
                     const struct state_snapshot *snapshot, struct error *err);

struct checkpoint_facts {
    char session_id[129], cluster[129];
    int64_t round; /* finished ones; 0 where the state does not say */
    uint64_t leader_term;
};

/* Everything is verified before anything is returned: the archive, the manifest, the hashes, the values. `session_id`
 * NULL: any; `facts` may be NULL. *out is a new batch that puts every value. ERR_NOT_FOUND: no such file;
 * ERR_CORRUPT: damaged or foreign; ERR_UNIMPLEMENTED: of another version; ERR_INVALID: another session's. The sentence
 * names the file and what is wrong with it. */
int checkpoint_read(const char *path, const char *session_id, struct checkpoint_facts *facts, struct state_batch **out,
                    struct error *err);

/* The same of a file's bytes; the sentence does not name it. */
int checkpoint_read_image(struct span image, const char *session_id, struct checkpoint_facts *facts,
                          struct state_batch **out, struct error *err);

/* The path of the session's newest checkpoint in a new string; ERR_NOT_FOUND. */
int checkpoint_find(const char *dir, const char *session_id, char **path, struct error *err);

/* Visits the newest checkpoint of every session in the order of their names; a missing folder has none. Ends at the
 * first visit that is not OK, and returns that. */
int checkpoint_list(const char *dir, int (*visit)(void *context, const char *session_id, const char *path),
                    void *context, struct error *err);

/* Removes the session's checkpoints, the kept ones too, and says how many files that were; none, or no folder, is fine.
 * Not while the session runs: the next file would come all the same. */
int checkpoint_drop(const char *dir, const char *session_id, size_t *files, struct error *err);

/* Take the folder for this leader: its term, at least `at_least` and higher than any that was taken there, is written
 * before it is returned. */
int checkpoint_take_term(const char *dir, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err);

#endif
