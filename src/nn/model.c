#include "nn/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/loss.h"
#include "nn/network.h"
#include "util/fs.h"
#include "util/params.h"

enum { MAX_TEXT = 1 << 20 };

struct description { /* the top level of model.yaml */
    struct yaml_node input, args, layers;
};

// clang-format off
static const struct param rows[] = {
    {.name = "input", .type = PARAM_NODE, .offset = offsetof(struct description, input), .flags = PARAM_REQUIRED,
     .help = "Shape of one sample: [C, H, W], [T, D] or [D]; or `tokens: {length: T, vocabulary: V}` for text."},
    {.name = "args", .type = PARAM_NODE, .offset = offsetof(struct description, args),
     .help = "Defaults of the model_args that stand in the file as $(name)."},
    {.name = "layers", .type = PARAM_NODE, .offset = offsetof(struct description, layers), .flags = PARAM_REQUIRED,
     .help = "List of `{kind: {arguments}}` or `name: {kind: {arguments}}`; a kind is a layer's, or block or residual."},
};
// clang-format on

static const struct param_table description_table = {
    .name = "model",
    .help = "A network: shapes are inferred from layer to layer.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct description),
};

/* --- connecting --- */

/* A residual that is not yet joined. */
struct open {
    size_t fork;
    struct shape in, body;         /* of the fork's input; of what the layers gave */
    bool in_trained, body_trained; /* something on the way to it is trained */
    bool in_known, body_known;
};

struct connector {
    struct model *model;
    struct layer_builder builder;
    struct shape shape; /* of the current activation */
    bool trained;       /* something on its way is trained */
    bool known;         /* the shape is; what stands behind a broken layer is not looked at */
    struct open open[MODEL_MAX_DEPTH];
    int depth;
};

static int connect_layer(struct connector *c, struct entry *entry, struct node *node)
{
    void *args = entry->args;
    bool known = c->known;
    int status;

    c->known = false;
    if (!entry->ops || entry->broken || !known)
        return ERR_INVALID;
    entry->args = NULL;
    status = layer_new(entry->ops, entry->name, entry->place, args, &c->shape, &c->builder, &node->layer);
    if (status != OK)
        return status;
    node->name = node->layer->name;
    c->shape = node->layer->out;
    c->known = true;
    c->trained |= node->layer->trained;
    return OK;
}

static void open_residual(struct connector *c, struct node *node)
{
    node->fork = (size_t)(node - c->model->nodes);
    c->open[c->depth++] =
        (struct open){.fork = node->fork, .in = c->shape, .in_trained = c->trained, .in_known = c->known};
}

static void begin_shortcut(struct connector *c, struct node *node)
{
    struct open *open = &c->open[c->depth - 1];

    node->fork = open->fork;
    node->branch = (size_t)(node - c->model->nodes);
    open->body = c->shape;
    open->body_trained = c->trained;
    open->body_known = c->known;
    c->shape = open->in;
    c->known = open->in_known;
    c->trained = open->in_trained;
}

static int join_residual(struct connector *c, const struct entry *entry, struct node *node)
{
    struct open *open = &c->open[--c->depth];
    struct node *nodes = c->model->nodes, *branch = node - 1;
    char body[SHAPE_TEXT_MAX], shortcut[SHAPE_TEXT_MAX];

    while (branch->kind != NODE_BRANCH || branch->fork != open->fork)
        branch--;
    node->fork = nodes[open->fork].fork;
    node->branch = (size_t)(branch - nodes);
    node->join = (size_t)(node - nodes);
    branch->join = nodes[node->fork].join = node->join;
    nodes[node->fork].branch = node->branch;
    c->trained |= open->body_trained;
    node->name = node->own_name = strdup(entry->name);
    if (!node->name) {
        diag_error(c->builder.diags, entry->place, "out of memory");
        return ERR_MEMORY;
    }
    if (!c->known || !open->body_known) { /* either says what the sum's shape must be */
        c->shape = c->known ? c->shape : open->body;
        c->known |= open->body_known;
        return ERR_INVALID;
    }
    if (shape_equal(c->shape.num_dims, c->shape.dims, open->body.num_dims, open->body.dims))
        return OK;
    shape_text(open->body.num_dims, open->body.dims, body);
    shape_text(c->shape.num_dims, c->shape.dims, shortcut);
    c->known = false;
    if (entry->broken)
        return ERR_INVALID;
    diag_error(c->builder.diags, entry->place, "%s (residual): its layers give %s, but %s %s", entry->name, body,
               branch + 1 == node ? "its input, which is added to that, is" : "its shortcut gives", shortcut);
    return ERR_INVALID;
}

static int connect_entry(struct connector *c, struct entry *entry)
{
    struct node *node = &c->model->nodes[c->model->num_nodes++];
    int status = OK;

    *node = (struct node){
        .kind = entry->kind, .in_size = (size_t)shape_count(&c->shape), .wants_gx = c->trained, .name = ""};
    if (entry->kind == NODE_LAYER)
        status = connect_layer(c, entry, node);
    else if (entry->kind == NODE_FORK)
        open_residual(c, node);
    else if (entry->kind == NODE_BRANCH)
        begin_shortcut(c, node);
    else
        status = join_residual(c, entry, node);
    node->out = c->shape;
    node->out_size = (size_t)shape_count(&c->shape);
    return status;
}

