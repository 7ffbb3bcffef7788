/* The inside of a YAML document, shared by the files yaml*.c only: an array of nodes that name their children by
 * number; node 0 is the root. */
#ifndef FLOSIM_UTIL_YAML_TREE_H
#define FLOSIM_UTIL_YAML_TREE_H

#include <stdatomic.h>

#include "util/yaml.h"

enum { YAML_MAX_SIZE = 16 << 20, YAML_MAX_DEPTH = 64, YAML_MAX_NODES = 200000 };

struct node {
    enum yaml_kind kind;
    bool plain;    /* a scalar without quotes or a tag that makes it text */
    char *text;    /* a scalar's, owned */
    int *children; /* items, or key and value in turn; owned */
    size_t num_children, capacity;
    const char *file; /* one of the document's `files` */
    int line, column;
};

struct yaml_doc {
    atomic_int refs;
    struct node *nodes;
    int num_nodes, capacity;
    char **files; /* names that places borrow: the file's, then one for each --set */
    size_t num_files;
};

/* An empty document with one reference; NULL when out of memory. */
struct yaml_doc *yaml_doc_new(void);

/* Keep a copy of a name for places; NULL when out of memory. */
const char *yaml_doc_add_file(struct yaml_doc *doc, const char *name);

/* A new node at a place, without parent: its number, or -1 when out of memory. Moves the array of nodes. */
int yaml_doc_add_node(struct yaml_doc *doc, enum yaml_kind kind, struct diag_place place);

/* A new scalar with a copy of the text. */
int yaml_doc_add_scalar(struct yaml_doc *doc, const char *text, size_t length, bool plain, struct diag_place place);

/* Append a child; ERR_MEMORY. */
int yaml_doc_append(struct yaml_doc *doc, int parent, int child);

#endif
