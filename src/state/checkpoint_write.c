#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/checkpoint_entry.h"
#include "state/checkpoint_folder.h"
#include "state/checkpoint_manifest.h"
#include "util/fs.h"

struct part {
    char name[ENTRY_NAME_MAX];
    struct checkpoint_entry entry;
    char sha256[SHA256_TEXT];
};

struct writing {
    const struct checkpoint_place *place;
    const char *session_id;
    int64_t round;
    struct part parts[NUM_STORES];
    size_t num_parts;
    size_t written, half;

    struct archive *archive;
    struct checkpoint_file file;
    struct error error; /* of the file, from within the archive's callback */
    bool broken;        /* nothing more is written */
};

/* ---- what goes in ---- */

static int64_t round_in(struct span text)
{
    json_t *round = json_loadb(text.data, text.size, 0, NULL);
    json_int_t number = json_integer_value(json_object_get(round, "round"));

    json_decref(round);
    return number < 0 ? 0 : number;
}

static int add_part(struct writing *self, const struct state_snapshot *snapshot, enum store_name store, const char *id,
                    struct error *err)
{
    struct checkpoint_value *values = calloc(snapshot->n + 1, sizeof *values);
    struct part *part = &self->parts[self->num_parts];
    size_t n = 0;
    int status = OK;

    if (!values)
        return FAIL(err, ERR_MEMORY, "out of memory for a checkpoint");
    for (size_t i = 0; i < snapshot->n; i++)
        if (snapshot->entries[i].store == store)
            values[n++] = (struct checkpoint_value){snapshot->entries[i].key, blob_span(snapshot->entries[i].value)};
    entry_name(part->name, store, id);
    if (n || store != STORE_CLIENT_INFO) {
        status = checkpoint_entry_make(values, n, &part->entry, err);
        self->num_parts += status == OK;
        self->half += part->entry.size / 2;
    }
    free(values);
    return status == OK ? OK : error_context(err, status, "%s", part->name);
}

static int collect(struct writing *self, const struct state_snapshot *snapshot, struct error *err)
{
    int status = OK;

    for (size_t i = 0; i < snapshot->n; i++)
        if (snapshot->entries[i].store == STORE_TRAINING_SESSION && strcmp(snapshot->entries[i].key, "round") == 0)
            self->round = round_in(blob_span(snapshot->entries[i].value));
    for (int store = 0; store < NUM_STORES && status == OK; store++)
        status = add_part(self, snapshot, (enum store_name)store,
                          store == STORE_CLIENT_INFO ? self->place->cluster : self->session_id, err);
    return status;
}

/* ---- the archive ---- */

static la_ssize_t to_file(struct archive *archive, void *context, const void *data, size_t size)
{
    struct writing *self = context;
    bool before = self->written < self->half;

    if (self->broken)
        return -1;
    if (checkpoint_file_write(&self->file, data, size, &self->error) != OK) {
        archive_set_error(archive, EIO, "%s", self->error.message);
        return -1;
    }
    self->written += size;
    if (before && self->written >= self->half)
        PROBE(self->place->probes, "checkpoint.half", self->round);
    return (la_ssize_t)size;
}

static int archive_failed(struct writing *self, struct error *err)
{
    const char *text = archive_error_string(self->archive);

    if (self->error.status != OK) {
        if (err)
            *err = self->error;
        return self->error.status;
    }
    return FAIL(err, ERR_INTERNAL, "the archive cannot be written: %s", text ? text : "no reason given");
}

/* Unbuffered: what is written goes to the file as it lies in memory. */
static int open_archive(struct writing *self, struct error *err)
{
    self->archive = archive_write_new();
    if (!self->archive)
        return FAIL(err, ERR_MEMORY, "out of memory for a checkpoint");
    if (archive_write_set_format_gnutar(self->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(self->archive, 0) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(self->archive, 1) != ARCHIVE_OK ||
        archive_write_open(self->archive, self, NULL, to_file, NULL) != ARCHIVE_OK)
        return archive_failed(self, err);
    return OK;
}

static int begin_entry(struct writing *self, const char *name, size_t size, struct error *err)
{
    struct archive_entry *entry = archive_entry_new();
    int status = OK;

    if (!entry)
        return FAIL(err, ERR_MEMORY, "out of memory for a checkpoint");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_mtime(entry, 0, 0);
    if (archive_write_header(self->archive, entry) != ARCHIVE_OK)
        status = archive_failed(self, err);
    archive_entry_free(entry);
    return status;
}

static int put_bytes(struct writing *self, struct span bytes, struct error *err)
{
    if (bytes.size && archive_write_data(self->archive, bytes.data, bytes.size) != (la_ssize_t)bytes.size)
        return archive_failed(self, err);
    return OK;
}

static int put_text(struct writing *self, const char *name, struct span text, struct error *err)
{
    int status = begin_entry(self, name, text.size, err);

    return status == OK ? put_bytes(self, text, err) : status;
}

static int put_part(struct writing *self, struct part *part, struct error *err)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned char digest[32];
    int status = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) ? OK : FAIL(err, ERR_MEMORY, "cannot hash");

    if (status == OK)
        status = begin_entry(self, part->name, part->entry.size, err);
    for (size_t i = 0; i < part->entry.num_parts && status == OK; i++) {
        if (!EVP_DigestUpdate(hash, part->entry.parts[i].data, part->entry.parts[i].size))
            status = FAIL(err, ERR_INTERNAL, "cannot hash %s", part->name);
        else
            status = put_bytes(self, part->entry.parts[i], err);
    }
    if (status == OK && !EVP_DigestFinal_ex(hash, digest, NULL))
        status = FAIL(err, ERR_INTERNAL, "cannot hash %s", part->name);
    if (status == OK)
        sha256_text(digest, part->sha256);
    EVP_MD_CTX_free(hash);
    return status;
}

