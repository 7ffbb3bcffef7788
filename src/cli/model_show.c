/* flosim model show: a network as a table. */
#include <stdio.h>

#include "cli/model.h"

/* 1234567 as "1,234,567". */
static const char *grouped(double value, char text[32])
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%.0f", value), at = 0;

    for (int i = 0; i < n && at < 30; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static void print_row(const char *name, const char *kind, const char *shape, double parameters, double flops)
{
    char counts[2][32];

    printf("%-28s %-18s %-20s %14s %16s\n", name, kind, shape, grouped(parameters, counts[0]),
           grouped(flops, counts[1]));
}

static void print_layers(const struct model *model)
{
    int64_t dims[TENSOR_MAX_DIMS];
    int num_dims = model_input_shape(model, dims);
    char shape[SHAPE_TEXT_MAX], of_tokens[64] = "";
    struct layer_facts layer;

    shape_text(num_dims, dims, shape);
    if (model_vocabulary(model) > 0)
        snprintf(of_tokens, sizeof of_tokens, "of %lld tokens", (long long)model_vocabulary(model));
    printf("%-28s %-18s %-20s %14s %16s\n", "layer", "kind", "output", "parameters", "FLOPs / sample");
    printf("%-28s %-18s %s\n", "input", of_tokens, shape);
    for (size_t i = 0; i < model_num_layers(model); i++) {
        if (!model_layer_at(model, i, &layer))
            continue;
        shape_text(layer.num_dims, layer.dims, shape);
        print_row(layer.name, layer.kind, shape, (double)layer.parameters, layer.flops_forward);
    }
}

static void print_bytes(const char *what, size_t bytes)
{
    printf("%-48s %12.2f MiB\n", what, (double)bytes / (1 << 20));
}

/* ERR_MEMORY where the workspace does not fit; then that is said instead. */
static void print_workspace(const struct model *model, int batch, bool train)
{
    struct error err = ERROR_INIT;
    struct workspace *ws;
    char what[64];

    snprintf(what, sizeof what, "workspace for %s, batch %d", train ? "training" : "inference", batch);
    if (workspace_new(model, batch, train, &ws, &err) != OK) {
        printf("%-48s %s\n", what, err.message);
        return;
    }
    print_bytes(what, workspace_bytes(ws));
    workspace_free(ws);
}

int model_show(const char *folder_or_name, const json_t *args, int batch)
{
    struct model *model;
    const struct layout *layout;
    char text[32];

    if (model_command_load(folder_or_name, args, &model) != OK)
        return 2;
    layout = model_layout(model);
    print_layers(model);
    printf("\n%-48s %12s\n", "parameters", grouped((double)layout->num_parameters, text));
    printf("%-48s %12s\n", "values of buffers", grouped((double)(layout->num_floats - layout->num_parameters), text));
    printf("%-48s %12s\n", "FLOPs per sample, forward", grouped(model_flops_forward(model), text));
    printf("%-48s %12s\n", "FLOPs per sample, forward and backward", grouped(model_flops_train(model), text));
    print_bytes("parameters and buffers", layout->num_floats * sizeof(float));
    print_workspace(model, batch, true);
    print_workspace(model, batch, false);
    model_free(model);
    return 0;
}
