/* Which training a request asks for: two requests with equal keys get one and the same answer. Any thread. */
#ifndef FLOSIM_WORKER_TRAIN_KEY_H
#define FLOSIM_WORKER_TRAIN_KEY_H

#include <stdbool.h>

#include "codec/edge_messages.h"

struct train_key {
    char session_id[160];
    int32_t round_idx;
    uint32_t attempt;
    unsigned char digest[32]; /* of all else that the answer depends on: SHA-256, the weights in it by a quick hash */
};

/* Reads the whole of the weights. The leader's term is not part of the key: a restarted leader asks again under a new
 * one. ERR_INVALID for a session id that is too long, ERR_INTERNAL where hashing fails. */
int train_key_make(struct train_key *key, const struct train_request *request, struct error *err);

bool train_key_equal(const struct train_key *a, const struct train_key *b);

#endif
