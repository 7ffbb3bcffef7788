/* Texts on their way into a YAML document and out of it; for the files of this room that read and write YAML. */
#ifndef FLOSIM_UTIL_YAML_TEXT_H
#define FLOSIM_UTIL_YAML_TEXT_H

#include "util/diag.h"

/* Replace every ${NAME} by the environment's value, in a new string. An unset variable is an error at `place`. */
int yaml_expand_env(const char *text, struct diag_place place, char **out, struct diags *diags);

/* JSON writes characters beyond the basic plane as two escapes (\ud83d\ude00), which YAML does not know. In text that
 * is JSON by its look, make one of them (\U0001f600): *text and *size then point to *joined, which the caller frees. */
int yaml_join_surrogates(const char **text, size_t *size, char **joined);

/* A text in double quotes that YAML and JSON both read as the same text. */
void yaml_write_quoted(const char *text, FILE *out);

#endif
