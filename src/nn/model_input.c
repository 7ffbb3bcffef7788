/* `input:` of model.yaml. */
#include "nn/network.h"
#include "util/params.h"

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

int model_read_input(struct yaml_node node, struct model *model, struct diags *diags)
{
    struct yaml_node tokens = yaml_get(node, "tokens");

    if (yaml_kind(node) == YAML_MAPPING && tokens.doc && yaml_size(node) == 1)
        return read_tokens(tokens, model, diags);
    return read_shape(node, &model->in, diags);
}
