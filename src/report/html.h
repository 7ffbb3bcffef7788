/* What every part of a page is written with. Text that comes from a file or a client goes through html_text, wherever
 * it stands: between tags, in an attribute, in an SVG. */
#ifndef FLOSIM_REPORT_HTML_H
#define FLOSIM_REPORT_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Escapes & < > " ' ; control characters and bytes that are no UTF-8 become U+FFFD (a line end and a tab stay). */
void html_text(FILE *out, const char *text);

/* 1234567 B -> "1.23 MB". Fills text. */
const char *html_bytes(double bytes, char text[32]);

#endif
