#include "report/html.h"

#include <math.h>
#include <string.h>

#include "codec/utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD"

static const char *entity(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\n':
    case '\t':
        return NULL;
    default:
        return c < 0x20 || c == 0x7f ? REPLACEMENT : NULL;
    }
}

/* Bytes of the sequence that begins here; 0: none does. */
static size_t sequence(const char *text)
{
    unsigned char c = (unsigned char)*text;
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;

    return n && strnlen(text, n) == n && utf8_is_valid(span_of(text, n)) ? n : 0;
}

void html_text(FILE *out, const char *text)
{
    while (text && *text) {
        size_t n = sequence(text);
        const char *instead = n == 1 ? entity((unsigned char)*text) : n ? NULL : REPLACEMENT;

        if (instead)
            fputs(instead, out);
        else
            fwrite(text, 1, n, out);
        text += n ? n : 1;
    }
}

const char *html_bytes(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;

    for (; fabs(bytes) >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1000;
    snprintf(text, 32, unit ? "%.3g %s" : "%.0f %s", bytes, units[unit]);
    return text;
}
