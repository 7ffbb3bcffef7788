#include "util/yaml_tree.h"

#include <stdlib.h>
#include <string.h>

struct yaml_doc *yaml_doc_new(void)
{
    struct yaml_doc *doc = calloc(1, sizeof *doc);

    if (doc)
        atomic_init(&doc->refs, 1);
    return doc;
}

const char *yaml_doc_add_file(struct yaml_doc *doc, const char *name)
{
    char **files = realloc(doc->files, (doc->num_files + 1) * sizeof *files);

    if (!files)
        return NULL;
    doc->files = files;
    files[doc->num_files] = strdup(name);
    return files[doc->num_files] ? files[doc->num_files++] : NULL;
}

int yaml_doc_add_node(struct yaml_doc *doc, enum yaml_kind kind, struct diag_place place)
{
    if (doc->num_nodes == doc->capacity) {
        int capacity = doc->capacity ? 2 * doc->capacity : 64;
        struct node *nodes = realloc(doc->nodes, (size_t)capacity * sizeof *nodes);
        if (!nodes)
            return -1;
        doc->nodes = nodes;
        doc->capacity = capacity;
    }
    doc->nodes[doc->num_nodes] =
        (struct node){.kind = kind, .file = place.file, .line = place.line, .column = place.column};
    return doc->num_nodes++;
}

int yaml_doc_add_scalar(struct yaml_doc *doc, const char *text, size_t length, bool plain, struct diag_place place)
{
    char *copy = strndup(text, length);
    int index = copy ? yaml_doc_add_node(doc, YAML_SCALAR, place) : -1;

    if (index < 0) {
        free(copy);
        return -1;
    }
    doc->nodes[index].text = copy;
    doc->nodes[index].plain = plain;
    return index;
}

int yaml_doc_append(struct yaml_doc *doc, int parent, int child)
{
    struct node *node = &doc->nodes[parent];

    if (node->num_children == node->capacity) {
        size_t capacity = node->capacity ? 2 * node->capacity : 4;
        int *children = realloc(node->children, capacity * sizeof *children);
        if (!children)
            return ERR_MEMORY;
        node->children = children;
        node->capacity = capacity;
    }
    node->children[node->num_children++] = child;
    return OK;
}