static char *manifest_text(const struct writing *self)
{
    json_t *entries = json_array();
    json_t *manifest =
        json_pack("{s:s, s:i, s:s, s:s, s:I, s:I, s:o}", "format", "flosim checkpoint", "version", CHECKPOINT_FORMAT,
                  "session_id", self->session_id, "cluster", self->place->cluster, "round", (json_int_t)self->round,
                  "leader_term", (json_int_t)self->place->term, "entries", entries);
    bool whole = manifest != NULL;
    char *text;

    for (size_t i = 0; whole && i < self->num_parts; i++)
        whole = !json_array_append_new(entries, json_pack("{s:s, s:I, s:s}", "name", self->parts[i].name, "size",
                                                          (json_int_t)self->parts[i].entry.size, "sha256",
                                                          self->parts[i].sha256));
    text = whole ? json_dumps(manifest, JSON_INDENT(2)) : NULL;
    json_decref(manifest);
    return text;
}

static int put_manifest(struct writing *self, struct error *err)
{
    char *text = manifest_text(self);
    char sum[MANIFEST_SUM_TEXT];
    int status =
        text ? OK : FAIL(err, ERR_INVALID, "no manifest can be made of the session's id or for want of memory");

    if (status == OK)
        status = put_text(self, MANIFEST_NAME, span_of(text, strlen(text)), err);
    if (status == OK)
        status = manifest_sum(span_of(text, strlen(text)), sum, err);
    if (status == OK)
        status = put_text(self, MANIFEST_SUM_NAME, span_of(sum, strlen(sum)), err);
    free(text);
    return status;
}

static int put_all(struct writing *self, struct error *err)
{
    int status = open_archive(self, err);

    for (size_t i = 0; i < self->num_parts && status == OK; i++)
        status = put_part(self, &self->parts[i], err);
    if (status == OK)
        status = put_manifest(self, err);
    if (status == OK && archive_write_close(self->archive) != ARCHIVE_OK)
        status = archive_failed(self, err);
    if (status != OK && self->archive) {
        self->broken = true;
        archive_write_close(self->archive); /* or it would not free all of its own */
    }
    archive_write_free(self->archive);
    self->archive = NULL;
    return status;
}

/* ---- the file ---- */

static int check_term(const struct checkpoint_place *place, const struct checkpoint_folder *folder, struct error *err)
{
    uint64_t term;
    int status = checkpoint_folder_term(folder, &term, err);

    if (status == OK && term > place->term)
        status = FAIL(err, ERR_PRECONDITION, "replaced by another leader: %s is in its %lluth term, this one's is %llu",
                      place->dir, (unsigned long long)term, (unsigned long long)place->term);
    return status;
}

static int write_file(struct writing *self, const struct checkpoint_folder *folder, struct error *err)
{
    char name[CHECKPOINT_NAME_MAX];
    int status = checkpoint_file_begin(&self->file, folder, err);

    if (status != OK)
        return status;
    PROBE(self->place->probes, "checkpoint.begin", self->round);
    status = put_all(self, err);
    if (status == OK)
        status = checkpoint_file_sync(&self->file, err);
    if (status == OK) {
        PROBE(self->place->probes, "checkpoint.before-rename", self->round);
        checkpoint_plain_name(name, self->session_id);
        status = checkpoint_file_name(&self->file, name, err);
    }
    checkpoint_file_end(&self->file);
    if (status == OK)
        status = checkpoint_keep(folder, self->session_id, self->round, self->place->keep, err);
    if (status == OK)
        PROBE(self->place->probes, "checkpoint.done", self->round);
    return status;
}

static int write_in_folder(struct writing *self, struct error *err)
{
    struct checkpoint_folder folder;
    int status = checkpoint_folder_open(&folder, self->place->dir, self->place->cluster, self->place->lock_ms, err);

    if (status != OK)
        return status;
    status = check_term(self->place, &folder, err);
    if (status == OK)
        status = write_file(self, &folder, err);
    checkpoint_folder_close(&folder);
    return status;
}

int checkpoint_write(const struct checkpoint_place *place, const char *session_id,
                     const struct state_snapshot *snapshot, struct error *err)
{
    struct writing self = {.place = place, .session_id = session_id, .error = ERROR_INIT};
    int status;

    if (!fs_is_component(session_id) || strlen(session_id) > CHECKPOINT_ID_MAX)
        return FAIL(err, ERR_INVALID, "the session's id cannot be part of a file's name");
    status = collect(&self, snapshot, err);
    if (status == OK)
        status = write_in_folder(&self, err);
    for (size_t i = 0; i < self.num_parts; i++)
        checkpoint_entry_fini(&self.parts[i].entry);
    return status == OK ? OK : error_context(err, status, "no checkpoint of session %s", session_id);
}
