/* `layers:` of model.yaml: from the document to a list of entries with whole names. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/network.h"
#include "util/params.h"

struct group { /* arguments of a block or a residual */
    struct yaml_node layers, shortcut;
    int64_t repeat; /* 0: not given */
};

// clang-format off
#define LAYERS_ROW {.name = "layers", .type = PARAM_NODE, .offset = offsetof(struct group, layers), .flags = PARAM_REQUIRED, \
     .help = "List of layers, blocks and residuals, as at the top."}
#define REPEAT_ROW {.name = "repeat", .type = PARAM_INT, .offset = offsetof(struct group, repeat), .min = 0, .max = MODEL_MAX_NODES, \
     .help = "So many in a row, each with parameters of its own: an unnamed one takes as many positions, a named one becomes name.0, name.1, ... 0: one, under the plain name."}

static const struct param block_rows[] = {LAYERS_ROW, REPEAT_ROW};
static const struct param residual_rows[] = {
    LAYERS_ROW,
    {.name = "shortcut", .type = PARAM_NODE, .offset = offsetof(struct group, shortcut),
     .help = "Layers of the way round; without it the input itself is added. Unnamed ones go on counting where `layers` ended."},
    REPEAT_ROW,
};
// clang-format on

const struct param_table model_block_table = {
    .name = "block",
    .help = "Layers in a row, as nn.Sequential: a tensor's name is the block's, then the layer's, joined with a dot; a "
            "layer without a name is called by its position.",
    .rows = block_rows,
    .num_rows = sizeof block_rows / sizeof *block_rows,
    .size = sizeof(struct group),
};

const struct param_table model_residual_table = {
    .name = "residual",
    .help = "The sum of what its layers and its shortcut make of the same input (He et al. 2016).",
    .rows = residual_rows,
    .num_rows = sizeof residual_rows / sizeof *residual_rows,
    .size = sizeof(struct group),
};

struct reader {
    struct entries *entries;
    struct diags *diags;
    int depth;
    bool full; /* too many nodes, or no memory: told, stop */
};

/* Where something stands in the tree of modules. */
struct parent {
    const char *prefix; /* "" or "layer1.0." */
    size_t position;    /* of the next entry */
};

static void read_list(struct reader *reader, const char *key, struct yaml_node list, struct parent *parent);

static struct entry *push(struct reader *reader, enum node_kind kind, const char *name, struct diag_place place)
{
    struct entries *entries = reader->entries;
    struct entry *grown;

    if (reader->full)
        return NULL;
    if (entries->n == MODEL_MAX_NODES) {
        diag_error(reader->diags, place, "a network has at most %d layers, repeated ones and residuals counted",
                   MODEL_MAX_NODES);
        reader->full = true;
        return NULL;
    }
    if (entries->n == entries->capacity) {
        size_t capacity = entries->capacity ? 2 * entries->capacity : 32;

        grown = realloc(entries->items, capacity * sizeof *grown);
        if (!grown) {
            diag_error(reader->diags, place, "out of memory");
            reader->full = true;
            return NULL;
        }
        entries->items = grown;
        entries->capacity = capacity;
    }
    grown = &entries->items[entries->n++];
    *grown = (struct entry){.kind = kind, .place = place};
    snprintf(grown->name, sizeof grown->name, "%s", name);
    return grown;
}

static void unknown_kind(struct yaml_node key, struct diags *diags)
{
    const char *names[MAX_WORDS_OF_A_KIND];
    char text[WORDS_TEXT];
    size_t n = 0;

    for (size_t i = 0; n < MAX_WORDS_OF_A_KIND - 2 && layer_kinds[i]; i++)
        names[n++] = layer_kinds[i]->name;
    names[n++] = model_block_table.name;
    names[n++] = model_residual_table.name;
    diag_error(diags, yaml_place(key), "%s", unknown_word("kind of layer", yaml_text(key), names, n, text));
}

/* A name goes into tensor names, which travel: letters, digits, '_', '-', and '.' as PyTorch nests modules. */
static bool is_layer_name(const char *name)
{
    if (!*name || strlen(name) >= LAYER_NAME_MAX)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_-.", *name))
            return false;
    return true;
}

static bool is_single_mapping(struct yaml_node node)
{
    return yaml_kind(node) == YAML_MAPPING && yaml_size(node) == 1 && yaml_text(yaml_key(node, 0));
}

