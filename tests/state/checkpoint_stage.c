#include "tests/state/checkpoint_stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void put(struct state_batch *batch, enum store_name store, const char *key, const void *bytes, size_t size)
{
    struct blob *blob = blob_new(size);
    struct error err = ERROR_INIT;

    must(blob != NULL);
    if (size)
        memcpy(blob_bytes(blob), bytes, size);
    if (state_batch_put(batch, store, store == STORE_CLIENT_INFO ? STAGE_CLUSTER : STAGE_SESSION, key, blob, &err)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    blob_unref(blob);
}

static void put_text(struct state_batch *batch, enum store_name store, const char *key, const char *text)
{
    put(batch, store, key, text, strlen(text));
}

static void put_blob(struct state_batch *batch, enum store_name store, const char *key, struct blob *blob)
{
    put(batch, store, key, blob_bytes(blob), blob_size(blob));
    blob_unref(blob);
}

struct blob *stage_image(float first, const char *note)
{
    const float weights[] = {first, 2.0F, -3.5F, 4.0F, 5.0F, 6.0F, 1.0F, 9.0F, 8.0F};
    struct layout layout;
    json_t *metadata = note ? json_pack("{s:s}", "note", note) : NULL;
    struct blob *image;

    layout_init(&layout);
    must(layout_add(&layout, "fc.weight", TENSOR_PARAMETER, false, 2, (const int64_t[]){2, 3}, NULL) == OK);
    must(layout_add(&layout, "bn.num_batches_tracked", TENSOR_BUFFER, true, 0, NULL, NULL) == OK);
    must(layout_add(&layout, "fc.bias", TENSOR_PARAMETER, false, 1, (const int64_t[]){2}, NULL) == OK);
    must(safetensors_encode(&layout, weights, metadata, &image, NULL) == OK);
    layout_fini(&layout);
    json_decref(metadata);
    return image;
}

/* As no writer of ours lays it out: blanks in the header, tensors out of order, an empty one, odd sizes. */
static void put_odd_image(struct state_batch *batch, enum store_name store, const char *key)
{
    static const char header[] = "{ \"z\": {\"shape\":[3], \"dtype\":\"U8\",\"data_offsets\":[4,7]},\n"
                                 "\"e\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[4,4]},"
                                 "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]} }  ";
    char image[8 + sizeof header - 1 + 7] = {0};

    image[0] = (char)(sizeof header - 1);
    memcpy(image + 8, header, sizeof header - 1);
    memcpy(image + 8 + sizeof header - 1, "\0\0\x80?xyz", 7);
    put(batch, store, key, image, sizeof image);
}

static void put_session(struct state_batch *batch, int64_t round)
{
    char text[128];

    put_text(batch, STORE_TRAINING_SESSION, "config", "{\"name\": \"caf\xc3\xa9 \\u0000 \\\"quoted\\\"\"}\n");
    put_text(batch, STORE_TRAINING_SESSION, "status", "running");
    put_text(batch, STORE_TRAINING_SESSION, "empty", "");
    snprintf(text, sizeof text, "{\"round\": %" PRId64 ", \"leader_term\": 7}", round);
    put_text(batch, STORE_TRAINING_SESSION, "round", text);
    put_blob(batch, STORE_TRAINING_SESSION, "global_model", stage_image((float)round, NULL));
}

/* What names and kinds might be confused with each other. */
static void put_awkward(struct state_batch *batch)
{
    char bytes[700], key[500];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    put_odd_image(batch, STORE_AGGREGATOR_STATE, "odd");
    put_blob(batch, STORE_AGGREGATOR_STATE, "x", stage_image(1, "an image beside a text"));
    put_text(batch, STORE_AGGREGATOR_STATE, "x/", "a text that is named like an image's header");
    put_blob(batch, STORE_AGGREGATOR_STATE, "a", stage_image(2, NULL));
    put(batch, STORE_AGGREGATOR_STATE, "a/fc.bias", bytes, sizeof bytes);
    put_text(batch, STORE_AGGREGATOR_STATE, "__values__", "[]");
    put(batch, STORE_AGGREGATOR_STATE, "__rest__", bytes, 3);
    put(batch, STORE_AGGREGATOR_STATE, "__metadata__", bytes, 4);
    put(batch, STORE_AGGREGATOR_STATE, "not.utf-8", "\xff\xfe", 2);
    put(batch, STORE_AGGREGATOR_STATE, "nul", "a\0b", 3);
    put(batch, STORE_AGGREGATOR_STATE, "almost.an.image", "\2\0\0\0\0\0\0\0{}x", 11);
    put(batch, STORE_AGGREGATOR_STATE, "no.tensors", "\2\0\0\0\0\0\0\0{}", 10);
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    put(batch, STORE_AGGREGATOR_STATE, key, bytes, 100);
    key[0] = 'l';
    put_blob(batch, STORE_AGGREGATOR_STATE, key, stage_image(3, NULL));
}

/* More than a header has room for. */
static void put_many(struct state_batch *batch)
{
    size_t size = 600000;
    char *text = malloc(size), key[64], value[1024];

    must(text != NULL);
    memset(text, 't', size);
    put(batch, STORE_TRAINING_STATE, "long.text", text, size);
    free(text);
    memset(value, ',', sizeof value);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "client.%d", i);
        put(batch, STORE_TRAINING_STATE, key, value, (size_t)(600 + i % 100));
    }
}

