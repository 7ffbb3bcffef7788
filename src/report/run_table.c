#include "report/run_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"
#include "util/grow.h"

enum { MAX_BYTES = 64 << 20 };

/* Ends the cell that begins at *at, its quotes taken away in place; *at: what stands behind it ('\0' in the end).
 * Returns the character that ended it: ',', '\n' or '\0'. */
static char take_cell(char **at)
{
    char *from = *at, *to = *at, end;
    int quoted = *from == '"';

    from += quoted;
    for (; *from; from++) {
        if (quoted && *from == '"' && from[1] != '"') {
            quoted = 0;
            continue;
        }
        if (quoted && *from == '"')
            from++;
        if (!quoted && (*from == ',' || *from == '\n'))
            break;
        *to++ = *from;
    }
    end = *from;
    *at = end ? from + 1 : from;
    *to = '\0';
    return end;
}

/* One line's cells behind the n that there are; returns how many, or -1 when out of memory. */
static long take_line(struct run_table *table, size_t n, char **at)
{
    long found = 0;
    char end = ',';

    while (end == ',') {
        const char **grown = grow(table->cells, n + (size_t)found, sizeof *grown);
        if (!grown)
            return -1;
        table->cells = grown;
        table->cells[n + (size_t)found++] = *at;
        end = take_cell(at);
    }
    return found;
}

static int take_all(struct run_table *table, struct error *err)
{
    char *at = table->text;
    long found = take_line(table, 0, &at);

    if (found < 0)
        return FAIL(err, ERR_MEMORY, "out of memory");
    table->num_columns = (size_t)found;
    while (*at) {
        found = take_line(table, (table->num_rows + 1) * table->num_columns, &at);
        if (found < 0)
            return FAIL(err, ERR_MEMORY, "out of memory");
        if ((size_t)found == table->num_columns)
            table->num_rows++;
        else
            table->num_damaged++;
    }
    return OK;
}

int run_table_read(const char *path, struct run_table *out, struct error *err)
{
    struct blob *blob = NULL;
    int status = fs_read(path, MAX_BYTES, &blob, err);

    *out = (struct run_table){0};
    if (status)
        return status;
    out->text = malloc(blob_size(blob) + 1);
    if (out->text) {
        memcpy(out->text, blob_bytes(blob), blob_size(blob));
        out->text[blob_size(blob)] = '\0';
    }
    blob_unref(blob);
    if (!out->text)
        return FAIL(err, ERR_MEMORY, "out of memory");
    status = *out->text ? take_all(out, err) : FAIL(err, ERR_CORRUPT, "the file is empty");
    if (status)
        run_table_fini(out);
    return status;
}

void run_table_fini(struct run_table *table)
{
    free(table->text);
    free(table->cells);
    *table = (struct run_table){0};
}

const char *run_table_column(const struct run_table *table, size_t column)
{
    return table->cells[column];
}

const char *run_table_cell(const struct run_table *table, size_t row, size_t column)
{
    return table->cells[(row + 1) * table->num_columns + column];
}

const char *run_table_text(const struct run_table *table, size_t row, const char *column)
{
    for (size_t i = 0; i < table->num_columns; i++)
        if (!strcmp(table->cells[i], column))
            return run_table_cell(table, row, i);
    return "";
}

double run_table_number(const struct run_table *table, size_t row, const char *column)
{
    const char *text = run_table_text(table, row, column);
    char *end;
    double value = strtod(text, &end);

    return *text && !*end && isfinite(value) ? value : NAN;
}
