/* libFuzzer target: no text may harm the reader of model.yaml, and a small network that it accepts runs.
 * Seeds: models/<id>/model.yaml. */
#include <stdint.h>
#include <stdlib.h>

#include "nn/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SMALL = 1 << 14 };

static void run(const struct model *model)
{
    size_t P = model_layout(model)->num_floats;
    float *params = calloc(P + 1, sizeof *params), *grads = calloc(P + 1, sizeof *grads);
    float *x = calloc(model_input_size(model), sizeof *x);
    struct workspace *ws = NULL;
    struct rng rng;

    rng_init(&rng, 1, "fuzz", "model", 0);
    if (params && grads && x && workspace_new(model, 1, true, &ws, NULL) == OK) {
        model_init_params(model, 1, params);
        model_forward(model, ws, params, x, 1, true, &rng);
        model_backward(model, ws, params, workspace_gradient(ws), grads, NULL);
    }
    workspace_free(ws);
    free(params), free(grads), free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diags *diags = diags_new();
    char *text = malloc(size + 1);
    struct model *model = NULL;

    if (text && diags) {
        for (size_t i = 0; i < size; i++)
            text[i] = (char)data[i];
        text[size] = '\0';
        model_load_text(text, "fuzz", NULL, &model, diags);
        if (model && model_layout(model)->num_floats < SMALL && model_flops_train(model) < 1e6 &&
            model_input_size(model) < SMALL && model_num_layers(model) < 64)
            run(model);
    }
    model_free(model);
    diags_free(diags);
    free(text);
    return 0;
}
