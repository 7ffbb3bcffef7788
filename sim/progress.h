/* What a person sees while a simulation runs: on a terminal a bar that stays at the bottom, elsewhere one line a round.
 */
#ifndef FLOSIM_SIM_PROGRESS_H
#define FLOSIM_SIM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/shared.h"

struct progress {
    FILE *out;
    bool quiet;    /* says nothing */
    bool terminal; /* draws a bar */
    bool bar_is_shown;
    int64_t num_rounds;
    uint32_t lines; /* rounds that have their line */
    uint64_t drawn_ns;
};

void progress_init(struct progress *progress, FILE *out, bool quiet, int64_t num_rounds);

/* One line, above the bar. */
void progress_say(struct progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same on standard error, and also with --quiet: look before trusting the result. */
void progress_warn(struct progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something happened: lines for rounds that ended, and the bar (at most every 50 ms). */
void progress_update(struct progress *progress, struct shared *shared);

/* Lines for what is left; the bar goes. */
void progress_end(struct progress *progress, struct shared *shared);

#endif
