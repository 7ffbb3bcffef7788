/* Diagnostics: everything that is wrong with an input file, collected, sorted by place and shown together.
 * What is found twice is told once. Each is one line: `file:line:column: message` (errors) or `file:line:column: warning: message`.
 * Not thread safe; one struct per check. */
#ifndef FLOSIM_UTIL_DIAG_H
#define FLOSIM_UTIL_DIAG_H

#include <stddef.h>
#include <stdio.h>

#include "util/error.h"

struct diag_place {
    const char *file; /* borrowed; or the name of an option such as "--set a.b=c"; NULL: no place */
    int line, column; /* from 1; 0: no position */
};

struct diags; /* opaque */

struct diags *diags_new(void); /* NULL when out of memory */
void diags_free(struct diags *diags);

void diag_error(struct diags *diags, struct diag_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diag_warning(struct diags *diags, struct diag_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

size_t diags_errors(const struct diags *diags);
size_t diags_warnings(const struct diags *diags);

/* Print all, one a line, in file order. */
void diags_print(const struct diags *diags, FILE *out);

/* All messages joined by '\n' in a new string (for REST answers and errors); caller frees; NULL when out of memory. */
char *diags_text(const struct diags *diags);

/* OK where there is no error; else ERR_INVALID with the first message (and how many more there are) in err. */
int diags_status(const struct diags *diags, struct error *err);

#endif
