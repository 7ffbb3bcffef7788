#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/checkpoint_entry.h"
#include "state/checkpoint_folder.h"
#include "state/checkpoint_manifest.h"
#include "util/fs.h"

enum { BLOCK = 512 };

/* A petabyte is no checkpoint of ours. */
static const size_t max_file = (size_t)1 << 46;

struct item {
    char name[ENTRY_NAME_MAX];
    struct span bytes;
};

struct reading {
    struct span image;
    struct item items[CHECKPOINT_MAX_ENTRIES];
    size_t n;
    json_t *manifest;
    struct checkpoint_facts facts;
    struct state_batch *batch;
};

static const struct item *find_item(const struct reading *self, const char *name)
{
    for (size_t i = 0; i < self->n; i++)
        if (strcmp(self->items[i].name, name) == 0)
            return &self->items[i];
    return NULL;
}

/* ---- the archive ---- */

static bool all_zero(const char *from, const char *to)
{
    while (from < to)
        if (*from++)
            return false;
    return true;
}

/* Everything between the entries is as it was written, too. */
static int check_gap(const struct reading *self, const struct item *item, const char **next, struct error *err)
{
    const char *begin = self->image.data, *end = (const char *)item->bytes.data + item->bytes.size;
    size_t padded = ((size_t)(end - begin) + BLOCK - 1) / BLOCK * BLOCK;

    if (padded > self->image.size || !all_zero(end, begin + padded))
        return FAIL(err, ERR_CORRUPT, "damaged behind its entry %s", item->name);
    *next = begin + padded;
    return OK;
}

static int read_data(struct archive *archive, const struct reading *self, struct item *item, size_t size,
                     struct error *err)
{
    const char *begin = self->image.data;
    const void *data;
    size_t length;
    la_int64_t offset;
    int result = archive_read_data_block(archive, &data, &length, &offset);

    if (result != ARCHIVE_OK)
        return FAIL(err, ERR_CORRUPT, "its entry %s cannot be read: %s", item->name,
                    result == ARCHIVE_EOF ? "it is empty" : archive_error_string(archive));
    /* The image lies in memory in one piece, and so do the data of each entry of a plain archive. */
    if (offset != 0 || length != size || (const char *)data < begin ||
        (const char *)data + size > begin + self->image.size)
        return FAIL(err, ERR_CORRUPT, "its entry %s is cut off or of a kind that no checkpoint has", item->name);
    item->bytes = span_of(data, size);
    return OK;
}

static int read_item(struct archive *archive, struct archive_entry *entry, struct reading *self, struct error *err)
{
    const char *name = archive_entry_pathname(entry);
    la_int64_t size = archive_entry_size(entry);
    struct item *item = &self->items[self->n];

    if (!name || !fs_is_component(name) || strlen(name) >= sizeof item->name)
        return FAIL(err, ERR_CORRUPT, "not a checkpoint of flosim: it has an entry of another kind of name");
    if (find_item(self, name))
        return FAIL(err, ERR_CORRUPT, "its entry %s is there twice", name);
    if (self->n == CHECKPOINT_MAX_ENTRIES)
        return FAIL(err, ERR_CORRUPT, "not a checkpoint of flosim: it has more than %d entries",
                    CHECKPOINT_MAX_ENTRIES);
    snprintf(item->name, sizeof item->name, "%s", name);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
        archive_entry_sparse_count(entry) || size <= 0 || (uint64_t)size > self->image.size)
        return FAIL(err, ERR_CORRUPT, "its entry %s is not a plain file or its size cannot be right", name);
    self->n++;
    return read_data(archive, self, item, (size_t)size, err);
}

