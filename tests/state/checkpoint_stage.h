/* A session's state with every kind of value, for the tests of checkpoints. */
#ifndef FLOSIM_TESTS_STATE_CHECKPOINT_STAGE_H
#define FLOSIM_TESTS_STATE_CHECKPOINT_STAGE_H

#include "state/checkpoint.h"

#define STAGE_SESSION "session-1"
#define STAGE_CLUSTER "c0"

/* Every kind of value; `round` is what the state says, and goes into some of them. */
struct state_batch *stage_snapshot(int64_t round);
/* A few small values. */
struct state_batch *stage_small(const char *session_id, int64_t round);
/* One big value of `size` bytes besides. */
struct state_batch *stage_big(int64_t round, size_t size);

/* checkpoint_write of what the batch puts. */
int stage_write(const struct checkpoint_place *place, const char *session_id, const struct state_batch *state,
                struct error *err);

/* Same stores, ids, keys and bytes; otherwise says the first difference. */
bool stage_same(const struct state_batch *a, const struct state_batch *b, char difference[256]);

/* Image of a small network's tensors, I64 among them. */
struct blob *stage_image(float first, const char *note);

#endif