/* What every repetition of a group does wrong is told once. */
static void mark_repetitions(struct entries *entries, size_t i)
{
    struct diag_place place = entries->items[i].place;

    for (size_t k = i + 1; k < entries->n; k++)
        entries->items[k].broken |=
            entries->items[k].place.line == place.line && entries->items[k].place.column == place.column;
}

/* Connect the entries as far as they are usable; model->out stays empty where its shape is unknown. */
static int connect(struct model *model, struct entries *entries, struct diags *diags)
{
    struct connector c = {
        .model = model, .builder = {&model->layout, diags, model->vocabulary}, .shape = model->in, .known = true};
    int status = OK;

    for (size_t i = 0; i < entries->n; i++) {
        int one = connect_entry(&c, &entries->items[i]);

        status = status ? status : one;
        if (one != OK)
            mark_repetitions(entries, i);
    }
    if (c.known)
        model->out = c.shape;
    if (status != OK)
        return status;
    for (size_t i = 0; i < model->num_nodes; i++)
        if (model->nodes[i].layer)
            layer_locate(model->nodes[i].layer, &model->layout);
    return OK;
}

static int read_layers(struct model *model, struct yaml_node node, bool input_known, struct diags *diags)
{
    struct entries entries;
    int status = entries_read(node, &entries, diags), connected = ERR_INVALID;

    model->nodes = calloc(entries.n ? entries.n : 1, sizeof *model->nodes);
    if (!model->nodes)
        diag_error(diags, yaml_place(node), "out of memory");
    else if (input_known)
        connected = connect(model, &entries, diags);
    entries_free(&entries);
    return status ? status : connected;
}

static int check_output(const struct model *model, struct diag_place place, struct diags *diags)
{
    char shape[SHAPE_TEXT_MAX];

    if (model->out.num_dims <= 2)
        return OK;
    shape_text(model->out.num_dims, model->out.dims, shape);
    diag_error(diags, place,
               "the last layer gives %s per sample, but a loss takes [O] or, at every time step, [T, O]: end with "
               "flatten or linear",
               shape);
    return ERR_INVALID;
}

/* What is wrong in one place does not keep the others from being looked at; shapes only where the text is complete. */
static int build(struct model *model, struct yaml_doc *doc, bool complete, struct diags *diags)
{
    struct description description;
    int keys = params_read(&description_table, yaml_root(doc), &description, diags);
    int input = description.input.doc ? model_read_input(description.input, model, diags) : ERR_INVALID;
    int layers = ERR_INVALID;

    if (description.layers.doc)
        layers = read_layers(model, description.layers, input == OK && complete, diags);
    if (check_output(model, yaml_place(description.layers), diags) != OK)
        layers = ERR_INVALID;
    params_free(&description_table, &description);
    return keys ? keys : input ? input : layers;
}

static int load(const char *text, size_t length, const char *name, const json_t *model_args, struct model **out,
                struct diags *diags)
{
    size_t size;
    bool complete = false;
    char *expanded = model_text_expand(text, length, name, model_args, &size, &complete, diags);
    struct model *model = calloc(1, sizeof *model);
    struct yaml_doc *doc = NULL;
    int status = expanded && model ? OK : ERR_INVALID, built;

    *out = NULL;
    if (model)
        layout_init(&model->layout);
    if (status == OK)
        status = yaml_load_text(expanded, size, name, YAML_GO_ON, &doc, diags);
    built = doc ? build(model, doc, complete, diags) : ERR_INVALID;
    status = status ? status : built;
    yaml_unref(doc);
    free(expanded);
    if (status != OK) {
        model_free(model);
        return status;
    }
    *out = model;
    return OK;
}

int model_load_text(const char *text, const char *name, const json_t *model_args, struct model **out,
                    struct diags *diags)
{
    return load(text, strlen(text), name, model_args, out, diags);
}

int model_load(const char *folder, const json_t *model_args, struct model **out, struct diags *diags)
{
    char *path = fs_join(folder, "model.yaml");
    struct error err = ERROR_INIT;
    struct blob *blob = NULL;
    int status;

    *out = NULL;
    status = path ? fs_read(path, MAX_TEXT, &blob, &err) : FAIL(&err, ERR_MEMORY, "out of memory");
    if (status != OK)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    else
        status = load(blob_bytes(blob), blob_size(blob), path, model_args, out, diags);
    blob_unref(blob);
    free(path);
    return status;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    for (size_t i = 0; i < model->num_nodes; i++) {
        layer_free(model->nodes[i].layer);
        free(model->nodes[i].own_name);
    }
    free(model->nodes);
    layout_fini(&model->layout);
    free(model);
}
