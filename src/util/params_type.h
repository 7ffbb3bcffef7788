/* What the files params*.c share: types of parameters, their ranges and texts. */
#ifndef FLOSIM_UTIL_PARAMS_TYPE_H
#define FLOSIM_UTIL_PARAMS_TYPE_H

#include "util/params.h"

enum { PARAM_NUMBER_TEXT = 48, PARAM_RANGE_TEXT = 128 };

/* "an integer", "a duration such as …": what a message says was expected. */
const char *param_type_expected(enum param_type type);

/* The shortest text that strtod reads as the same number. */
void param_format_number(double value, char text[PARAM_NUMBER_TEXT]);

/* "between 1 and 65535", "at least 1", "above 0"; false where any number will do. */
bool param_range_text(const struct param *row, char text[PARAM_RANGE_TEXT]);
bool param_in_range(const struct param *row, double value);

/* Where keys of this kind have no effect: "in flosim", "in this version"; NULL for a key that has one. */
static inline const char *param_without_effect(const struct param *row)
{
    return row->flags & PARAM_NO_EFFECT ? "in flosim" : row->flags & PARAM_NOT_YET ? "in this version" : NULL;
}

/* The place of a row's value inside the struct. */
static inline void *param_at(const struct param *row, void *base)
{
    return (char *)base + row->offset;
}

static inline const void *param_at_const(const struct param *row, const void *base)
{
    return (const char *)base + row->offset;
}

/* Write one row's value as YAML, as it stands behind its key (sections and lists with their own lines). */
void param_write_value(const struct param *row, const void *value, int indent, FILE *out);

#endif
