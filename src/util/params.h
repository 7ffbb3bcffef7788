/* Parameter tables: one row per key drives parsing, checking, help, the reference pages and writing back.
 * A table describes a C struct; reading a YAML mapping with it fills the struct (defaults first), reports every unknown
 * key, wrong type and value out of range to `diags`, and leaves a struct that params_free can take in any case. */
#ifndef FLOSIM_UTIL_PARAMS_H
#define FLOSIM_UTIL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/words.h"
#include "util/yaml.h"

enum param_type {
    PARAM_BOOL,     /* bool: true/false, yes/no, True/False */
    PARAM_INT,      /* int64_t */
    PARAM_DOUBLE,   /* double */
    PARAM_STRING,   /* char *, owned; NULL where the value is null and there is no default */
    PARAM_DURATION, /* double seconds: 12s, 50ms, 2min, 1h; a bare number is seconds */
    PARAM_BYTES,    /* int64_t bytes: 2MiB, 10kB; a bare number is bytes */
    PARAM_RATE,     /* double bytes per second: 20Mbit, 1MB/s; 0 = no limit; another number needs its unit */
    PARAM_FRACTION, /* double in 0..1: 0.3 or 30% */
    PARAM_CHOICE,   /* int: index into `choices` */
    PARAM_STRINGS,  /* struct string_list; a single scalar counts as a list of one */
    PARAM_INTS,     /* struct int_list; a single number counts as a list of one */
    PARAM_DOUBLES,  /* struct double_list; a single number counts as a list of one */
    PARAM_SECTION,  /* a nested struct of its own `table` at `offset` */
    PARAM_LIST,     /* struct param_list of structs of `table` (a YAML sequence of mappings) */
    PARAM_NODE, /* struct yaml_node with its own reference to the document, for arguments that a later table reads */
};

struct string_list {
    char **items;
    size_t n;
};

struct int_list {
    int64_t *items;
    size_t n;
};

struct double_list {
    double *items;
    size_t n;
};

struct param_list {
    void *items;               /* n structs of the row's table */
    struct diag_place *places; /* where each began; `file` borrowed from the document */
    size_t n;
};

enum param_flags {
    PARAM_REQUIRED = 1, /* absent is an error; without it and without a `fallback` the value is zero / NULL */
    PARAM_NO_EFFECT =
        2,          /* a known key of Flotilla that does nothing here: setting it to anything but its default warns */
    PARAM_OURS = 4, /* not a key of Flotilla 1.0; shown as such in the reference */
    PARAM_NOT_YET = 8, /* what `help` says is still to come: the same warning, "in this version" */
    PARAM_FILE = 16,   /* names files or folders: a scenario looks for them beside itself first */
};

/* Limits for `min` and `max`: an open end, and "more than zero". */
#define PARAM_NO_LIMIT 1e300
#define PARAM_ABOVE_0  1e-300

struct param_table;

struct param {
    const char *name;
    const char *alias; /* another accepted spelling, or NULL */
    enum param_type type;
    size_t offset;
    const char *fallback; /* the default, as one would write it in YAML */
    double min, max; /* closed range of a number or of a list's items; both 0: any; see PARAM_NO_LIMIT, PARAM_ABOVE_0 */
    const char *const *choices;      /* PARAM_CHOICE: NULL-terminated */
    const struct param_table *table; /* PARAM_SECTION, PARAM_LIST */
    unsigned flags;
    const char *help; /* one sentence */
};

struct param_table {
    const char *name; /* shown in help: "leader", "session", "fault kill" */
    const char *help; /* one or two sentences, or NULL */
    const struct param *rows;
    size_t num_rows;
    size_t size; /* of the struct */
};

/* Fill *out (size table->size; whatever it held is overwritten) from a mapping. A `node` of no kind or a null means
 * all defaults. Errors go to diags; returns OK or ERR_INVALID. */
int params_read(const struct param_table *table, struct yaml_node node, void *out, struct diags *diags);

/* The same from nothing: all defaults. Required rows stay empty. */
void params_defaults(const struct param_table *table, void *out);

/* Free what the struct owns and zero it. */
void params_free(const struct param_table *table, void *out);

/* Deep copy; returns OK or ERR_MEMORY (then *to is empty). */
int params_copy(const struct param_table *table, const void *from, void *to);

/* Write back as YAML, every key with its value, `indent` spaces deep; reading it again gives the same struct. Keys with
 * PARAM_NO_EFFECT or PARAM_NOT_YET and nodes that are absent are left out. */
void params_write(const struct param_table *table, const void *values, int indent, FILE *out);

/* Help text: name, type, range, default, sentence; nested tables indented. */
void params_help(const struct param_table *table, int indent, FILE *out);

/* The same as a Markdown table, for the reference page; keys of ours bear a star. */
void params_markdown(const struct param_table *table, FILE *out);

/* Convert one scalar by type and range; used by rows and by expressions ("wall_s < 2min"). 0 or ERR_INVALID with a
 * message that says what is expected (without a place). `out` points to the C type of `type`. */
int param_parse_scalar(enum param_type type, const char *text, void *out, struct error *err);

#endif
