#include "nn/model.h"

#include <ctype.h>
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
     .help = "List of `{kind: {arguments}}` or `name: {kind: {arguments}}`."},
};
// clang-format on

static const struct param_table description_table = {
    .name = "model",
    .help = "A network: shapes are inferred from layer to layer.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct description),
};

/* One entry of `layers`, read but not yet connected. */
struct entry {
    const struct layer_ops *ops; /* NULL: unusable */
    char name[LAYER_NAME_MAX];
    struct diag_place place;
    void *args;
};

static bool read_size(struct yaml_node node, int64_t *size)
{
    return yaml_text(node) && yaml_is_plain(node) && param_parse_scalar(PARAM_INT, yaml_text(node), size, NULL) == OK &&
           *size > 0 && *size <= LAYER_MAX_VALUES;
}

struct tokens {
    int64_t length, vocabulary;
};

// clang-format off
static const struct param token_rows[] = {
    {.name = "length", .type = PARAM_INT, .offset = offsetof(struct tokens, length), .flags = PARAM_REQUIRED, .min = 1, .max = 1 << 20,
     .help = "Tokens of one sample (T)."},
    {.name = "vocabulary", .type = PARAM_INT, .offset = offsetof(struct tokens, vocabulary), .flags = PARAM_REQUIRED, .min = 1, .max = 1 << 24,
     .help = "How many different tokens there are."},
};
// clang-format on

static const struct param_table token_table = {
    .name = "tokens",
    .help = "A network that takes text: every sample is `length` token numbers.",
    .rows = token_rows,
    .num_rows = sizeof token_rows / sizeof *token_rows,
    .size = sizeof(struct tokens),
};

static int read_tokens(struct yaml_node node, struct model *model, struct diags *diags)
{
    struct tokens tokens;
    int status = params_read(&token_table, node, &tokens, diags);

    model->in = (struct shape){.num_dims = 1, .dims = {tokens.length}};
    model->vocabulary = tokens.vocabulary;
    params_free(&token_table, &tokens);
    return status;
}

static int read_shape(struct yaml_node node, struct shape *shape, struct diags *diags)
{
    size_t n = yaml_kind(node) == YAML_SCALAR ? 1 : yaml_size(node);
    int64_t count = 1;

    shape->num_dims = (int)n;
    if (yaml_kind(node) == YAML_MAPPING || n < 1 || n > TENSOR_MAX_DIMS)
        goto bad;
    for (size_t i = 0; i < n; i++) {
        if (!read_size(yaml_kind(node) == YAML_SCALAR ? node : yaml_item(node, i), &shape->dims[i]))
            goto bad;
        if (shape->dims[i] > LAYER_MAX_VALUES / count) {
            diag_error(diags, yaml_place(node), "`input` has more than %lld values", (long long)LAYER_MAX_VALUES);
            return ERR_INVALID;
        }
        count *= shape->dims[i];
    }
    return OK;
bad:
    diag_error(
        diags, yaml_place(node),
        "`input` must be a list of 1 to %d sizes such as [1, 32, 32] or [784], or tokens: {length: …, vocabulary: …}",
        TENSOR_MAX_DIMS);
    return ERR_INVALID;
}

static int read_input(struct yaml_node node, struct model *model, struct diags *diags)
{
    struct yaml_node tokens = yaml_get(node, "tokens");

    if (yaml_kind(node) == YAML_MAPPING && tokens.doc && yaml_size(node) == 1)
        return read_tokens(tokens, model, diags);
    return read_shape(node, &model->in, diags);
}