struct state_batch *stage_snapshot(int64_t round)
{
    struct state_batch *batch = state_batch_new();

    must(batch != NULL);
    put_session(batch, round);
    put_awkward(batch);
    put_many(batch);
    put_text(batch, STORE_CLIENT_INFO, "client-1", "{\"name\": \"one\"}");
    return batch;
}

struct state_batch *stage_small(const char *session_id, int64_t round)
{
    struct state_batch *batch = state_batch_new();
    struct blob *text = blob_new(64), *image = stage_image((float)round, NULL);

    must(batch != NULL && text != NULL);
    memset(blob_bytes(text), ' ', 64);
    snprintf(blob_bytes(text), 60, "{\"round\": %" PRId64 "}", round);
    ((char *)blob_bytes(text))[strlen(blob_bytes(text))] = ' ';
    must(state_batch_put(batch, STORE_TRAINING_SESSION, session_id, "round", text, NULL) == OK);
    must(state_batch_put(batch, STORE_TRAINING_SESSION, session_id, "global_model", image, NULL) == OK);
    must(state_batch_put(batch, STORE_AGGREGATOR_STATE, session_id, "counter", text, NULL) == OK);
    blob_unref(text);
    blob_unref(image);
    return batch;
}

struct state_batch *stage_big(int64_t round, size_t size)
{
    struct state_batch *batch = state_batch_new();
    struct blob *big = blob_new(size);

    must(batch != NULL && big != NULL);
    memset(blob_bytes(big), (int)round, size);
    put_session(batch, round);
    put_blob(batch, STORE_AGGREGATOR_STATE, "big", big);
    return batch;
}

int stage_write(const struct checkpoint_place *place, const char *session_id, const struct state_batch *state,
                struct error *err)
{
    struct state_snapshot snapshot = {0};
    size_t n = 0;
    int status;

    for (size_t i = 0; i < state->n; i++)
        n += state->groups[i].changes.n;
    snapshot.entries = calloc(n + 1, sizeof *snapshot.entries);
    must(snapshot.entries != NULL);
    for (size_t i = 0; i < state->n; i++)
        for (size_t j = 0; j < state->groups[i].changes.n; j++) {
            const struct table_entry *entry = &state->groups[i].changes.entries[j];

            snapshot.entries[snapshot.n++] = (struct state_entry){state->groups[i].store, entry->key, entry->value};
        }
    status = checkpoint_write(place, session_id, &snapshot, err);
    free(snapshot.entries);
    return status;
}

static bool same_group(const struct batch_group *a, const struct batch_group *b, char difference[256])
{
    snprintf(difference, 256, "%s_%s: %zu values and %zu", store_names[a->store], a->id, a->changes.n,
             b ? b->changes.n : 0);
    for (size_t i = 0; b && i < a->changes.n && i < b->changes.n; i++) {
        const struct table_entry *x = &a->changes.entries[i], *y = &b->changes.entries[i];

        if (!strcmp(x->key, y->key) && blob_size(x->value) == blob_size(y->value) &&
            !memcmp(blob_bytes(x->value), blob_bytes(y->value), blob_size(x->value)))
            continue;
        snprintf(difference, 256, "%.50s (%zu bytes) and %.50s (%zu bytes)", x->key, blob_size(x->value), y->key,
                 blob_size(y->value));
        return false;
    }
    return b && a->changes.n == b->changes.n;
}

bool stage_same(const struct state_batch *a, const struct state_batch *b, char difference[256])
{
    snprintf(difference, 256, "%zu stores and %zu", a->n, b->n);
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_group(&a->groups[i], state_batch_group(b, a->groups[i].store, a->groups[i].id), difference))
            return false;
    return true;
}
