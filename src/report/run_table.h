/* A small CSV file of a run folder in memory: a header, rows of cells; quoted cells may hold commas and doubled
 * quotes. */
#ifndef FLOSIM_REPORT_RUN_TABLE_H
#define FLOSIM_REPORT_RUN_TABLE_H

#include <stddef.h>

#include "util/error.h"

struct run_table {
    char *text; /* the cells lie in it */
    const char **cells;
    size_t num_columns, num_rows; /* the header is no row */
    size_t num_damaged;           /* lines with another number of cells: left out */
};

/* ERR_NOT_FOUND, ERR_TOO_LARGE (64 MiB), ERR_IO, ERR_MEMORY; ERR_CORRUPT without a header. On failure out is zeros. */
int run_table_read(const char *path, struct run_table *out, struct error *err);
void run_table_fini(struct run_table *table);

const char *run_table_column(const struct run_table *table, size_t column);
const char *run_table_cell(const struct run_table *table, size_t row, size_t column);

/* Its number in that row; NAN: no such column, an empty cell, nothing finite. */
double run_table_number(const struct run_table *table, size_t row, const char *column);

/* "" where there is no such column. */
const char *run_table_text(const struct run_table *table, size_t row, const char *column);

#endif
