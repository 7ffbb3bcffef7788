#include "util/yaml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"
#include "util/yaml_tree.h"

/* Reading the tree. Building it is in yaml_build.c, changing it in yaml_set.c, JSON in yaml_json.c. */

static const struct node *node_of(struct yaml_node node)
{
    return node.doc ? &node.doc->nodes[node.index] : NULL;
}

static struct yaml_node none(void)
{
    return (struct yaml_node){NULL, 0};
}

struct yaml_doc *yaml_ref(struct yaml_doc *doc)
{
    if (doc)
        atomic_fetch_add_explicit(&doc->refs, 1, memory_order_relaxed);
    return doc;
}

void yaml_unref(struct yaml_doc *doc)
{
    if (!doc || atomic_fetch_sub_explicit(&doc->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < doc->num_nodes; i++) {
        free(doc->nodes[i].text);
        free(doc->nodes[i].children);
    }
    for (size_t i = 0; i < doc->num_files; i++)
        free(doc->files[i]);
    free(doc->files);
    free(doc->nodes);
    free(doc);
}

int yaml_load_file(const char *path, int flags, struct yaml_doc **out, struct diags *diags)
{
    struct error err = ERROR_INIT;
    struct blob *blob;
    int status = fs_read(path, YAML_MAX_SIZE, &blob, &err);

    *out = NULL;
    if (status) {
        diag_error(diags, (struct diag_place){NULL, 0, 0}, "%s", err.message); /* names the path */
        return status == ERR_TOO_LARGE ? ERR_INVALID : status == ERR_MEMORY ? ERR_MEMORY : ERR_NOT_FOUND;
    }
    struct span span = blob_span(blob);
    status = yaml_load_text(span.data, span.size, path, flags, out, diags);
    blob_unref(blob);
    return status;
}

struct yaml_node yaml_root(struct yaml_doc *doc)
{
    return doc ? (struct yaml_node){doc, 0} : none();
}

enum yaml_kind yaml_kind(struct yaml_node node)
{
    return node.doc ? node_of(node)->kind : YAML_NONE;
}

struct diag_place yaml_place(struct yaml_node node)
{
    const struct node *n = node_of(node);

    return n ? (struct diag_place){n->file, n->line, n->column} : (struct diag_place){NULL, 0, 0};
}

const char *yaml_text(struct yaml_node node)
{
    return yaml_kind(node) == YAML_SCALAR ? node_of(node)->text : NULL;
}

bool yaml_is_plain(struct yaml_node node)
{
    return yaml_kind(node) == YAML_SCALAR && node_of(node)->plain;
}

bool yaml_is_null(struct yaml_node node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", "None"};

    if (!yaml_is_plain(node))
        return yaml_text(node) && !strcmp(yaml_text(node), "None");
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (!strcmp(node_of(node)->text, nulls[i]))
            return true;
    return false;
}

/* A mapping's children are key, value, key, value … */
size_t yaml_size(struct yaml_node node)
{
    switch (yaml_kind(node)) {
    case YAML_SEQUENCE:
        return node_of(node)->num_children;
    case YAML_MAPPING:
        return node_of(node)->num_children / 2;
    default:
        return 0;
    }
}

static struct yaml_node child(struct yaml_node node, enum yaml_kind kind, size_t i)
{
    if (yaml_kind(node) != kind || i >= node_of(node)->num_children)
        return none();
    return (struct yaml_node){node.doc, node_of(node)->children[i]};
}

struct yaml_node yaml_item(struct yaml_node node, size_t i)
{
    return child(node, YAML_SEQUENCE, i);
}

struct yaml_node yaml_key(struct yaml_node node, size_t i)
{
    return child(node, YAML_MAPPING, 2 * i);
}

struct yaml_node yaml_value(struct yaml_node node, size_t i)
{
    return child(node, YAML_MAPPING, 2 * i + 1);
}

struct yaml_node yaml_get(struct yaml_node node, const char *key)
{
    for (size_t i = 0, n = yaml_kind(node) == YAML_MAPPING ? yaml_size(node) : 0; i < n; i++)
        if (!strcmp(yaml_text(yaml_key(node, i)), key))
            return yaml_value(node, i);
    return none();
}