static const struct param_table *group_table(const char *word)
{
    if (!strcmp(word, model_block_table.name))
        return &model_block_table;
    return strcmp(word, model_residual_table.name) ? NULL : &model_residual_table;
}

static bool is_kind(const char *word)
{
    return layer_kind_find(word) || group_table(word);
}

/* Stands where something could not be read, so that nothing behind it is held against shapes. Errors are told. */
static void unusable(struct reader *reader, struct diag_place place)
{
    push(reader, NODE_LAYER, "", place);
}

/* --- layers --- */

static void read_args(struct entry *entry, struct yaml_node node, struct diags *diags)
{
    const struct param_table *table = entry->ops->params;

    if (!table) {
        if (!yaml_is_null(node) && !(yaml_kind(node) == YAML_MAPPING && yaml_size(node) == 0)) {
            diag_error(diags, yaml_place(node), "%s takes no arguments: write `%s: {}`", entry->ops->name,
                       entry->ops->name);
            entry->broken = true;
        }
        return;
    }
    entry->args = calloc(1, table->size);
    if (!entry->args || params_read(table, node, entry->args, diags) != OK) {
        if (entry->args)
            params_free(table, entry->args);
        else
            diag_error(diags, entry->place, "out of memory");
        free(entry->args);
        entry->args = NULL;
        entry->broken = true;
    }
}

static void read_layer(struct reader *reader, const char *name, struct yaml_node key, struct yaml_node value,
                       struct diag_place place)
{
    struct entry *entry = push(reader, NODE_LAYER, name, place);

    if (!entry)
        return;
    entry->ops = layer_kind_find(yaml_text(key));
    if (entry->ops)
        read_args(entry, value, reader->diags);
    else
        unknown_kind(key, reader->diags);
}

/* --- blocks and residuals --- */

static bool is_empty(struct yaml_node node)
{
    return !node.doc || yaml_is_null(node) || (yaml_kind(node) != YAML_SCALAR && yaml_size(node) == 0);
}

static void read_one(struct reader *reader, const struct group *group, bool residual, const char *name,
                     struct diag_place place)
{
    char prefix[LAYER_NAME_MAX + 1];
    struct parent parent = {prefix, 0};

    snprintf(prefix, sizeof prefix, "%s.", name);
    if (residual)
        push(reader, NODE_FORK, name, place);
    read_list(reader, "layers", group->layers, &parent);
    if (!residual)
        return;
    push(reader, NODE_BRANCH, name, place);
    if (!is_empty(group->shortcut))
        read_list(reader, "shortcut", group->shortcut, &parent);
    push(reader, NODE_JOIN, name, place);
}

/* Joins the parent's prefix, a name, and (where index is not NONE) ".index". */
enum { NO_INDEX = -1 };
static bool join_name(struct reader *reader, const char *prefix, const char *own, long index, struct diag_place place,
                      char name[LAYER_NAME_MAX])
{
    int n = index == NO_INDEX ? snprintf(name, LAYER_NAME_MAX, "%s%s", prefix, own)
                              : snprintf(name, LAYER_NAME_MAX, "%s%s.%ld", prefix, own, index);

    if (n < LAYER_NAME_MAX)
        return true;
    diag_error(reader->diags, place, "the name %.60s... of a layer is longer than %d characters", name,
               LAYER_NAME_MAX - 1);
    unusable(reader, place);
    return false;
}

/* `own` NULL: named by its position. A mistake is told once, not by every repetition. */
static void repeat_group(struct reader *reader, const struct group *group, bool residual, const char *own,
                         struct parent *parent, struct diag_place place)
{
    size_t errors = diags_errors(reader->diags);
    long times = group->repeat > 0 ? (long)group->repeat : 1;
    char position[24], name[LAYER_NAME_MAX];

    for (long i = 0; i < times && !reader->full && diags_errors(reader->diags) == errors; i++) {
        snprintf(position, sizeof position, "%zu", parent->position + (size_t)i);
        if (join_name(reader, parent->prefix, own ? own : position, own && group->repeat > 0 ? i : NO_INDEX, place,
                      name))
            read_one(reader, group, residual, name, place);
    }
    parent->position += own ? 1 : (size_t)times;
}

