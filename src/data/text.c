#include "data/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/byte_reader.h"
#include "data/text_files.h"
#include "util/fs.h"

const char *const text_unit_names[] = {"characters", "words", "bytes", NULL};
const char *const text_predict_names[] = {"next", "all", NULL};

static const size_t vocabulary_bytes_max = (size_t)1 << 24;

/* Tokens of all pieces in a row; a document is what windows may be cut from. */
struct document {
    size_t begin, end;
    int32_t group;
    size_t place, siblings; /* of samples: which of its client's, and how many these are; 0: no sample */
};

struct token_row {
    int32_t *tokens;
    size_t n, room;
    struct document *documents;
    size_t num_documents;
};

static void token_row_fini(struct token_row *row)
{
    free(row->tokens);
    free(row->documents);
    memset(row, 0, sizeof *row);
}

static void report_at(const struct text_files *files, size_t piece, size_t at, const char *message, struct diags *diags)
{
    const struct text_piece *p = &files->pieces[piece];
    struct diag_place place = {p->path, 0, 0};

    if (p->file != SIZE_MAX) {
        const char *begin = blob_bytes(files->blobs[p->file]), *end = (const char *)p->text.data + at;
        place.line = place.column = 1;
        for (const char *c = begin; c < end; c++) {
            place.line += *c == '\n';
            place.column = *c == '\n' ? 1 : place.column + 1;
        }
    }
    diag_error(diags, place, "%s", message);
}

/* ---- the vocabulary ---- */

static int build_vocabulary(const struct text_args *args, const struct text_files *files, struct vocabulary *out,
                            struct diags *diags)
{
    struct span *texts = calloc(files->n + 1, sizeof *texts);
    struct error err = ERROR_INIT;
    size_t piece = 0, at = 0;
    int status = texts ? OK : FAIL(&err, ERR_MEMORY, "out of memory");

    for (size_t i = 0; i < files->n && texts; i++)
        texts[i] = files->pieces[i].text;
    if (!status)
        status = vocabulary_build(out, (enum text_unit)args->unit, texts, files->n, (size_t)args->max_vocabulary,
                                  &piece, &at, &err);
    if (status)
        report_at(files, piece, at, err.message, diags);
    free(texts);
    return status;
}

static int read_vocabulary(const struct text_args *args, const char *path, struct vocabulary *out, struct diags *diags)
{
    struct error err = ERROR_INIT;
    struct blob *text = NULL;
    int status = fs_read(path, vocabulary_bytes_max, &text, &err);

    if (!status)
        status = vocabulary_parse(out, (enum text_unit)args->unit, text, &err);
    blob_unref(text);
    if (status)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    return status;
}

static int store_vocabulary(const char *path, const struct vocabulary *vocabulary, struct diags *diags)
{
    struct error err = ERROR_INIT;
    struct span text = blob_span(vocabulary->text);
    int status = fs_write_atomic(path, &text, 1, &err);

    if (status)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    return status;
}

static int get_vocabulary(const struct text_args *args, const struct text_files *files, struct vocabulary *out,
                          struct diags *diags)
{
    *out = (struct vocabulary){.unit = (enum text_unit)args->unit, .unknown = UINT32_MAX};
    if (args->unit == TEXT_BYTES)
        return OK;
    if (args->vocabulary && fs_exists(args->vocabulary))
        return read_vocabulary(args, args->vocabulary, out, diags);
    int status = build_vocabulary(args, files, out, diags);
    return status || !args->vocabulary ? status : store_vocabulary(args->vocabulary, out, diags);
}

/* ---- tokens ---- */

