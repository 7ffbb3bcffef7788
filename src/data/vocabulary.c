#include "data/vocabulary.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_BYTES = 256, VOCABULARY_MAX = 65536 };

static const char unknown_token[] = "<unk>", end_of_line[] = "<eos>";

/* Bytes of the UTF-8 character that begins here; 0: none does. */
static size_t character_size(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : (p[0] & 0xf0) == 0xe0       ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return overlong || outside ? 0 : n;
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* A word, or <eos> for a line's end (a last line needs no end to have one). */
static void next_word(struct text_cursor *cursor, struct span *token, int *found)
{
    const unsigned char *p = cursor->text.data;
    size_t n = cursor->text.size, at = cursor->at;

    while (at < n && is_blank(p[at]))
        at++;
    size_t begin = at;
    while (at < n && !is_blank(p[at]) && p[at] != '\n')
        at++;
    *found = 1;
    if (at > begin)
        *token = span_of(p + begin, at - begin);
    else if (at < n || (at == n && n > 0 && p[n - 1] != '\n')) {
        *token = span_of(end_of_line, sizeof end_of_line - 1);
        at++;
    } else
        *found = 0;
    cursor->at = at;
}

int text_next(struct text_cursor *cursor, struct span *token, int *found, struct error *err)
{
    *found = 0;
    if (cursor->unit == TEXT_WORDS) {
        if (cursor->at <= cursor->text.size)
            next_word(cursor, token, found);
        return OK;
    }
    if (cursor->at >= cursor->text.size)
        return OK;
    const unsigned char *p = (const unsigned char *)cursor->text.data + cursor->at;
    size_t n = cursor->unit == TEXT_BYTES ? 1 : character_size(p, cursor->text.size - cursor->at);
    if (n == 0)
        return FAIL(err, ERR_CORRUPT,
                    "byte 0x%02x begins no UTF-8 character: convert the text (iconv -t UTF-8), or read it with unit: "
                    "bytes",
                    *p);
    *token = span_of(p, n);
    cursor->at += n;
    *found = 1;
    return OK;
}

/* ---- building ---- */

struct counted {
    struct span token;
    uint64_t count;
};

static int compare_bytes(struct span a, struct span b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, n);

    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_counts(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return compare_bytes(x->token, y->token);
}

/* The bytes of UTF-8 sort like the codes. */
static int compare_codes(const void *a, const void *b)
{
    return compare_bytes(((const struct counted *)a)->token, ((const struct counted *)b)->token);
}

static int count_one(struct string_index *index, struct counted **counts, size_t *room, struct span token,
                     struct error *err)
{
    uint32_t number;
    int status = string_index_add(index, token, &number, err);

    if (status)
        return status;
    if (number >= *room) {
        size_t more = *room ? 2 * *room : 256;
        struct counted *grown = realloc(*counts, more * sizeof *grown);
        if (!grown)
            return FAIL(err, ERR_MEMORY, "no memory for %zu tokens", more);
        memset(grown + *room, 0, (more - *room) * sizeof *grown);
        *counts = grown;
        *room = more;
    }
    (*counts)[number].token = token;
    (*counts)[number].count++;
    return OK;
}

static int count_text(struct string_index *index, struct counted **counts, size_t *room, struct text_cursor *cursor,
                      struct error *err)
{
    struct span token;
    int found, status;

    while (!(status = text_next(cursor, &token, &found, err)) && found) {
        bool reserved = token.size == sizeof unknown_token - 1 && !memcmp(token.data, unknown_token, token.size);
        if (!reserved && (status = count_one(index, counts, room, token, err)))
            break;
    }
    return status;
}

static void write_token(FILE *out, struct span token)
{
    const char *p = token.data;

    for (size_t i = 0; i < token.size; i++) {
        const char *escaped = p[i] == '\n'   ? "\\n"
                              : p[i] == '\r' ? "\\r"
                              : p[i] == '\t' ? "\\t"
                              : p[i] == '\\' ? "\\\\"
                                             : NULL;
        if (escaped)
            fputs(escaped, out);
        else
            fputc(p[i], out);
    }
    fputc('\n', out);
}

static struct blob *write_file(const struct counted *counts, size_t n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out, "%s\n", unknown_token);
    for (size_t i = 0; i < n; i++)
        write_token(out, counts[i].token);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    struct blob *blob = blob_adopt(text, size, free, text);
    if (!blob)
        free(text);
    return blob;
}

