/* Log lines: `time level role/id component message key=value`.
 * A struct log is one process' or one role's sink; it is passed, never global, so that several roles can live in one
 * process. Any thread may write: a line is one write(2). NULL as log drops the line. */
#ifndef FLOSIM_UTIL_LOG_H
#define FLOSIM_UTIL_LOG_H

#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    int fd;               /* where lines go; borrowed */
    enum log_level level; /* what is more detailed than this is dropped */
    char who[80];         /* role/id */
};

/* Fills `log`; `id` may be NULL. */
void log_init(struct log *log, int fd, enum log_level level, const char *role, const char *id);

/* ERROR: this process ends non-zero. WARN: look before trusting the result. INFO: once per round. DEBUG: the rest. */
void log_write(const struct log *log, enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "error" | "warn" | "info" | "debug" -> level; -1 for another word. */
int log_level_parse(const char *name);

#endif
