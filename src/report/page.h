/* The parts of a page; used by the report of a run and by the comparison. */
#ifndef FLOSIM_REPORT_PAGE_H
#define FLOSIM_REPORT_PAGE_H

#include <stdio.h>

#include "report/run_record.h"

extern const char *const page_style[]; /* its parts; NULL in the end */

void page_begin(FILE *out, const char *title);
void page_end(FILE *out);
void page_section(FILE *out, const char *title);

/* A row's cell: text is escaped; class NULL: none. */
void page_cell(FILE *out, const char *tag, const char *class, const char *text);

/* The pictures of figures by round and by time. ERR_MEMORY. */
int page_curves(FILE *out, const struct run_record *records, size_t n, const char *const *labels);
int page_round_time(FILE *out, const struct run_record *record);
int page_bytes(FILE *out, const struct run_record *record);

/* Tables. */
void page_notes(FILE *out, const struct run_record *record);
void page_expectations(FILE *out, const struct run_record *record);
void page_ledger(FILE *out, const struct run_record *record);
void page_faults(FILE *out, const struct run_record *record);
void page_figures(FILE *out, const struct run_record *record);
void page_rounds(FILE *out, const struct run_record *record);
void page_clients(FILE *out, const struct run_record *record);
void page_settings(FILE *out, const struct run_record *record);

#endif