static void read_group(struct reader *reader, const struct param_table *table, const char *own, struct yaml_node value,
                       struct parent *parent, struct diag_place place)
{
    struct group group;
    int status = params_read(table, value, &group, reader->diags);

    if (reader->depth == MODEL_MAX_DEPTH)
        diag_error(reader->diags, place, "blocks and residuals nest at most %d deep", MODEL_MAX_DEPTH);
    if (status != OK || reader->depth == MODEL_MAX_DEPTH)
        unusable(reader, place);
    if (group.layers.doc && reader->depth < MODEL_MAX_DEPTH) {
        reader->depth++;
        repeat_group(reader, &group, table == &model_residual_table, own, parent, place);
        reader->depth--;
    }
    params_free(table, &group);
}

/* --- both --- */

/* `{kind: args}`, or `name: {kind: args}`: the second where the only key of the value is a kind, or the key is none. */
static void read_entry(struct reader *reader, struct yaml_node node, struct parent *parent)
{
    struct diag_place place = yaml_place(node);
    struct yaml_node key, value;
    char position[24], name[LAYER_NAME_MAX];
    const char *own = NULL;

    snprintf(position, sizeof position, "%zu", parent->position);
    if (!is_single_mapping(node)) {
        diag_error(reader->diags, place, "a layer is written `{kind: {arguments}}` or `name: {kind: {arguments}}`");
        unusable(reader, place);
        return;
    }
    key = yaml_key(node, 0);
    value = yaml_value(node, 0);
    if (is_single_mapping(value) && (is_kind(yaml_text(yaml_key(value, 0))) || !is_kind(yaml_text(key)))) {
        own = yaml_text(key);
        if (!is_layer_name(own)) {
            diag_error(reader->diags, yaml_place(key), "a layer's name has 1 to %d letters, digits, `_`, `-` or `.`",
                       LAYER_NAME_MAX - 1);
            unusable(reader, place);
            return;
        }
        key = yaml_key(value, 0);
        value = yaml_value(value, 0);
    }
    if (group_table(yaml_text(key))) {
        read_group(reader, group_table(yaml_text(key)), own, value, parent, place);
        return;
    }
    if (join_name(reader, parent->prefix, own ? own : position, NO_INDEX, place, name))
        read_layer(reader, name, key, value, place);
    parent->position++;
}

static void read_list(struct reader *reader, const char *key, struct yaml_node list, struct parent *parent)
{
    size_t n = yaml_size(list);

    if (yaml_kind(list) != YAML_SEQUENCE || n == 0) {
        diag_error(reader->diags, yaml_place(list), "`%s` must be a list with at least one layer", key);
        unusable(reader, yaml_place(list));
        return;
    }
    for (size_t i = 0; i < n && !reader->full; i++)
        read_entry(reader, yaml_item(list, i), parent);
}

/* One name may stand for several layers where none of them has tensors. */
static void check_names(struct entries *entries, struct diags *diags)
{
    for (size_t i = 1; i < entries->n; i++) {
        struct entry *entry = &entries->items[i];

        for (size_t k = 0; k < i && entry->kind == NODE_LAYER && entry->ops; k++) {
            const struct entry *other = &entries->items[k];

            if (other->kind != NODE_LAYER || !other->ops || strcmp(other->name, entry->name) != 0 ||
                (!other->ops->init && !entry->ops->init))
                continue;
            diag_error(diags, entry->place, "`%s` is the name of two layers: %s and %s", entry->name, other->ops->name,
                       entry->ops->name);
            entry->broken = true;
            break;
        }
    }
}

int entries_read(struct yaml_node layers, struct entries *entries, struct diags *diags)
{
    struct reader reader = {.entries = entries, .diags = diags};
    struct parent top = {"", 0};
    size_t errors = diags_errors(diags);

    *entries = (struct entries){0};
    read_list(&reader, "layers", layers, &top);
    check_names(entries, diags);
    return diags_errors(diags) == errors ? OK : ERR_INVALID;
}

void entries_free(struct entries *entries)
{
    for (size_t i = 0; i < entries->n; i++) {
        if (entries->items[i].args)
            params_free(entries->items[i].ops->params, entries->items[i].args);
        free(entries->items[i].args);
    }
    free(entries->items);
    *entries = (struct entries){0};
}
