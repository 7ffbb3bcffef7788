#include "data/csv_table.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/byte_reader.h"
#include "util/fs.h"

static const size_t csv_max = (size_t)1 << 31;

/* Where the parser stands. */
struct place {
    char *at, *end, *line_begin;
    int line;
    char separator;
};

static int fail_at(const struct csv_table *table, int line, int column, const char *message, struct diags *diags)
{
    diag_error(diags, (struct diag_place){table->path, line, column}, "%s", message);
    return ERR_INVALID;
}

static int column_of(const struct place *p, const char *at)
{
    return (int)(at - p->line_begin) + 1;
}

/* A field in quotes: "" stands for one; it may hold line ends. NULL: its end is missing. */
static char *quoted_field(struct place *p, struct span *text)
{
    char *to = p->at++, *begin = to;

    for (;; p->at++) {
        if (p->at >= p->end)
            return NULL;
        if (*p->at == '"') {
            if (p->at + 1 >= p->end || p->at[1] != '"')
                break;
            p->at++;
        }
        if (*p->at == '\n') {
            p->line++;
            p->line_begin = p->at + 1;
        }
        *to++ = *p->at;
    }
    *text = span_of(begin, (size_t)(to - begin));
    return ++p->at;
}

static void plain_field(struct place *p, struct span *text)
{
    char *begin = p->at;

    while (p->at < p->end && *p->at != p->separator && *p->at != '\n' && *p->at != '\r')
        p->at++;
    *text = span_of(begin, (size_t)(p->at - begin));
}

