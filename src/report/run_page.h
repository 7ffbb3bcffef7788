/* report.html: what a run was, in one file that needs nothing else: no network, no script. It is made from the run
 * folder's files alone, and the same files give the same bytes. Blocking: not on a loop. */
#ifndef FLOSIM_REPORT_RUN_PAGE_H
#define FLOSIM_REPORT_RUN_PAGE_H

#include <stddef.h>

#include "util/error.h"

enum { REPORT_MAX_RUNS = 8 }; /* in one comparison: so many curves can be told apart */

/* The report of the run in `dir` to `path`; NULL: dir/report.html. What is damaged or missing is said in the page.
 * ERR_NOT_FOUND where the folder is none of a run; ERR_IO, ERR_MEMORY. */
int run_page_write(const char *dir, const char *path, struct error *err);

/* One page that compares 2 to REPORT_MAX_RUNS runs; differences are those from the first. Errors as above, and
 * ERR_INVALID for another number of runs. */
int run_page_compare(const char *const *dirs, size_t n, const char *path, struct error *err);

#endif
