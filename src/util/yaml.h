/* YAML (and JSON, its subset) as a tree with positions, built from libyaml's events (yaml_build.c).
 * A document is immutable and reference counted; nodes are small values that keep no reference of their own.
 * Bounds: 16 MiB of text, 64 levels, 200,000 nodes; aliases are refused. A duplicate key is an error. Several
 * documents in a file are an error. */
#ifndef FLOSIM_UTIL_YAML_H
#define FLOSIM_UTIL_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "util/diag.h"

struct yaml_doc;

struct yaml_node {
    struct yaml_doc *doc; /* borrowed; NULL: no node */
    int index;            /* libyaml's node number */
};

enum yaml_kind { YAML_NONE, YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

enum yaml_flags {
    YAML_EXPAND_ENV = 1, /* replace ${NAME} in scalars (local files only); an unset variable is an error */
    YAML_GO_ON = 2,      /* a document with nothing worse than keys given twice (the first counts) is handed out all
                            the same, with ERR_INVALID: for whoever looks for more to tell */
};

/* Parse a file, or text that is called `name` in messages. On failure everything wrong is in `diags`, *out is NULL and
 * ERR_INVALID is returned (ERR_NOT_FOUND where the file cannot be read). */
int yaml_load_file(const char *path, int flags, struct yaml_doc **out, struct diags *diags);
int yaml_load_text(const char *text, size_t size, const char *name, int flags, struct yaml_doc **out,
                   struct diags *diags);
struct yaml_doc *yaml_ref(struct yaml_doc *doc);
void yaml_unref(struct yaml_doc *doc); /* NULL is legal */

struct yaml_node yaml_root(struct yaml_doc *doc);
enum yaml_kind yaml_kind(struct yaml_node node);
struct diag_place yaml_place(struct yaml_node node);

/* A scalar's text (borrowed from the document), or NULL. yaml_is_plain: not quoted, so `12` is a number, "12" a text.
 * null, ~, None and an empty plain scalar are nulls; so is a quoted "None", for Flotilla reads None from YAML as text
 * and posts it as such. */
const char *yaml_text(struct yaml_node node);
bool yaml_is_plain(struct yaml_node node);
bool yaml_is_null(struct yaml_node node);

/* Sequences and mappings. */
size_t yaml_size(struct yaml_node node);
struct yaml_node yaml_item(struct yaml_node node, size_t i);
struct yaml_node yaml_key(struct yaml_node node, size_t i);
struct yaml_node yaml_value(struct yaml_node node, size_t i);
struct yaml_node yaml_get(struct yaml_node node, const char *key); /* node.doc == NULL where there is none */

/* Command line override `a.b.c=value`: the same document with that value set (mappings on the way are made). The new
 * node's place is the option's text. `assignment` is copied. */
int yaml_set(struct yaml_doc *doc, const char *assignment, struct diags *diags);

/* The subtree as compact JSON in a new string (plain scalars become numbers, booleans, null by their look). NULL when
 * out of memory. */
char *yaml_to_json(struct yaml_node node);

#endif
