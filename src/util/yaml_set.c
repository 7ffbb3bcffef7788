/* Command line overrides: a.b.c=value. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/yaml_tree.h"

struct setter {
    struct yaml_doc *doc;
    struct diag_place place; /* "--set a.b.c=value" */
    struct diags *diags;
};

static int out_of_memory(const struct setter *s)
{
    diag_error(s->diags, s->place, "out of memory");
    return ERR_MEMORY;
}

/* Copy a subtree of another document; its nodes get the option's place. Returns its number, or -1. */
static int graft(const struct setter *s, struct yaml_node from)
{
    const struct node *node = &from.doc->nodes[from.index];

    if (node->kind == YAML_SCALAR)
        return yaml_doc_add_scalar(s->doc, node->text, strlen(node->text), node->plain, s->place);
    int copy = yaml_doc_add_node(s->doc, node->kind, s->place);
    for (size_t i = 0; copy >= 0 && i < node->num_children; i++) {
        int child = graft(s, (struct yaml_node){from.doc, node->children[i]});
        if (child < 0 || yaml_doc_append(s->doc, copy, child))
            return -1;
    }
    return copy;
}

static int parse_value(const struct setter *s, const char *text, int *out)
{
    struct yaml_doc *value;
    struct diags *diags = diags_new();
    struct error err = ERROR_INIT;

    if (!diags)
        return out_of_memory(s);
    int status = yaml_load_text(text, strlen(text), "", 0, &value, diags);
    if (status) {
        diags_status(diags, &err);
        diag_error(s->diags, s->place, "the value is not YAML: %s", err.message);
    } else if ((*out = graft(s, yaml_root(value))) < 0) {
        status = out_of_memory(s);
    }
    yaml_unref(value);
    diags_free(diags);
    return status;
}

/* The slot of a mapping's key; a null becomes a mapping, a missing key is added with a null. */
static int mapping_slot(const struct setter *s, int parent, const char *key, size_t *slot)
{
    struct node *node = &s->doc->nodes[parent];

    for (size_t i = 0; i < node->num_children; i += 2) {
        if (strcmp(s->doc->nodes[node->children[i]].text, key))
            continue;
        *slot = i + 1;
        return OK;
    }
    int name = yaml_doc_add_scalar(s->doc, key, strlen(key), true, s->place);
    int value = yaml_doc_add_scalar(s->doc, "", 0, true, s->place);
    if (name < 0 || value < 0 || yaml_doc_append(s->doc, parent, name) || yaml_doc_append(s->doc, parent, value))
        return out_of_memory(s);
    *slot = s->doc->nodes[parent].num_children - 1;
    return OK;
}

static int sequence_slot(const struct setter *s, int parent, const char *key, size_t *slot)
{
    char *end;

    errno = 0;
    unsigned long i = strtoul(key, &end, 10);
    if (errno || *end || end == key || *key == '-' || i >= s->doc->nodes[parent].num_children) {
        diag_error(s->diags, s->place, "`%.80s` is not the number of an item; the list has items 0 to %zu", key,
                   s->doc->nodes[parent].num_children - 1);
        return ERR_INVALID;
    }
    *slot = i;
    return OK;
}

static int slot_of(const struct setter *s, int parent, const char *key, size_t *slot)
{
    struct yaml_node node = {s->doc, parent};

    if (yaml_is_null(node)) {
        free(s->doc->nodes[parent].text);
        s->doc->nodes[parent].text = NULL;
        s->doc->nodes[parent].kind = YAML_MAPPING;
    }
    switch (yaml_kind(node)) {
    case YAML_MAPPING:
        return mapping_slot(s, parent, key, slot);
    case YAML_SEQUENCE:
        if (yaml_size(node))
            return sequence_slot(s, parent, key, slot);
        diag_error(s->diags, s->place, "`%.80s` is not in an empty list", key);
        return ERR_INVALID;
    default:
        diag_error(s->diags, s->place, "`%.80s` cannot be set inside the single value `%.80s`", key, yaml_text(node));
        return ERR_INVALID;
    }
}

/* Walk the dotted path (which is cut up on the way) and put `value` at its end. */
static int put(const struct setter *s, char *path, int value)
{
    int at = 0;
    size_t slot = 0;

    for (char *key = path, *next; key; key = next) {
        next = strchr(key, '.');
        if (next)
            *next++ = '\0';
        if (!*key) {
            diag_error(s->diags, s->place, "a key on the path is empty");
            return ERR_INVALID;
        }
        int status = slot_of(s, at, key, &slot);
        if (status)
            return status;
        if (!next)
            s->doc->nodes[at].children[slot] = value;
        else
            at = s->doc->nodes[at].children[slot];
    }
    return OK;
}

static int set(struct setter *s, char *assignment)
{
    char *equals = strchr(assignment, '=');
    int value, status;

    if (!equals) {
        diag_error(s->diags, s->place, "expected KEY.KEY=VALUE");
        return ERR_INVALID;
    }
    *equals = '\0';
    status = parse_value(s, equals + 1, &value);
    return status ? status : put(s, assignment, value);
}

int yaml_set(struct yaml_doc *doc, const char *assignment, struct diags *diags)
{
    struct setter s = {doc, {assignment, 0, 0}, diags};
    char *name = NULL, *copy = strdup(assignment);
    int status;

    if (!copy || asprintf(&name, "--set %s", assignment) < 0) {
        free(copy);
        return out_of_memory(&s);
    }
    s.place.file = yaml_doc_add_file(doc, name);
    status = s.place.file ? set(&s, copy) : out_of_memory(&s);
    free(name);
    free(copy);
    return status;
}