static int append_token(struct token_row *row, uint32_t token)
{
    if (row->n == row->room) {
        size_t room = row->room ? 2 * row->room : 4096;
        int32_t *grown = realloc(row->tokens, room * sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        row->tokens = grown;
        row->room = room;
    }
    row->tokens[row->n++] = (int32_t)token;
    return OK;
}

static int tokenise_piece(const struct text_piece *piece, const struct vocabulary *vocabulary, struct token_row *row,
                          size_t *at, struct error *err)
{
    struct text_cursor cursor = {vocabulary->unit, piece->text, 0};
    struct span token;
    int found, status;

    while (*at = cursor.at, !(status = text_next(&cursor, &token, &found, err)) && found) {
        uint32_t number = vocabulary_number(vocabulary, token);
        if (number == UINT32_MAX)
            return FAIL(err, ERR_INVALID,
                        "`%.*s` is not in the vocabulary, which has no <unk>; add either to its file, or build another",
                        (int)(token.size < 40 ? token.size : 40), (const char *)token.data);
        if (append_token(row, number))
            return FAIL(err, ERR_MEMORY, "no memory for %zu tokens", row->n);
    }
    return status;
}

/* Samples are counted for each client, so that the last ones of each can be held out. */
static int number_samples(struct token_row *row, size_t num_groups)
{
    size_t *counts = calloc(num_groups + 1, sizeof *counts);

    for (size_t d = 0; d < row->num_documents && counts; d++)
        if (row->documents[d].siblings)
            row->documents[d].place = counts[row->documents[d].group]++;
    for (size_t d = 0; d < row->num_documents && counts; d++)
        if (row->documents[d].siblings)
            row->documents[d].siblings = counts[row->documents[d].group];
    free(counts);
    return counts ? OK : ERR_MEMORY;
}

static int tokenise(const struct text_files *files, const struct vocabulary *vocabulary, struct token_row *row,
                    struct diags *diags)
{
    struct error err = ERROR_INIT;
    size_t at = 0, piece = 0;

    row->documents = calloc(files->n + 1, sizeof *row->documents);
    int status = row->documents ? OK : FAIL(&err, ERR_MEMORY, "out of memory");
    for (; piece < files->n && !status; piece++) {
        const struct text_piece *p = &files->pieces[piece];
        if (!p->joins || row->num_documents == 0)
            row->documents[row->num_documents++] =
                (struct document){.begin = row->n, .end = row->n, .group = p->group, .siblings = p->sample};
        status = tokenise_piece(p, vocabulary, row, &at, &err);
        row->documents[row->num_documents - 1].end = row->n;
    }
    if (!status && number_samples(row, files->groups.n))
        status = FAIL(&err, ERR_MEMORY, "out of memory");
    if (status)
        report_at(files, piece ? piece - 1 : 0, at, err.message, diags);
    return status;
}

/* ---- windows ---- */

struct cut {
    const struct text_args *args;
    const struct vocabulary *vocabulary;
    double from, to; /* part of each document, or of a client's samples */
    bool has_groups;
};

static size_t step_of(const struct text_args *args)
{
    return (size_t)(args->step ? args->step : args->length);
}

static struct document part_of(const struct document *document, const struct cut *cut)
{
    double n = (double)(document->siblings ? document->siblings : document->end - document->begin);
    size_t from = (size_t)(n * cut->from), to = (size_t)(n * cut->to);
    struct document part = *document;

    if (!document->siblings) {
        part.begin = document->begin + from;
        part.end = document->begin + to;
    } else if (document->place < from || document->place >= to) {
        part.end = part.begin;
    }
    return part;
}

/* Windows with a token behind them. */
static size_t windows_of(const struct document *part, const struct text_args *args)
{
    size_t n = part->end - part->begin, needed = (size_t)args->length + 1;

    return n < needed ? 0 : (n - needed) / step_of(args) + 1;
}

static void fill_windows(const struct token_row *row, const struct cut *cut, struct dataset_fill *fill)
{
    uint32_t at = 0;
    size_t item = 0;

    for (size_t d = 0; d < row->num_documents; d++) {
        struct document part = part_of(&row->documents[d], cut);
        size_t windows = windows_of(&part, cut->args), n = part.end - part.begin;
        if (windows == 0)
            continue;
        memcpy((int32_t *)fill->x + at, row->tokens + part.begin, n * sizeof(int32_t));
        for (size_t w = 0; w < windows; w++, item++) {
            fill->starts[item] = at + (uint32_t)(w * step_of(cut->args));
            if (fill->groups)
                fill->groups[item] = part.group;
        }
        at += (uint32_t)n;
    }
}

static int cut_windows(const struct token_row *row, const struct cut *cut, struct dataset *out, struct error *err)
{
    struct span text = cut->vocabulary->text ? blob_span(cut->vocabulary->text) : span_of(NULL, 0);
    struct dataset_need need = {.targets_in_x = true, .groups = cut->has_groups, .tokens_text = text.size};
    bool all = cut->args->predict == TEXT_PREDICT_ALL;
    struct dataset_fill fill;

    memset(out, 0, sizeof *out);
    for (size_t d = 0; d < row->num_documents; d++) {
        struct document part = part_of(&row->documents[d], cut);
        size_t windows = windows_of(&part, cut->args);
        out->num_items += windows;
        need.row += windows ? part.end - part.begin : 0;
    }
    if (out->num_items == 0)
        return FAIL(err, ERR_INVALID,
                    "no text is long enough for a window of %lld tokens and one more; take a smaller length",
                    (long long)cut->args->length);
    need.num_targets = all ? (size_t)cut->args->length : 1;
    snprintf(out->name, sizeof out->name, "text");
    out->type = DATA_I32;
    out->num_dims = 1;
    out->dims[0] = cut->args->length;
    out->vocabulary = (int64_t)vocabulary_size(cut->vocabulary);
    out->num_classes = (int32_t)out->vocabulary;
    out->transform = transform_plain(1.0f, 0.0f, 1.0f, 0);
    int status = dataset_alloc_for(out, &need, &fill, err);
    if (status)
        return status;
    fill_windows(row, cut, &fill);
    if (text.size)
        memcpy(fill.tokens_text, text.data, text.size);
    out->labels = (const int32_t *)fill.x + (all ? 1 : cut->args->length);
    dataset_seal(out);
    return OK;
}

/* ---- together ---- */

static int read_all(struct text_files *files, const struct string_list *paths, struct diags *diags)
{
    int status = OK;

    for (size_t i = 0; i < paths->n; i++) {
        int failed = text_files_read(files, paths->items[i], diags);
        status = status ? status : failed;
    }
    return status;
}

static int load_part(const struct text_files *files, struct cut *cut, struct token_row *row, const char *path,
                     struct dataset *out, struct diags *diags)
{
    struct error err = ERROR_INIT;
    int status = row->documents ? OK : tokenise(files, cut->vocabulary, row, diags);

    if (status)
        return status;
    cut->has_groups = files->has_groups;
    status = cut_windows(row, cut, out, &err);
    if (status)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    return status;
}

static int load_validation(const struct string_list *paths, struct text_files *files, struct cut *cut,
                           struct dataset *out, struct diags *diags)
{
    struct token_row row = {0};
    int status = read_all(files, paths, diags);

    if (!status)
        status = load_part(files, cut, &row, paths->items[0], out, diags);
    token_row_fini(&row);
    return status;
}

int text_load(const struct text_args *args, const struct string_list *train, const struct string_list *validation,
              double fraction, struct dataset *out, struct dataset *out_validation, struct diags *diags)
{
    struct text_files files = {0}, others = {0};
    struct vocabulary vocabulary = {0};
    struct token_row row = {0};
    bool files_alike = validation && validation->n > 0;
    struct cut cut = {args, &vocabulary, 0.0, files_alike ? 1.0 : 1.0 - fraction, false};
    int status = read_all(&files, train, diags);

    memset(out, 0, sizeof *out);
    memset(out_validation, 0, sizeof *out_validation);
    if (!status)
        status = get_vocabulary(args, &files, &vocabulary, diags);
    if (!status)
        status = load_part(&files, &cut, &row, train->items[0], out, diags);
    cut.from = files_alike ? 0.0 : cut.to;
    cut.to = 1.0;
    if (!status && files_alike)
        status = load_validation(validation, &others, &cut, out_validation, diags);
    else if (!status && fraction > 0)
        status = load_part(&files, &cut, &row, train->items[0], out_validation, diags);
    if (status) {
        dataset_fini(out);
        dataset_fini(out_validation);
    }
    token_row_fini(&row);
    vocabulary_fini(&vocabulary);
    text_files_fini(&files);
    text_files_fini(&others);
    return status;
}

int text_load_file(const struct text_args *args, const char *path, struct dataset *out, struct diags *diags)
{
    struct text_args beside = *args;
    char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
    struct string_list train = {&copy, 1};
    struct dataset none;

    if (slash)
        *slash = '\0';
    beside.vocabulary = args->vocabulary && slash ? fs_join(copy, args->vocabulary) : NULL;
    if (slash)
        *slash = '/';
    int status = copy ? OK : ERR_MEMORY;
    if (args->unit != TEXT_BYTES && (!beside.vocabulary || !fs_exists(beside.vocabulary))) {
        diag_error(diags, (struct diag_place){path, 0, 0},
                   "text in a data set folder needs its vocabulary beside it, the same for all clients: text: "
                   "{vocabulary: FILE}, or let `flosim partition text` write the folder");
        status = ERR_INVALID;
    }
    if (!status)
        status = text_load(&beside, &train, NULL, 0.0, out, &none, diags);
    free(beside.vocabulary);
    free(copy);
    return status;
}
