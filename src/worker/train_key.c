#include "worker/train_key.h"

#include <openssl/evp.h>
#include <string.h>
#include <xxhash.h>

/* Length before bytes, so that no two different requests give the same stream. */
static int add_bytes(EVP_MD_CTX *digest, const void *data, size_t size)
{
    uint64_t length = size;

    return EVP_DigestUpdate(digest, &length, sizeof length) && (!size || EVP_DigestUpdate(digest, data, size));
}

static int add_span(EVP_MD_CTX *digest, struct span span)
{
    return add_bytes(digest, span.data, span.data ? span.size : 0);
}

static int add_text(EVP_MD_CTX *digest, const char *text)
{
    return add_bytes(digest, text, strlen(text));
}

/* The loop waits for this, so that a large model must not take long. Whoever could find other weights that hash alike
 * could send them as well without: they would be trained for him. */
static int add_weights(EVP_MD_CTX *digest, struct span weights)
{
    XXH128_hash_t hash = XXH3_128bits(weights.data, weights.data ? weights.size : 0);

    return add_bytes(digest, &weights.size, sizeof weights.size) && add_bytes(digest, &hash, sizeof hash);
}

static int add_numbers(EVP_MD_CTX *digest, const struct train_request *request)
{
    const int32_t integers[] = {request->batch_size, request->num_epochs, (int32_t)request->limit.kind,
                                request->limit.kind == LIMIT_MINI_BATCHES ? request->limit.max_mini_batch_count : 0};
    const float reals[] = {request->learning_rate,
                           request->limit.kind == LIMIT_TIMEOUT ? request->limit.timeout_duration_s : 0};

    return add_bytes(digest, integers, sizeof integers) && add_bytes(digest, reals, sizeof reals) &&
           add_bytes(digest, &request->seed, sizeof request->seed) &&
           add_bytes(digest, &request->proximal_mu, sizeof request->proximal_mu);
}

static int add_request(EVP_MD_CTX *digest, const struct train_request *request)
{
    return EVP_DigestInit_ex(digest, EVP_sha256(), NULL) && add_text(digest, request->model_id) &&
           add_text(digest, request->model_class) && add_text(digest, request->requires ? request->requires : "") &&
           add_text(digest, request->dataset_id) && add_span(digest, request->model_config) &&
           add_weights(digest, request->weights) && add_weights(digest, request->correction) &&
           add_span(digest, request->optimizer) && add_span(digest, request->loss_function) &&
           add_numbers(digest, request);
}

int train_key_make(struct train_key *key, const struct train_request *request, struct error *err)
{
    memset(key, 0, sizeof *key);
    if (strlen(request->session_id) >= sizeof key->session_id)
        return FAIL(err, ERR_INVALID, "session_id is longer than %zu bytes", sizeof key->session_id - 1);
    strcpy(key->session_id, request->session_id);
    key->round_idx = request->round_idx;
    key->attempt = request->attempt;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    unsigned size = 0;
    int done = digest && add_request(digest, request) && EVP_DigestFinal_ex(digest, key->digest, &size);
    EVP_MD_CTX_free(digest);
    return done ? OK : FAIL(err, ERR_INTERNAL, "cannot hash a request");
}

bool train_key_equal(const struct train_key *a, const struct train_key *b)
{
    return strcmp(a->session_id, b->session_id) == 0 && a->round_idx == b->round_idx && a->attempt == b->attempt &&
           memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}
