#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

static char *logged(enum log_level level, void (*write_lines)(const struct log *log))
{
    struct log log;
    int ends[2];
    char *text = calloc(1, 8192);

    cr_assert_not_null(text);
    cr_assert_eq(pipe(ends), 0);
    log_init(&log, ends[1], level, "worker", "7");
    write_lines(&log);
    close(ends[1]);
    for (ssize_t n, used = 0; (n = read(ends[0], text + used, 8191 - (size_t)used)) > 0;)
        used += n;
    close(ends[0]);
    return text;
}

static void some_lines(const struct log *log)
{
    log_write(log, LOG_INFO, "net", "hello key=%d", 3);
    log_write(log, LOG_DEBUG, "net", "too detailed");
    log_write(NULL, LOG_ERROR, "net", "nobody");
}

Test(log, lines_say_when_how_bad_who_and_what)
{
    char *text = logged(LOG_INFO, some_lines);

    cr_assert_gt(strlen(text), 25);
    cr_expect_eq(text[4], '-');
    cr_expect_eq(text[10], 'T');
    cr_expect_eq(text[23], 'Z');
    cr_expect_str_eq(text + 25, "INFO  worker/7 net hello key=3\n");
    free(text);
}

static void a_long_line(const struct log *log)
{
    char filler[4000];

    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    log_write(log, LOG_WARN, "net", "%s", filler);
    log_write(log, LOG_WARN, "net", "next");
}

Test(log, a_long_line_is_cut_and_still_ends)
{
    char *text = logged(LOG_DEBUG, a_long_line);
    char *end = strchr(text, '\n');

    cr_assert_not_null(end);
    cr_expect_lt(end - text, 1600);
    cr_expect_not_null(strstr(end, "next\n"));
    free(text);
}

Test(log, level_words)
{
    cr_expect_eq(log_level_parse("error"), LOG_ERROR);
    cr_expect_eq(log_level_parse("debug"), LOG_DEBUG);
    cr_expect_eq(log_level_parse("DEBUG"), -1);
}
