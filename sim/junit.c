#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/expect.h"
#include "util/fs.h"

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default: /* XML 1.0 has no way to write control characters */
            fputc((unsigned char)*text < 0x20 ? ' ' : *text, out);
        }
}

static void put_case(FILE *out, const char *suite, const struct verdict *verdict)
{
    char text[256];

    verdict_text(verdict, text, sizeof text);
    fputs("  <testcase classname=\"", out);
    put_escaped(out, suite);
    fputs("\" name=\"", out);
    put_escaped(out, verdict->expectation->text);
    fputs(verdict->held ? "\"/>\n" : "\">\n    <failure message=\"", out);
    if (verdict->held)
        return;
    put_escaped(out, text);
    fputs("\"/>\n  </testcase>\n", out);
}

static void put_run_case(FILE *out, const char *suite, const struct error *run)
{
    fputs("  <testcase classname=\"", out);
    put_escaped(out, suite);
    fputs("\" name=\"the run goes to its end\">\n    <error message=\"", out);
    put_escaped(out, run->message);
    fputs("\"/>\n  </testcase>\n", out);
}

static void put_suite(FILE *out, const char *suite, const struct verdict *verdicts, size_t n, const struct error *run,
                      double wall_s)
{
    size_t failures = 0;
    int errors = run && run->status != OK;

    for (size_t i = 0; i < n; i++)
        failures += !verdicts[i].held;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"", out);
    put_escaped(out, suite);
    fprintf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%d\" time=\"%.3f\">\n", n + (size_t)errors, failures,
            errors, isnan(wall_s) ? 0.0 : wall_s);
    for (size_t i = 0; i < n; i++)
        put_case(out, suite, &verdicts[i]);
    if (errors)
        put_run_case(out, suite, run);
    fputs("</testsuite>\n", out);
}

int junit_write(const char *path, const char *suite, const struct verdict *verdicts, size_t n, const struct error *run,
                double wall_s, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return FAIL(err, ERR_MEMORY, "out of memory");
    put_suite(out, suite, verdicts, n, run, wall_s);
    if (fclose(out)) {
        free(text);
        return FAIL(err, ERR_MEMORY, "out of memory");
    }
    struct span whole = span_of(text, size);
    int status = fs_write_atomic(path, &whole, 1, err);
    free(text);
    return status;
}
