#include "util/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int event_log_open(struct event_log *log, const char *path, const struct clock *clock, struct error *err)
{
    *log = (struct event_log){-1, clock_now_ns(clock), clock};
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0)
        return FAIL(err, ERR_IO, "cannot open event log %s: %s", path, strerror(errno));
    return OK;
}

void event_log_close(struct event_log *log)
{
    if (log && log->fd >= 0) {
        close(log->fd);
        log->fd = -1;
    }
}

/* Times are cut to microseconds: more digits would be noise. */
static json_t *new_event(const struct event_log *log, const char *name)
{
    uint64_t elapsed_us = (clock_now_ns(log->clock) - log->origin_ns) / 1000;

    return json_pack("{s:f, s:s}", "t", (double)elapsed_us * 1e-6, "event", name);
}

/* One write(2) a line: appended lines of several processes never mix. A full disk must not stop the run, and there is
 * nobody to tell, so what cannot be written is lost. */
static void write_line(int fd, json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(10));

    if (!text)
        return;
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL: write needs none */
    ssize_t n;
    do
        n = write(fd, text, length + 1);
    while (n < 0 && errno == EINTR);
    free(text);
}

void event_log_write(struct event_log *log, const char *name, json_t *fields)
{
    if (log && log->fd >= 0) {
        json_t *event = new_event(log, name);
        if (event && (!fields || !json_object_update(event, fields)))
            write_line(log->fd, event);
        json_decref(event);
    }
    json_decref(fields);
}