static void unknown_kind(struct yaml_node key, struct diags *diags)
{
    const char *names[MAX_WORDS_OF_A_KIND];
    char text[WORDS_TEXT];
    size_t n = 0;

    for (; n < MAX_WORDS_OF_A_KIND && layer_kinds[n]; n++)
        names[n] = layer_kinds[n]->name;
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

static void read_args(struct entry *entry, struct yaml_node node, struct diags *diags)
{
    const struct param_table *table = entry->ops->params;

    if (!table) {
        if (!yaml_is_null(node) && !(yaml_kind(node) == YAML_MAPPING && yaml_size(node) == 0)) {
            diag_error(diags, yaml_place(node), "%s takes no arguments: write `%s: {}`", entry->ops->name,
                       entry->ops->name);
            entry->ops = NULL;
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
        entry->ops = NULL;
    }
}

/* `{kind: args}`, or `name: {kind: args}`: the second where the only key of the value is a kind, or the key is none. */
static void read_entry(struct yaml_node node, size_t index, struct entry *entry, struct diags *diags)
{
    struct yaml_node key, value;

    entry->place = yaml_place(node);
    if (!is_single_mapping(node)) {
        diag_error(diags, entry->place, "a layer is written `{kind: {arguments}}` or `name: {kind: {arguments}}`");
        return;
    }
    key = yaml_key(node, 0);
    value = yaml_value(node, 0);
    snprintf(entry->name, sizeof entry->name, "%zu", index);
    if (is_single_mapping(value) &&
        (layer_kind_find(yaml_text(yaml_key(value, 0))) || !layer_kind_find(yaml_text(key)))) {
        if (!is_layer_name(yaml_text(key))) {
            diag_error(diags, yaml_place(key), "a layer's name has 1 to %d letters, digits, `_`, `-` or `.`",
                       LAYER_NAME_MAX - 1);
            return;
        }
        snprintf(entry->name, sizeof entry->name, "%s", yaml_text(key));
        key = yaml_key(value, 0);
        value = yaml_value(value, 0);
    }
    entry->ops = layer_kind_find(yaml_text(key));
    if (entry->ops)
        read_args(entry, value, diags);
    else
        unknown_kind(key, diags);
}

/* Connect the entries as far as they are usable. */
static int connect(struct model *model, struct entry *entries, size_t n, struct diags *diags)
{
    struct layer_builder builder = {&model->layout, diags, model->vocabulary};
    struct shape shape = model->in;

    for (size_t i = 0; i < n; i++) {
        struct layer **layer = &model->layers[i];
        void *args = entries[i].args;
        int status;

        if (!entries[i].ops)
            return ERR_INVALID;
        entries[i].args = NULL;
        status = layer_new(entries[i].ops, entries[i].name, entries[i].place, args, &shape, &builder, layer);
        if (status != OK)
            return status;
        model->num_layers++;
        shape = (*layer)->out;
        if ((*layer)->trained && model->first_trained == SIZE_MAX)
            model->first_trained = i;
    }
    for (size_t i = 0; i < n; i++)
        layer_locate(model->layers[i], &model->layout);
    model->out = shape;
    return OK;
}

static int read_layers(struct model *model, struct yaml_node node, bool input_known, struct diags *diags)
{
    size_t n = yaml_size(node);
    struct entry *entries;
    int status = ERR_INVALID;

    if (yaml_kind(node) != YAML_SEQUENCE || n == 0) {
        diag_error(diags, yaml_place(node), "`layers` must be a list with at least one layer");
        return ERR_INVALID;
    }
    entries = calloc(n, sizeof *entries);
    model->layers = calloc(n, sizeof(struct layer *));
    if (!entries || !model->layers) {
        free(entries);
        diag_error(diags, yaml_place(node), "out of memory");
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < n; i++)
        read_entry(yaml_item(node, i), i, &entries[i], diags);
    if (input_known)
        status = connect(model, entries, n, diags);
    for (size_t i = 0; i < n; i++) {
        if (entries[i].args)
            params_free(entries[i].ops->params, entries[i].args);
        free(entries[i].args);
    }
    free(entries);
    return status;
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

/* What is wrong in one place does not keep the others from being looked at. */
static int build(struct model *model, struct yaml_doc *doc, struct diags *diags)
{
    struct description description;
    int keys = params_read(&description_table, yaml_root(doc), &description, diags);
    int input = description.input.doc ? read_input(description.input, model, diags) : ERR_INVALID;
    int layers = ERR_INVALID;

    if (description.layers.doc)
        layers = read_layers(model, description.layers, input == OK, diags);
    if (layers == OK)
        layers = check_output(model, yaml_place(description.layers), diags);
    params_free(&description_table, &description);
    return keys ? keys : input ? input : layers;
}

static int load(const char *text, size_t length, const char *name, const json_t *model_args, struct model **out,
                struct diags *diags)
{
    size_t size;
    char *expanded = model_text_expand(text, length, name, model_args, &size, diags);
    struct model *model = calloc(1, sizeof *model);
    struct yaml_doc *doc = NULL;
    int status = expanded && model ? OK : ERR_INVALID, built;

    *out = NULL;
    if (model) {
        layout_init(&model->layout);
        model->first_trained = SIZE_MAX;
    }
    if (status == OK)
        status = yaml_load_text(expanded, size, name, YAML_GO_ON, &doc, diags);
    built = doc ? build(model, doc, diags) : ERR_INVALID;
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
    for (size_t i = 0; i < model->num_layers; i++)
        layer_free(model->layers[i]);
    free(model->layers);
    layout_fini(&model->layout);
    free(model);
}

const struct layout *model_layout(const struct model *model)
{
    return &model->layout;
}

size_t model_input_size(const struct model *model)
{
    return (size_t)shape_count(&model->in);
}

size_t model_output_size(const struct model *model)
{
    return (size_t)shape_count(&model->out);
}

size_t model_output_rows(const struct model *model)
{
    return model->out.num_dims == 2 ? (size_t)model->out.dims[0] : 1;
}

int64_t model_vocabulary(const struct model *model)
{
    return model->vocabulary;
}

int model_input_shape(const struct model *model, int64_t dims[TENSOR_MAX_DIMS])
{
    memcpy(dims, model->in.dims, sizeof model->in.dims);
    return model->in.num_dims;
}

static int check_shape(const struct model *model, const struct item_facts *items, struct error *err)
{
    char item[SHAPE_TEXT_MAX], input[SHAPE_TEXT_MAX];
    size_t size = 1;

    for (int i = 0; i < items->num_dims; i++)
        size *= (size_t)items->dims[i];
    shape_text(items->num_dims, items->dims, item);
    shape_text(model->in.num_dims, model->in.dims, input);
    if (size != model_input_size(model))
        return FAIL(err, ERR_INVALID,
                    "an item is %s, but the model takes %s; `padding` and the model's `input` must fit", item, input);
    if (model->vocabulary > 0 && items->vocabulary == 0)
        return FAIL(err, ERR_INVALID, "its items are values, but the model takes tokens (text)");
    if (model->vocabulary == 0 && items->vocabulary > 0)
        return FAIL(err, ERR_INVALID, "its items are tokens, but the model takes values: its `input` must be `tokens`");
    if (items->vocabulary > model->vocabulary)
        return FAIL(err, ERR_INVALID, "it has %lld different tokens, but the model knows only %lld",
                    (long long)items->vocabulary, (long long)model->vocabulary);
    return OK;
}

static int check_targets(const struct model *model, const struct item_facts *items, const struct loss_ops *loss,
                         struct error *err)
{
    size_t predictions = model_output_rows(model), O = model_output_size(model) / predictions;

    if (items->has_values && loss && !loss->wants_values)
        return FAIL(err, ERR_INVALID, "its targets are values, but the loss %s takes labels; take mean_square_error",
                    loss->name);
    if (items->num_targets != (items->has_values ? predictions * O : predictions))
        return FAIL(err, ERR_INVALID, "an item has %zu %s, but the model gives %zu", items->num_targets,
                    items->has_values ? "values to predict" : "labels", items->has_values ? predictions * O : predictions);
    if (!items->has_values && !(loss && loss->wants_values && O == 1) &&
        (items->num_classes < 0 || (uint64_t)items->num_classes > O))
        return FAIL(err, ERR_INVALID,
                    "it has %lld classes, but the model tells only %zu apart; set "
                    "model_config.model_args.num_classes",
                    (long long)items->num_classes, O);
    return OK;
}

int model_check_items(const struct model *model, const struct item_facts *items, const struct loss_ops *loss,
                      struct error *err)
{
    int status = check_shape(model, items, err);

    return status ? status : check_targets(model, items, loss, err);
}

double model_flops_forward(const struct model *model)
{
    double flops = 0;

    for (size_t i = 0; i < model->num_layers; i++)
        if (model->layers[i]->ops->flops)
            flops += model->layers[i]->ops->flops(model->layers[i], false, false);
    return flops;
}

double model_flops_train(const struct model *model)
{
    double flops = model_flops_forward(model);

    for (size_t i = 0; i < model->num_layers; i++)
        if (model->layers[i]->ops->flops)
            flops += model->layers[i]->ops->flops(model->layers[i], true, i > model->first_trained);
    return flops;
}

void model_init_params(const struct model *model, uint64_t seed, float *params)
{
    memset(params, 0, model->layout.num_floats * sizeof *params);
    for (size_t i = 0; i < model->num_layers; i++)
        if (model->layers[i]->ops->init)
            model->layers[i]->ops->init(model->layers[i], seed, params);
}
