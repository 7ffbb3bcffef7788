#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
static const char *const level_words[] = {"error", "warn", "info", "debug"};

void log_init(struct log *log, int fd, enum log_level level, const char *role, const char *id)
{
    log->fd = fd;
    log->level = level;
    snprintf(log->who, sizeof log->who, id ? "%s/%s" : "%s", role, id);
}

int log_level_parse(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, level_words[i]))
            return i;
    return -1;
}

static size_t put_prefix(char *line, size_t size, const struct log *log, enum log_level level, const char *component)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(line, size, "%s.%03ldZ %-5s %s %s ", stamp, now.tv_nsec / 1000000, level_names[level], log->who,
                     component);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

void log_write(const struct log *log, enum log_level level, const char *component, const char *format, ...)
{
    char line[1536];
    va_list args;

    if (!log || level > log->level)
        return;
    size_t used = put_prefix(line, sizeof line - 1, log, level, component);
    va_start(args, format);
    int n = vsnprintf(line + used, sizeof line - 1 - used, format, args);
    va_end(args);
    if (n > 0)
        used = used + (size_t)n < sizeof line - 1 ? used + (size_t)n : sizeof line - 2;
    line[used++] = '\n';
    /* A full disk or a closed pipe must not stop the role: a log line is the one thing that may be lost. */
    if (write(log->fd, line, used) < 0)
        return;
}
