#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/event_log.h"
#include "util/fs.h"

static char path[64];

static void make_path(void)
{
    strcpy(path, "/tmp/flosim-test-events-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void remove_path(void)
{
    unlink(path);
}

TestSuite(event_log, .init = make_path, .fini = remove_path);

static uint64_t fixed_ns(const struct clock *clock)
{
    (void)clock;
    return 5500000000u;
}

static char *content(void)
{
    struct blob *blob;

    cr_assert_eq(fs_read(path, 1 << 24, &blob, NULL), OK);
    char *text = strndup(blob_bytes(blob), blob_size(blob));
    blob_unref(blob);
    return text;
}

Test(event_log, one_object_a_line_with_time_since_the_origin)
{
    const struct clock clock = {.now_ns = fixed_ns};
    struct event_log log;

    cr_assert_eq(event_log_open(&log, path, &clock, NULL), OK);
    log.origin_ns = 4250000000u;
    event_log_write(&log, "round", json_pack("{s:i}", "n", 3));
    event_log_write(&log, "end", NULL);
    event_log_close(&log);
    event_log_write(&log, "late", json_object()); /* closed: dropped, and the fields are freed */
    event_log_write(NULL, "nobody", json_object());
    char *text = content();
    cr_expect_str_eq(text, "{\"t\":1.25,\"event\":\"round\",\"n\":3}\n{\"t\":1.25,\"event\":\"end\"}\n");
    free(text);
}

Test(event_log, a_folder_that_is_not_there_is_an_error)
{
    struct event_log log;
    struct error err = ERROR_INIT;

    cr_expect_eq(event_log_open(&log, "/nonexistent/e.jsonl", &clock_system, &err), ERR_IO);
    cr_expect_eq(log.fd, -1);
    cr_expect_not_null(strstr(err.message, "/nonexistent/e.jsonl"));
}

static void write_many(int who)
{
    struct event_log log;
    char filler[2000];

    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    if (event_log_open(&log, path, &clock_system, NULL))
        _exit(1);
    for (int i = 0; i < 200; i++)
        event_log_write(&log, "e", json_pack("{s:i, s:s}", "who", who, "filler", filler));
    _exit(0);
}

Test(event_log, lines_of_several_processes_never_mix)
{
    for (int who = 0; who < 4; who++)
        if (fork() == 0)
            write_many(who);
    for (int i = 0; i < 4; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        cr_assert_eq(status, 0);
    }
    char *text = content(), *rest = text;
    int lines = 0;
    for (char *line; (line = strsep(&rest, "\n")) && *line; lines++) {
        json_t *event = json_loads(line, 0, NULL);
        cr_assert_not_null(event, "not one object: %.100s", line);
        json_decref(event);
    }
    cr_expect_eq(lines, 800);
    free(text);
}