static int add_field(struct csv_table *table, size_t n, struct csv_field field)
{
    if (n == table->room) {
        size_t room = table->room ? 2 * table->room : 1024;
        struct csv_field *grown = realloc(table->fields, room * sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        table->fields = grown;
        table->room = room;
    }
    table->fields[n] = field;
    return OK;
}

static void skip_line_end(struct place *p)
{
    if (p->at < p->end && *p->at == '\r')
        p->at++;
    if (p->at < p->end && *p->at == '\n')
        p->at++;
    p->line++;
    p->line_begin = p->at;
}

/* One row; *n fields so far, of all rows. */
static int parse_row(struct csv_table *table, struct place *p, size_t *n, struct diags *diags)
{
    for (size_t fields = 1;; fields++) {
        struct csv_field field = {.line = p->line, .column = column_of(p, p->at)};
        if (p->at < p->end && *p->at == '"') {
            if (!quoted_field(p, &field.text))
                return fail_at(table, field.line, field.column, "the quotes that begin here do not end", diags);
        } else
            plain_field(p, &field.text);
        if (fields > CSV_MAX_COLUMNS)
            return fail_at(table, field.line, field.column, "more than 65536 columns", diags);
        if (add_field(table, (*n)++, field))
            return fail_at(table, field.line, 1, "out of memory", diags);
        bool more = p->at < p->end && *p->at == p->separator;
        if (!more && p->at < p->end && *p->at != '\n' && *p->at != '\r')
            return fail_at(table, p->line, column_of(p, p->at),
                           "a separator or the line's end is expected after quotes", diags);
        if (!more)
            return OK;
        p->at++;
    }
}

static int add_row(struct csv_table *table, int line, size_t num_fields, struct diags *diags)
{
    if (table->num_columns == 0)
        table->num_columns = num_fields;
    if (num_fields != table->num_columns) {
        diag_error(diags, (struct diag_place){table->path, line, 1},
                   "%zu fields where the first line has %zu: a missing or an extra separator", num_fields,
                   table->num_columns);
        return ERR_INVALID;
    }
    table->num_rows++;
    return OK;
}

bool csv_is_number(const struct csv_field *field, double *out)
{
    char copy[64], *end;

    if (field->text.size == 0 || field->text.size >= sizeof copy)
        return false;
    memcpy(copy, field->text.data, field->text.size);
    copy[field->text.size] = '\0';
    *out = strtod(copy, &end);
    return end != copy && end[strspn(end, " \t")] == '\0';
}

static bool looks_like_header(const struct csv_table *table)
{
    double number;

    for (size_t c = 0; c < table->num_columns; c++)
        if (csv_is_number(&table->fields[c], &number))
            return false;
    return true;
}

static void take_header(struct csv_table *table, enum csv_header header)
{
    if (table->num_rows == 0 || header == CSV_HEADER_NO || (header == CSV_HEADER_AUTO && !looks_like_header(table)))
        return;
    table->names = table->fields;
    table->num_rows--;
}

/* csv_field counts rows from behind the header. */
static void skip_header(struct csv_table *table)
{
    struct csv_field *names = table->names ? malloc(table->num_columns * sizeof *names) : NULL;

    if (!names)
        return;
    memcpy(names, table->fields, table->num_columns * sizeof *names);
    memmove(table->fields, table->fields + table->num_columns,
            table->num_rows * table->num_columns * sizeof *table->fields);
    table->names = names;
}

int csv_table_parse(struct csv_table *out, struct blob *text, const char *path, char separator, enum csv_header header,
                    struct diags *diags)
{
    char *bytes = blob_bytes(text);
    struct place p = {bytes, bytes + blob_size(text), bytes, 1, separator};
    size_t n = 0;
    int status = OK;

    *out = (struct csv_table){.path = path, .text = blob_ref(text)};
    if (blob_size(text) >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        p.at = p.line_begin = bytes + 3; /* a byte order mark */
    while (p.at < p.end && !status) {
        size_t before = n;
        int line = p.line;
        if (*p.at != '\n' && *p.at != '\r' && !(status = parse_row(out, &p, &n, diags)))
            status = add_row(out, line, n - before, diags);
        skip_line_end(&p);
    }
    if (!status)
        take_header(out, header);
    if (!status && out->num_rows == 0)
        status = fail_at(out, 1, 1, "no row of data", diags);
    if (status) {
        out->names = NULL;
        return status;
    }
    skip_header(out);
    return out->names == out->fields ? fail_at(out, 1, 1, "out of memory", diags) : OK;
}

int csv_table_load(struct csv_table *out, const char *path, char separator, enum csv_header header, struct diags *diags)
{
    struct blob *image = NULL, *text = NULL;
    struct error err = ERROR_INIT;
    int status = fs_map(path, &image, &err);

    *out = (struct csv_table){0};
    if (!status)
        status = byte_reader_unpack(blob_span(image), csv_max, &text, &err);
    if (status)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    else
        status = csv_table_parse(out, text, path, separator, header, diags);
    blob_unref(image);
    blob_unref(text);
    return status;
}

void csv_table_fini(struct csv_table *table)
{
    if (table->names != table->fields)
        free((void *)(uintptr_t)table->names);
    free(table->fields);
    blob_unref(table->text);
    memset(table, 0, sizeof *table);
}

size_t csv_column(const struct csv_table *table, const char *name, struct diags *diags)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    for (size_t c = 0; c < table->num_columns && table->names; c++)
        if (table->names[c].text.size == strlen(name) && !memcmp(table->names[c].text.data, name, strlen(name)))
            return c;
    if (*name >= '0' && *name <= '9' && *end == '\0' && number >= 1 && number <= table->num_columns)
        return number - 1;
    diag_error(diags, (struct diag_place){table->path, 1, 1},
               "no column `%.60s`: there are %zu, by number from 1 or, with a header, by name", name,
               table->num_columns);
    return SIZE_MAX;
}

int csv_number(const struct csv_table *table, size_t row, size_t column, float *out, struct diags *diags)
{
    const struct csv_field *field = csv_field(table, row, column);
    double number = 0;
    bool is_number = csv_is_number(field, &number);

    *out = (float)number;
    if (is_number && isfinite(*out))
        return OK;
    diag_error(diags, (struct diag_place){table->path, field->line, field->column},
               "`%.*s` where column %zu needs a number: fill in or leave out rows with missing values",
               (int)(field->text.size < 40 ? field->text.size : 40), (const char *)field->text.data, column + 1);
    return ERR_INVALID;
}
