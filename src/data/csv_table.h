/* A CSV file (RFC 4180) as rows of fields: quotes, CRLF, empty lines left out. Private to data; csv.h is the face. */
#ifndef FLOSIM_DATA_CSV_TABLE_H
#define FLOSIM_DATA_CSV_TABLE_H

#include <stdbool.h>

#include "util/diag.h"
#include "util/span.h"

enum { CSV_MAX_COLUMNS = 65536 };

struct csv_field {
    struct span text;
    int line, column; /* where it begins, from 1 */
};

struct csv_table {
    const char *path; /* borrowed */
    struct blob *text;
    struct csv_field *fields; /* [num_rows, num_columns] */
    size_t num_rows, num_columns, room;
    const struct csv_field *names; /* [num_columns] of the header, or NULL; rows count from behind it */
};

enum csv_header { CSV_HEADER_AUTO, CSV_HEADER_YES, CSV_HEADER_NO };

/* From text (takes a reference and may change the bytes: quotes go). `header` AUTO: the first row is one where none of
 * its fields is a number. Every row must have as many fields as the first. ERR_… with line and column in diags; finish
 * with csv_table_fini in any case. */
int csv_table_parse(struct csv_table *out, struct blob *text, const char *path, char separator, enum csv_header header,
                    struct diags *diags);
int csv_table_load(struct csv_table *out, const char *path, char separator, enum csv_header header,
                   struct diags *diags);
void csv_table_fini(struct csv_table *table);

static inline const struct csv_field *csv_field(const struct csv_table *table, size_t row, size_t column)
{
    return &table->fields[row * table->num_columns + column];
}

/* A column by its name, else by its number from 1; SIZE_MAX with a finding where there is none. */
size_t csv_column(const struct csv_table *table, const char *name, struct diags *diags);

/* A finite number; ERR_INVALID with line and column where it is missing or something else. */
int csv_number(const struct csv_table *table, size_t row, size_t column, float *out, struct diags *diags);

/* The same without a finding. */
bool csv_is_number(const struct csv_field *field, double *out);

#endif