static int read_items(struct archive *archive, struct reading *self, struct error *err)
{
    const char *next = self->image.data, *end = next + self->image.size;
    struct archive_entry *entry;
    int result, status = OK;

    while (status == OK && (result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
        if (archive_read_header_position(archive) != next - (const char *)self->image.data)
            return FAIL(err, ERR_CORRUPT, "damaged between its entries");
        status = read_item(archive, entry, self, err);
        if (status == OK)
            status = check_gap(self, &self->items[self->n - 1], &next, err);
    }
    if (status != OK)
        return status;
    if (result != ARCHIVE_EOF)
        return FAIL(err, ERR_CORRUPT, self->n ? "damaged after its entry %s: %s" : "%s%s",
                    self->n ? self->items[self->n - 1].name : "not a tar archive: ", archive_error_string(archive));
    if (end - next != 2 * BLOCK || !all_zero(next, end))
        return FAIL(err, ERR_CORRUPT, "its end is %s", end - next < 2 * BLOCK ? "cut off" : "damaged");
    return OK;
}

static int read_archive(struct reading *self, struct error *err)
{
    struct archive *archive = archive_read_new();
    int status;

    if (!archive)
        return FAIL(err, ERR_MEMORY, "out of memory to read a checkpoint");
    if (archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_open_memory(archive, self->image.data, self->image.size) != ARCHIVE_OK)
        status = FAIL(err, ERR_CORRUPT, "not a tar archive: %s", archive_error_string(archive));
    else
        status = read_items(archive, self, err);
    archive_read_free(archive);
    return status;
}

/* ---- the manifest ---- */

static int check_version(const struct reading *self, struct error *err)
{
    const json_t *version = json_object_get(self->manifest, "version");
    const char *format = json_string_value(json_object_get(self->manifest, "format"));

    if (!format || strcmp(format, "flosim checkpoint") != 0 || !json_is_integer(version))
        return FAIL(err, ERR_CORRUPT, "its manifest is not that of a checkpoint of flosim");
    if (json_integer_value(version) != CHECKPOINT_FORMAT)
        return FAIL(err, ERR_UNIMPLEMENTED, "a checkpoint of format %lld, of %s flosim; this one reads format %d",
                    (long long)json_integer_value(version),
                    json_integer_value(version) > CHECKPOINT_FORMAT ? "a newer" : "an older", CHECKPOINT_FORMAT);
    return OK;
}

static int copy_id(const struct reading *self, const char *key, char id[CHECKPOINT_ID_MAX + 1], struct error *err)
{
    const char *value = json_string_value(json_object_get(self->manifest, key));

    if (!value || !fs_is_component(value) || strlen(value) > CHECKPOINT_ID_MAX)
        return FAIL(err, ERR_CORRUPT, "its manifest has no usable %s", key);
    snprintf(id, CHECKPOINT_ID_MAX + 1, "%s", value);
    return OK;
}

static int read_facts(struct reading *self, struct error *err)
{
    const json_t *round = json_object_get(self->manifest, "round");
    const json_t *term = json_object_get(self->manifest, "leader_term");
    int status = copy_id(self, "session_id", self->facts.session_id, err);

    if (status == OK)
        status = copy_id(self, "cluster", self->facts.cluster, err);
    if (status != OK)
        return status;
    if (!json_is_integer(round) || json_integer_value(round) < 0 || !json_is_integer(term) ||
        json_integer_value(term) < 0)
        return FAIL(err, ERR_CORRUPT, "its manifest has no usable round and leader_term");
    self->facts.round = json_integer_value(round);
    self->facts.leader_term = (uint64_t)json_integer_value(term);
    return OK;
}

static int read_manifest(struct reading *self, struct error *err)
{
    const struct item *manifest = find_item(self, MANIFEST_NAME), *sum = find_item(self, MANIFEST_SUM_NAME);
    char expected[MANIFEST_SUM_TEXT];
    int status;

    if (!manifest || !sum)
        return FAIL(err, ERR_CORRUPT, "not a checkpoint of flosim: it has no %s",
                    manifest ? MANIFEST_SUM_NAME : MANIFEST_NAME);
    if (manifest->bytes.size > MANIFEST_MAX)
        return FAIL(err, ERR_CORRUPT, "its manifest of %zu bytes is too long", manifest->bytes.size);
    status = manifest_sum(manifest->bytes, expected, err);
    if (status != OK)
        return status;
    if (sum->bytes.size != strlen(expected) || memcmp(sum->bytes.data, expected, sum->bytes.size) != 0)
        return FAIL(err, ERR_CORRUPT,
                    "its manifest is damaged: it has another SHA-256 than " MANIFEST_SUM_NAME " says");
    self->manifest = json_loadb(manifest->bytes.data, manifest->bytes.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(self->manifest))
        return FAIL(err, ERR_CORRUPT, "its manifest is not a JSON object");
    status = check_version(self, err);
    return status == OK ? read_facts(self, err) : status;
}

/* ---- the entries ---- */

static int check_listed(const struct reading *self, const json_t *listed, struct error *err)
{
    const char *name = json_string_value(json_object_get(listed, "name"));
    const char *sha256 = json_string_value(json_object_get(listed, "sha256"));
    json_int_t size = json_integer_value(json_object_get(listed, "size"));
    const struct item *item = name ? find_item(self, name) : NULL;
    char found[SHA256_TEXT];
    int status;

    if (!name || !sha256)
        return FAIL(err, ERR_CORRUPT, "its manifest lists an entry without name or sha256");
    if (!item)
        return FAIL(err, ERR_CORRUPT, "its entry %s is missing", name);
    if ((uint64_t)size != item->bytes.size)
        return FAIL(err, ERR_CORRUPT, "its entry %s has %zu bytes, and should have %lld", name, item->bytes.size,
                    (long long)size);
    status = sha256_of(item->bytes, found, err);
    if (status == OK && strcmp(found, sha256) != 0)
        status = FAIL(err, ERR_CORRUPT, "its entry %s is damaged: it has another SHA-256 than the manifest says", name);
    return status;
}

/* What is listed is there and whole; what is there besides is the manifest. */
static int check_entries(const struct reading *self, struct error *err)
{
    const json_t *entries = json_object_get(self->manifest, "entries");
    size_t n = json_array_size(entries);
    int status = OK;

    if (n != self->n - 2)
        return FAIL(err, ERR_CORRUPT, "it has %zu entries, and its manifest lists %zu", self->n - 2, n);
    for (size_t i = 0; i < n && status == OK; i++) {
        for (size_t j = 0; j < i && status == OK; j++)
            if (json_equal(json_object_get(json_array_get(entries, i), "name"),
                           json_object_get(json_array_get(entries, j), "name")))
                status = FAIL(err, ERR_CORRUPT, "its manifest lists an entry twice");
        if (status == OK)
            status = check_listed(self, json_array_get(entries, i), err);
    }
    return status;
}

struct target {
    struct state_batch *batch;
    enum store_name store;
    const char *id;
};

static int put_value(void *context, const char *key, struct blob *value, struct error *err)
{
    const struct target *target = context;

    return state_batch_put(target->batch, target->store, target->id, key, value, err);
}

static int read_entry(struct reading *self, enum store_name store, struct error *err)
{
    struct target target = {self->batch, store,
                            store == STORE_CLIENT_INFO ? self->facts.cluster : self->facts.session_id};
    char name[ENTRY_NAME_MAX];
    const struct item *item;
    int status;

    entry_name(name, store, target.id);
    item = find_item(self, name);
    if (!item)
        return store == STORE_CLIENT_INFO ? OK : FAIL(err, ERR_CORRUPT, "its entry %s is missing", name);
    status = checkpoint_entry_read(item->bytes, put_value, &target, err);
    return status == OK ? OK : error_context(err, status, "its entry %s", name);
}

static int check_foreign(const struct reading *self, struct error *err)
{
    size_t known = 2; /* the manifest and its sum */

    for (int store = 0; store < NUM_STORES; store++) {
        char name[ENTRY_NAME_MAX];

        entry_name(name, (enum store_name)store,
                   store == STORE_CLIENT_INFO ? self->facts.cluster : self->facts.session_id);
        known += find_item(self, name) != NULL;
    }
    return known == self->n ? OK : FAIL(err, ERR_CORRUPT, "it has an entry that no checkpoint of this session has");
}

static int read_all(struct reading *self, const char *session_id, struct error *err)
{
    int status = read_archive(self, err);

    if (status == OK)
        status = read_manifest(self, err);
    if (status == OK && session_id && strcmp(session_id, self->facts.session_id) != 0)
        status = FAIL(err, ERR_INVALID, "it is of session %s, not of %s", self->facts.session_id, session_id);
    if (status == OK)
        status = check_entries(self, err);
    if (status == OK)
        status = check_foreign(self, err);
    if (status == OK && !(self->batch = state_batch_new()))
        status = FAIL(err, ERR_MEMORY, "out of memory to read a checkpoint");
    for (int store = 0; store < NUM_STORES && status == OK; store++)
        status = read_entry(self, (enum store_name)store, err);
    return status;
}

int checkpoint_read_image(struct span image, const char *session_id, struct checkpoint_facts *facts,
                          struct state_batch **out, struct error *err)
{
    struct reading self = {.image = image};
    int status = read_all(&self, session_id, err);

    *out = NULL;
    json_decref(self.manifest);
    if (status != OK) {
        state_batch_free(self.batch);
        return status;
    }
    if (facts)
        *facts = self.facts;
    *out = self.batch;
    return OK;
}

int checkpoint_read(const char *path, const char *session_id, struct checkpoint_facts *facts, struct state_batch **out,
                    struct error *err)
{
    struct blob *file;
    int status;

    *out = NULL;
    status = fs_read(path, max_file, &file, err);
    if (status != OK)
        return status;
    status = checkpoint_read_image(blob_span(file), session_id, facts, out, err);
    blob_unref(file);
    return status == OK ? OK : error_context(err, status, "checkpoint %s", path);
}
