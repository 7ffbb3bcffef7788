#include "data/text_files.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "data/byte_reader.h"
#include "util/fs.h"

enum { FILES_MAX = 1 << 20 };
static const size_t text_max = (size_t)1 << 31;

static int no_memory(const char *path, struct diags *diags)
{
    diag_error(diags, (struct diag_place){path, 0, 0}, "out of memory");
    return ERR_MEMORY;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* An array of n pointers grows by one. */
static int keep(void *array, size_t *n, void *pointer)
{
    void **old, **grown;

    memcpy(&old, array, sizeof old);
    if (*n >= FILES_MAX || !(grown = realloc(old, (*n + 1) * sizeof *grown)))
        return ERR_MEMORY;
    grown[(*n)++] = pointer;
    memcpy(array, &grown, sizeof grown);
    return OK;
}

static int add_piece(struct text_files *files, struct text_piece piece)
{
    if (files->n == files->room) {
        size_t room = files->room ? 2 * files->room : 64;
        struct text_piece *grown = realloc(files->pieces, room * sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        files->pieces = grown;
        files->room = room;
    }
    files->pieces[files->n++] = piece;
    return OK;
}

static int group_of(struct text_files *files, struct span name, int32_t *group)
{
    uint32_t number;
    int status = string_index_add(&files->groups, name, &number, NULL);

    *group = (int32_t)number;
    files->has_groups = true;
    return status;
}

/* ---- client<TAB>text ---- */

static int compare_groups(const void *a, const void *b)
{
    const struct text_piece *x = a, *y = b;

    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->text.data > y->text.data) - (x->text.data < y->text.data);
}

static void join_lines(struct text_files *files, size_t first)
{
    if (files->n > first)
        qsort(files->pieces + first, files->n - first, sizeof *files->pieces, compare_groups);
    for (size_t i = first + 1; i < files->n; i++)
        files->pieces[i].joins = files->pieces[i].group == files->pieces[i - 1].group;
}

static int read_lines(struct text_files *files, struct blob *blob, const char *path, struct diags *diags)
{
    const char *bytes = blob_bytes(blob);
    size_t size = blob_size(blob), first = files->n;
    int line = 1;

    for (size_t at = 0; at < size; line++) {
        const char *begin = bytes + at, *end = memchr(begin, '\n', size - at);
        size_t length = end ? (size_t)(end - begin) + 1 : size - at;
        const char *tab = memchr(begin, '\t', length);
        struct text_piece piece = {.path = path, .file = files->num_blobs - 1};
        if (!tab || tab == begin) {
            diag_error(diags, (struct diag_place){path, line, 1},
                       "no client before a tab; each line is `client<TAB>text`");
            return ERR_INVALID;
        }
        piece.text = span_of(tab + 1, length - (size_t)(tab + 1 - begin));
        if (group_of(files, span_of(begin, (size_t)(tab - begin)), &piece.group) || add_piece(files, piece))
            return no_memory(path, diags);
        at += length;
    }
    join_lines(files, first);
    return OK;
}

/* ---- LEAF ---- */

static int bad_json(const char *path, const char *user, const char *what, struct diags *diags)
{
    diag_error(diags, (struct diag_place){path, 0, 0},
               "user_data of `%.60s`: %s; LEAF's form is {\"x\": [text, ...], \"y\": [text, ...]} or {\"raw\": text}",
               user, what);
    return ERR_INVALID;
}

static struct span json_span(const json_t *string)
{
    return span_of(json_string_value(string), json_string_length(string));
}

/* A window and what follows it. */
static int add_window(struct text_files *files, const char *path, const char *user, int32_t group, const json_t *x,
                      const json_t *y, struct diags *diags)
{
    struct text_piece piece = {.path = path, .file = SIZE_MAX, .group = group};

    if (!json_is_string(x) || !json_is_string(y))
        return bad_json(path, user, "x and y must be texts", diags);
    piece.text = json_span(x);
    piece.sample = true;
    if (add_piece(files, piece))
        return no_memory(path, diags);
    piece.text = json_span(y);
    piece.joins = true;
    return add_piece(files, piece) ? no_memory(path, diags) : OK;
}

static int read_user(struct text_files *files, const char *path, const char *user, json_t *data, struct diags *diags)
{
    json_t *raw = json_object_get(data, "raw"), *x = json_object_get(data, "x"), *y = json_object_get(data, "y");
    struct text_piece piece = {.path = path, .file = SIZE_MAX};
    int status = OK;

    if (group_of(files, span_of(user, strlen(user)), &piece.group))
        return no_memory(path, diags);
    if (json_is_string(raw)) {
        piece.text = json_span(raw);
        return add_piece(files, piece) ? no_memory(path, diags) : OK;
    }
    if (!json_is_array(x) || !json_is_array(y) || json_array_size(x) != json_array_size(y))
        return bad_json(path, user, "x and y must be lists of one length", diags);
    for (size_t i = 0; i < json_array_size(x) && !status; i++)
        status = add_window(files, path, user, piece.group, json_array_get(x, i), json_array_get(y, i), diags);
    return status;
}

static int read_leaf(struct text_files *files, struct blob *blob, const char *path, struct diags *diags)
{
    json_error_t where;
    json_t *root = json_loadb(blob_bytes(blob), blob_size(blob), 0, &where), *data, *user;
    const char *name;
    int status = OK;

    if (!root) {
        diag_error(diags, (struct diag_place){path, where.line, where.column}, "not JSON: %s", where.text);
        return ERR_CORRUPT;
    }
    if (keep(&files->roots, &files->num_roots, root)) {
        json_decref(root);
        return no_memory(path, diags);
    }
    data = json_object_get(root, "user_data");
    if (!json_is_object(data) || json_object_size(data) == 0) {
        diag_error(diags, (struct diag_place){path, 0, 0},
                   "no `user_data` with users: this is not one of LEAF's files");
        return ERR_INVALID;
    }
    json_object_foreach(data, name, user) if (!status) status = read_user(files, path, name, user, diags);
    return status;
}

/* ---- files and folders ---- */

static int read_blob(struct text_files *files, const char *path, struct blob **out, struct diags *diags)
{
    struct blob *image = NULL;
    struct error err = ERROR_INIT;
    int status = fs_map(path, &image, &err);

    if (!status)
        status = byte_reader_unpack(blob_span(image), text_max, out, &err);
    blob_unref(image);
    if (status)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    else if (keep(&files->blobs, &files->num_blobs, *out)) {
        blob_unref(*out);
        status = no_memory(path, diags);
    }
    return status;
}

static int read_file(struct text_files *files, const char *path, const char *group, struct diags *diags)
{
    struct text_piece piece = {.path = path};
    struct blob *blob = NULL;
    int status = read_blob(files, path, &blob, diags);

    if (status)
        return status;
    if (ends_with(path, ".tsv") || ends_with(path, ".tsv.gz"))
        return read_lines(files, blob, path, diags);
    if (ends_with(path, ".json") || ends_with(path, ".json.gz"))
        return read_leaf(files, blob, path, diags);
    piece.text = blob_span(blob);
    piece.file = files->num_blobs - 1;
    if ((group && group_of(files, span_of(group, strlen(group)), &piece.group)) || add_piece(files, piece))
        return no_memory(path, diags);
    return OK;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int read_named(struct text_files *files, const char *folder, const char *name, struct diags *diags)
{
    char *path = fs_join(folder, name);

    if (!path || keep(&files->names, &files->num_names, path)) {
        free(path);
        return no_memory(folder, diags);
    }
    return read_file(files, path, strrchr(path, '/') ? strrchr(path, '/') + 1 : path, diags);
}

static int read_folder(struct text_files *files, const char *path, struct diags *diags)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, is_visible, alphasort), status = OK;

    if (n <= 0)
        diag_error(diags, (struct diag_place){path, 0, 0}, "no file in this folder; each file is one client's text");
    for (int i = 0; i < n; i++) {
        if (!status)
            status = read_named(files, path, entries[i]->d_name, diags);
        free(entries[i]);
    }
    free(entries);
    return n <= 0 ? ERR_NOT_FOUND : status;
}

int text_files_read(struct text_files *files, const char *path, struct diags *diags)
{
    return fs_is_dir(path) ? read_folder(files, path, diags) : read_file(files, path, NULL, diags);
}

void text_files_fini(struct text_files *files)
{
    for (size_t i = 0; i < files->num_blobs; i++)
        blob_unref(files->blobs[i]);
    for (size_t i = 0; i < files->num_roots; i++)
        json_decref(files->roots[i]);
    for (size_t i = 0; i < files->num_names; i++)
        free(files->names[i]);
    free(files->blobs);
    free(files->roots);
    free(files->names);
    free(files->pieces);
    string_index_fini(&files->groups);
    memset(files, 0, sizeof *files);
}