/* The most frequent ones stay; characters then stand by their code. */
static int write_sorted(struct vocabulary *out, enum text_unit unit, struct counted *counts, size_t n, size_t max,
                        struct error *err)
{
    size_t most = max && max < VOCABULARY_MAX ? max : VOCABULARY_MAX;

    if (n)
        qsort(counts, n, sizeof *counts, compare_counts);
    n = n < most ? n : most - 1;
    if (unit == TEXT_CHARACTERS && n)
        qsort(counts, n, sizeof *counts, compare_codes);
    struct blob *text = write_file(counts, n);
    int status = text ? vocabulary_parse(out, unit, text, err) : FAIL(err, ERR_MEMORY, "no memory for %zu tokens", n);
    blob_unref(text);
    return status;
}

int vocabulary_build(struct vocabulary *out, enum text_unit unit, const struct span *texts, size_t n, size_t max,
                     size_t *at_text, size_t *at, struct error *err)
{
    struct string_index index = {0};
    struct counted *counts = NULL;
    size_t room = 0;
    int status = OK;

    *out = (struct vocabulary){.unit = unit, .unknown = UINT32_MAX};
    *at_text = *at = 0;
    for (size_t i = 0; i < n && !status && unit != TEXT_BYTES; i++) {
        struct text_cursor cursor = {unit, texts[i], 0};
        status = count_text(&index, &counts, &room, &cursor, err);
        *at_text = i;
        *at = cursor.at;
    }
    if (!status && unit != TEXT_BYTES)
        status = write_sorted(out, unit, counts, index.n, max, err);
    string_index_fini(&index);
    free(counts);
    return status;
}

/* ---- reading ---- */

/* A line without its escapes, in place; returns its size. */
static size_t unescape(char *line, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        const char *known = line[i] == '\\' && i + 1 < size ? strchr("nrt\\", line[i + 1]) : NULL;
        line[n++] = known && *known ? "\n\r\t\\"[known - "nrt\\"] : line[i];
        i += known && *known;
    }
    return n;
}

static int parse_lines(struct vocabulary *out, size_t size, struct error *err)
{
    uint32_t number;

    for (size_t at = 0, line = 1; at < size; line++) {
        char *begin = out->plain + at, *end = memchr(begin, '\n', size - at);
        size_t length = end ? (size_t)(end - begin) : size - at;
        at += length + 1;
        struct span token = span_of(begin, unescape(begin, length));
        if (token.size == 0)
            return FAIL(err, ERR_INVALID, "line %zu: empty where a token is expected", line);
        int status = string_index_add(&out->index, token, &number, err);
        if (!status && number != line - 1)
            status = FAIL(err, ERR_INVALID, "line %zu: the token of line %u again", line, number + 1);
        if (!status && line > VOCABULARY_MAX)
            status = FAIL(err, ERR_TOO_LARGE, "line %zu: at most %d tokens are possible", line, VOCABULARY_MAX);
        if (status)
            return status;
    }
    return out->index.n ? OK : FAIL(err, ERR_INVALID, "line 1: empty where a token is expected");
}

int vocabulary_parse(struct vocabulary *out, enum text_unit unit, struct blob *text, struct error *err)
{
    size_t size = blob_size(text);

    *out = (struct vocabulary){.unit = unit, .unknown = UINT32_MAX, .text = blob_ref(text)};
    out->plain = malloc(size + 1);
    if (!out->plain)
        return FAIL(err, ERR_MEMORY, "no memory for a vocabulary of %zu bytes", size);
    if (size)
        memcpy(out->plain, blob_bytes(text), size);
    int status = parse_lines(out, size, err);
    out->unknown = string_index_find(&out->index, span_of(unknown_token, sizeof unknown_token - 1));
    return status;
}

void vocabulary_fini(struct vocabulary *vocabulary)
{
    string_index_fini(&vocabulary->index);
    blob_unref(vocabulary->text);
    free(vocabulary->plain);
    memset(vocabulary, 0, sizeof *vocabulary);
}

size_t vocabulary_size(const struct vocabulary *vocabulary)
{
    return vocabulary->unit == TEXT_BYTES ? NUM_BYTES : vocabulary->index.n;
}

uint32_t vocabulary_number(const struct vocabulary *vocabulary, struct span token)
{
    if (vocabulary->unit == TEXT_BYTES)
        return *(const unsigned char *)token.data;
    uint32_t number = string_index_find(&vocabulary->index, token);
    return number == UINT32_MAX ? vocabulary->unknown : number;
}
