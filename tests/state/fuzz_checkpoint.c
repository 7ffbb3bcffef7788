#include "tests/state/fuzz_checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "state/checkpoint.h"
#include "state/checkpoint_entry.h"

static void must(int holds)
{
    if (!holds)
        abort();
}

static int put(void *batch, const char *key, struct blob *value, struct error *err)
{
    return state_batch_put(batch, STORE_TRAINING_STATE, "s", key, value, err);
}

/* A new batch, or NULL where the entry is refused. */
static struct state_batch *read_entry(struct span image)
{
    struct state_batch *batch = state_batch_new();

    must(batch != NULL);
    if (checkpoint_entry_read(image, put, batch, NULL) == OK)
        return batch;
    state_batch_free(batch);
    return NULL;
}

static void expect_same(const struct batch_group *a, const struct batch_group *b)
{
    must((a ? a->changes.n : 0) == (b ? b->changes.n : 0));
    for (size_t i = 0; a && i < a->changes.n; i++) {
        const struct table_entry *x = &a->changes.entries[i], *y = &b->changes.entries[i];

        must(!strcmp(x->key, y->key) && blob_size(x->value) == blob_size(y->value) &&
             !memcmp(blob_bytes(x->value), blob_bytes(y->value), blob_size(x->value)));
    }
}

static struct blob *join(const struct checkpoint_entry *entry)
{
    struct blob *image = blob_new(entry->size);
    char *at = image ? blob_bytes(image) : NULL;

    must(image != NULL);
    for (size_t i = 0; i < entry->num_parts; i++) {
        memcpy(at, entry->parts[i].data, entry->parts[i].size);
        at += entry->parts[i].size;
    }
    return image;
}

static void again(const struct batch_group *group)
{
    size_t n = group ? group->changes.n : 0;
    struct checkpoint_value *values = calloc(n + 1, sizeof *values);
    struct checkpoint_entry entry;

    must(values != NULL);
    for (size_t i = 0; i < n; i++)
        values[i] =
            (struct checkpoint_value){group->changes.entries[i].key, blob_span(group->changes.entries[i].value)};
    if (checkpoint_entry_make(values, n, &entry, NULL) == OK) {
        struct blob *image = join(&entry);
        struct state_batch *back = read_entry(blob_span(image));

        must(back != NULL);
        expect_same(group, state_batch_group(back, STORE_TRAINING_STATE, "s"));
        state_batch_free(back);
        blob_unref(image);
        checkpoint_entry_fini(&entry);
    }
    free(values);
}

void fuzz_checkpoint(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data + 1, size ? size - 1 : 0);
    struct state_batch *batch = NULL;

    if (!size)
        return;
    if (data[0] % 2) {
        batch = read_entry(rest);
        if (batch)
            again(state_batch_group(batch, STORE_TRAINING_STATE, "s"));
    } else {
        (void)checkpoint_read_image(rest, NULL, NULL, &batch, NULL);
    }
    state_batch_free(batch);
}
