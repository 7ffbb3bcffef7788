/* An error: code, our own file and line, and one sentence for a person.
 * A fallible function returns a status (0 = OK) and takes a last `struct error *err`, which may be NULL.
 * A failure is returned or logged, never both. Plain data; any thread may use its own. */
#ifndef FLOSIM_UTIL_ERROR_H
#define FLOSIM_UTIL_ERROR_H

#include "util/status.h"

struct error {
    int status;
    int line;
    const char *file;
    char message[640];
};

#define ERROR_INIT {0, 0, 0, {0}}

/* Record a failure and return `status`, so that callers write `return FAIL(err, ERR_IO, "cannot read %s", path)`. */
#define FAIL(err, status, ...) error_set((err), (status), __FILE__, __LINE__, __VA_ARGS__)

int error_set(struct error *err, int status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Put context before the message: "cannot load data: " + "x.gz: unexpected end of file". Returns err's status, or
 * `status` where err is NULL. */
int error_context(struct error *err, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
