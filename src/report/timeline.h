/* The picture of who did what when: a row a client (and one for each of leader, broker, redis that was struck). */
#ifndef FLOSIM_REPORT_TIMELINE_H
#define FLOSIM_REPORT_TIMELINE_H

#include <stdio.h>

#include "report/run_record.h"

enum { TIMELINE_ROWS = 60 };

/* A <figure>. Of more than TIMELINE_ROWS clients those with the most faults, failures and refusals are shown, and the
 * caption says so. What would lie on one pixel is drawn once, so the size is bounded by rows and width. ERR_MEMORY. */
int timeline_write(FILE *out, const struct run_record *record);

#endif
