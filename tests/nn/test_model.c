/* model.yaml: what is understood, and what is said about mistakes. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/model.h"
#include "vectors.h"

static char *complaints(const char *text, json_t *model_args)
{
    struct diags *diags = diags_new();
    struct model *model;
    char *found;

    cr_assert_neq(model_load_text(text, "model.yaml", model_args, &model, diags), OK, "accepted: %s", text);
    cr_assert_null(model);
    cr_assert_gt(diags_errors(diags), 0);
    found = diags_text(diags);
    diags_free(diags);
    return found;
}

struct mistake {
    const char *text;
    const char *says[3];
};

static const struct mistake mistakes[] = {
    {"input: [784]\n", {"layers"}},
    {"layers: [{relu: {}}]\n", {"input"}},
    {"input: [784]\nlayers: []\n", {"model.yaml:2:", "at least one layer"}},
    {"input: [784]\nlayers: 3\n", {"model.yaml:2:", "list"}},
    {"input: 7x\nlayers: [{relu: {}}]\n", {"model.yaml:1:", "input"}},
    {"input: [1, 0]\nlayers: [{relu: {}}]\n", {"model.yaml:1:", "input"}},
    {"input: [1048576, 1048576]\nlayers: [{flatten: {}}]\n", {"model.yaml:1:", "more than"}},
    {"input: [4]\nlayer: [{relu: {}}]\n", {"model.yaml:2:", "layers"}},
    {"input: [4]\nlayers: [{rely: {}}]\n", {"model.yaml:2:11:", "relu"}},
    {"input: [4]\nlayers: [a: {rely: {}}]\n", {"model.yaml:2:", "relu"}},
    {"input: [4]\nlayers: [{transformer: {}}]\n", {"transformer", "linear, conv2d"}},
    {"input: [4]\nlayers: [relu]\n", {"model.yaml:2:10:", "{kind: {arguments}}"}},
    {"input: [4]\nlayers: [{relu: {slope: 1}}]\n", {"model.yaml:2:", "no arguments"}},
    {"input: [4]\nlayers: [{linear: {}}]\n", {"model.yaml:2:", "out"}},
    {"input: [4]\nlayers: [{linear: {ouch: 3}}]\n", {"model.yaml:2:20:", "out"}},
    {"input: [4]\nlayers: [{linear: {out: 0}}]\n", {"model.yaml:2:", "out"}},
    {"input: [4]\nlayers: [\"a b\": {relu: {}}]\n", {"model.yaml:2:", "name"}},
    {"input: [4]\nlayers:\n  - fc: {linear: {out: 3}}\n  - fc: {linear: {out: 3}}\n",
     {"model.yaml:4:", "`fc` is the name of two layers"}},
    {"input: [1, 32, 32]\nlayers:\n  - fc1: {linear: {out: 3}}\n", {"model.yaml:3:5:", "fc1 (linear)", "[1, 32, 32]"}},
    {"input: [10]\nlayers:\n  - conv1: {conv2d: {out: 3, kernel: 3}}\n", {"conv1 (conv2d)", "[C, H, W]", "[10]"}},
    {"input: [2, 3, 3]\nlayers:\n  - conv1: {conv2d: {out: 3, kernel: 5}}\n", {"conv1 (conv2d)", "5 x 5", "[2, 3, 3]"}},
    {"input: [2, 3, 3]\nlayers:\n  - {maxpool2d: {kernel: 4}}\n", {"maxpool2d", "4 x 4", "[2, 3, 3]"}},
    {"input: [2, 3, 3]\nlayers:\n  - {maxpool2d: {kernel: 2, padding: 2}}\n", {"maxpool2d", "half"}},
    {"input: [2, 3, 3]\nlayers:\n  - {maxpool2d: {kernel: [1, 2, 3]}}\n", {"maxpool2d", "kernel"}},
    {"input: [2, 3, 3]\nlayers:\n  - {maxpool2d: {kernel: 2}}\n", {"model.yaml:3:", "[2, 1, 1]"}},
    {"input: [2, 3, 4]\nlayers:\n  - n: {layernorm: {normalized_shape: [2, 4]}}\n",
     {"model.yaml:3:", "n (layernorm)", "[2, 3, 4]"}},
    {"input: [4]\nlayers:\n  - {layernorm: {normalized_shape: [1, 4]}}\n", {"layernorm", "[4]"}},
    {"input: [2, 1, 3]\nlayers:\n  - {maxpool2d: {kernel: 4, stride: 2, ceil_mode: true}}\n", {"4 x 4", "[2, 1, 3]"}},
    {"input: [4]\nlayers:\n  - {softmax: {dim: 2}}\n", {"softmax", "dim must be 1 to 1", "not 2"}},
    {"input: [4]\nlayers:\n  - {log_softmax: {dim: 0}}\n", {"log_softmax", "0 is the batch"}},
    {"input: [3, 2]\nlayers:\n  - {lstm: {hidden: 2, layers: 33}}\n", {"layers", "32"}},
    {"input: [4]\nlayers: [{linear: {out: $(classes)}}]\n", {"model.yaml:2:25:", "$(classes)"}},
    {"input: [4]\nlayers: [{linear: {out: $(classes}}]\n", {"model.yaml:2:25:", "`)`"}},
    {"input: [65536]\nlayers: [{linear: {out: 16777216}}]\n", {"model.yaml:2:", "weight"}},
    {"input: [1, 4096, 4096]\nlayers: [{conv2d: {out: 64, kernel: 1}}]\n", {"more than"}},
};

Test(model, mistakes_are_named_with_their_place)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char *found = complaints(mistakes[i].text, NULL);

        for (size_t j = 0; j < 3 && mistakes[i].says[j]; j++)
            cr_expect(strstr(found, mistakes[i].says[j]), "%s\nsays: %s\nlacks: %s", mistakes[i].text, found,
                      mistakes[i].says[j]);
        free(found);
    }
}

static int check(const struct model *model, int num_dims, const int64_t *dims, int64_t num_classes, struct error *err)
{
    struct item_facts items = {.num_dims = num_dims, .dims = dims, .num_targets = 1, .num_classes = num_classes};

    return model_check_items(model, &items, NULL, err);
}

static const char *misfit(const struct model *model, int num_dims, const int64_t *dims, int64_t num_classes)
{
    static struct error err;

    err = (struct error)ERROR_INIT;
    check(model, num_dims, dims, num_classes, &err);
    return err.message;
}

Test(model, says_what_items_do_not_fit)
{
    struct diags *diags = diags_new();
    struct model *model;

    cr_assert_eq(model_load_text("input: [1, 4, 4]\nlayers:\n  - {flatten: {}}\n  - fc: {linear: {out: 3}}\n", "m",
                                 NULL, &model, diags),
                 OK);
    cr_expect_eq(check(model, 3, (const int64_t[]){1, 4, 4}, 3, NULL), OK);
    cr_expect_eq(check(model, 1, (const int64_t[]){16}, 0, NULL), OK, "flat items are as good");
    cr_expect_not_null(strstr(misfit(model, 2, (const int64_t[]){4, 5}, 3), "[4, 5], but the model takes [1, 4, 4]"));
    cr_expect_not_null(strstr(misfit(model, 1, (const int64_t[]){16}, 4), "4 classes, but the model tells only 3"));
    model_free(model);
    diags_free(diags);
}

Test(model, all_mistakes_come_at_once)
{
    char *found = complaints("input: [1, 9, 9]\nlayers:\n  - a: {conv2d: {out: 2, kernel: 11}}\n  - {maxpool: {}}\n"
                             "  - {linear: {outt: 2}}\n",
                             NULL);

    cr_assert(strstr(found, "model.yaml:3:") && strstr(found, "model.yaml:4:") && strstr(found, "model.yaml:5:"), "%s",
              found);
    free(found);
}

static size_t outputs(const char *text, json_t *model_args)
{
    struct diags *diags = diags_new();
    struct model *model;
    size_t size;

    cr_assert_eq(model_load_text(text, "model.yaml", model_args, &model, diags), OK, "%s", diags_text(diags));
    size = model_output_size(model);
    model_free(model);
    diags_free(diags);
    json_decref(model_args);
    return size;
}

Test(model, model_args_replace_their_names)
{
    static const char text[] = "input: [4]\nargs: {num_classes: 10, h: 5}\nlayers:\n  - {linear: {out: $(h)}}\n"
                               "  - {linear: {out: $(num_classes), bias: true}}\n";
    json_t *evil = json_pack("{s:s}", "num_classes", "3}}, {relu: {}}, {linear: {out: 7");
    char *found;

    cr_assert_eq(outputs(text, NULL), 10);
    cr_assert_eq(outputs(text, json_pack("{s:i}", "num_classes", 62)), 62);
    cr_assert_eq(outputs(text, json_pack("{s:s}", "num_classes", "7")), 7);
    cr_assert_eq(outputs(text, json_pack("{s:i, s:f}", "num_classes", 3, "dropout", 0.5)), 3, "unknown ones only warn");
    found = complaints(text, evil);
    cr_assert(strstr(found, "model_args.num_classes"), "%s", found);
    free(found);
    json_decref(evil);
}

Test(model, only_arguments_that_nothing_reads_are_warned_of)
{
    struct diags *diags = diags_new();
    json_t *args = json_pack("{s:i, s:i}", "out", 3, "depth", 2);
    struct model *model;
    char *found;

    cr_assert_eq(
        model_load_text("input: [4]\nlayers:\n  - {linear: {out: $(out)}}\n", "model.yaml", args, &model, diags), OK);
    found = diags_text(diags);
    cr_assert_str_eq(found, "model.yaml: warning: the model has no argument `depth`; it is ignored");
    free(found);
    model_free(model);
    json_decref(args);
    diags_free(diags);
}

Test(model, an_unknown_key_hides_nothing)
{
    char *found = complaints("inputs: 3\ninput: [1, 9, 9]\nlayers:\n  - {maxpool: {}}\n  - {flatten: {size: 2}}\n"
                             "  - {linear: {outt: 2}}\n",
                             NULL);

    cr_assert_str_eq(found, "model.yaml:1:1: unknown key `inputs`; did you mean `input`?\n"
                            "model.yaml:4:6: unknown kind of layer `maxpool`; did you mean `maxpool2d`?\n"
                            "model.yaml:5:15: flatten takes no arguments: write `flatten: {}`\n"
                            "model.yaml:6:14: `out` is missing\n"
                            "model.yaml:6:15: unknown key `outt`; did you mean `out`?");
    free(found);
}

/* A broken layer hides neither the other way of its residual nor what stands behind the sum. */
Test(model, shapes_are_held_against_each_other_as_far_as_they_are_known)
{
    char *found = complaints("input: [3, 8, 8]\nlayers:\n"
                             "  - r: {residual: {repeat: 3, layers: [{conv2d: {out: 3, kernel: 9}}]}}\n"
                             "  - mp: {maxpool2d: {kernel: 40}}\n  - fc: {linear: {out: 3}}\n"
                             "  - fc: {linear: {out: 4}}\n",
                             NULL);

    cr_expect(strstr(found, "r.0.0 (conv2d)"), "%s", found);
    cr_expect_null(strstr(found, "r.1.0 (conv2d)"), "told once: %s", found);
    cr_expect(strstr(found, "model.yaml:4:5: mp (maxpool2d): a window of 40 x 40"), "%s", found);
    cr_expect(strstr(found, "model.yaml:6:5: `fc` is the name of two layers: linear and linear"), "%s", found);
    cr_expect_null(strstr(found, "fc (linear)"), "nothing of what mp would give: %s", found);
    free(found);
}

/* Behind a replaced word columns stay what they are in the file. */
Test(model, places_survive_replacement)
{
    char *found = complaints("input: [4]\nargs: {c: 10}\nlayers:\n  - {linear: {out: $(c), bios: true}}\n", NULL);

    cr_assert(strstr(found, "model.yaml:4:26:"), "%s", found);
    free(found);
}

/* A word without a value is one mistake among others, and no shape is judged by it. */
Test(model, an_undefined_word_hides_nothing)
{
    char *found = complaints("input: [4]\nlayers:\n  - {linear: {out: $(c), bios: true}}\n  - {rely: {}}\n"
                             "  - {conv2d: {out: 3, kernel: 1}}\n",
                             NULL);

    cr_expect(strstr(found, "model.yaml:3:20: $(c) has no value"), "%s", found);
    cr_expect(strstr(found, "model.yaml:3:26:") && strstr(found, "bios"), "%s", found);
    cr_expect(strstr(found, "model.yaml:4:") && strstr(found, "relu"), "%s", found);
    cr_expect_null(strstr(found, "conv2d ("), "%s", found);
    cr_expect_null(strstr(found, "(conv2d)"), "%s", found);
    free(found);
}

static struct model *shipped(const char *name)
{
    const char *srcdir = getenv("srcdir");
    struct diags *diags = diags_new();
    struct model *model;
    char folder[512];

    snprintf(folder, sizeof folder, "%s/models/%s", srcdir ? srcdir : ".", name);
    cr_assert_eq(model_load(folder, NULL, &model, diags), OK, "%s", diags_text(diags));
    diags_free(diags);
    return model;
}

Test(model, shipped_models_have_their_papers_sizes)
{
    static const struct {
        const char *name;
        size_t parameters, input, output;
        double flops;
    } models[] = {
        {"LeNet5", 61706, 1024, 10, 2 * 416520},
        {"MLP_2NN", 199210, 784, 10, 2 * 198800},
        {"LogisticRegression", 610, 60, 10, 2 * 600},
        {"FedAT_CNN", 122570, 3072, 10, 2 * (884736 + 4718592 + 2359296 + 65536 + 640)},
        {"AlexNet", 57044810, 3 * 224 * 224, 10, 0},
        {"AlexNet_MNIST", 11696202, 784, 10, 0},
        {"MobileNet", 2236682, 3 * 32 * 32, 10, 0},
        {"VGG", 138357544, 3 * 224 * 224, 1000, 0},
        {"ResNet18_GN", 11227812, 3 * 32 * 32, 100, 0},
        {"LSTM-B", 29472 * 256 + 4 * 512 * (256 + 512 + 2 + 512 + 512 + 2) + 29472 * 513, 50, 50 * 29472, 0},
        {"CharLSTM", 819920, 80, 80, 0},
        {"LSTM", 67330, 5, 2, 0},
        {"NIID_CNN", 44426, 784, 10, 2 * (24 * 24 * 6 * 25 + 8 * 8 * 16 * 150 + 256 * 120 + 120 * 84 + 840)},
        {"CNN_MNIST", 1663370, 784, 10, 2 * (627200 + 10035200 + 1605632 + 5120)},
        {"FEMNIST_CNN", 6603710, 784, 62, 2 * (627200 + 10035200 + 6422528 + 126976)},
    };

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct model *model = shipped(models[i].name);

        cr_assert_eq(model_layout(model)->num_parameters, models[i].parameters, "%s", models[i].name);
        cr_assert_eq(model_input_size(model), models[i].input);
        cr_assert_eq(model_output_size(model), models[i].output);
        if (models[i].flops > 0)
            cr_assert_float_eq(model_flops_forward(model), models[i].flops, 0.5, "%s", models[i].name);
        cr_assert_gt(model_flops_train(model), 1.9 * model_flops_forward(model));
        cr_assert_leq(model_flops_train(model), 3.0 * model_flops_forward(model));
        model_free(model);
    }
}

Test(model, tensors_are_named_as_in_pytorch)
{
    struct model *lenet = shipped("LeNet5");
    struct model *unnamed = model_from_text("input: [4]\nlayers: [{relu: {}}, {linear: {out: 2}}]\n");
    const struct tensor_info *conv2 = layout_find(model_layout(lenet), "conv2.weight");

    cr_assert_not_null(conv2);
    cr_assert(shape_equal(conv2->num_dims, conv2->dims, 4, (int64_t[]){16, 6, 5, 5}));
    cr_assert_not_null(layout_find(model_layout(lenet), "fc3.bias"));
    cr_assert_eq(model_layout(lenet)->num_tensors, 10);
    cr_assert_not_null(layout_find(model_layout(unnamed), "1.weight"), "as nn.Sequential counts");
    model_free(lenet);
    model_free(unnamed);
}

Test(model, missing_folder_is_an_error)
{
    struct diags *diags = diags_new();
    struct model *model;
    char *text;

    cr_assert_eq(model_load("/nonexistent/LeNet5", NULL, &model, diags), ERR_NOT_FOUND);
    text = diags_text(diags);
    cr_assert(strstr(text, "/nonexistent/LeNet5/model.yaml"), "%s", text);
    free(text);
    diags_free(diags);
}

/* U(-b, b) has the standard deviation b / sqrt(3); b = 1 / sqrt(fan_in) for weight and bias. */
Test(model, initial_weights_are_pytorchs_distribution)
{
    struct model *model = shipped("LeNet5");
    const struct layout *layout = model_layout(model);
    const double fan_in[10] = {25, 25, 150, 150, 400, 400, 120, 120, 84, 84};
    float *params = malloc(layout->num_floats * sizeof *params), *again = malloc(layout->num_floats * sizeof *again);

    model_init_params(model, 42, params);
    model_init_params(model, 42, again);
    cr_assert_arr_eq(params, again, layout->num_floats * sizeof *params);
    model_init_params(model, 43, again);
    cr_assert_neq(memcmp(params, again, layout->num_floats * sizeof *params), 0);
    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *t = &layout->tensors[i];
        double bound = 1 / sqrt(fan_in[i]), sum = 0, squares = 0, n = (double)t->count;

        for (size_t j = 0; j < t->count; j++) {
            double value = (double)params[t->offset + j];

            cr_assert_leq(fabs(value), bound * 1.0001, "%s", t->name);
            sum += value;
            squares += value * value;
        }
        if (t->count >= 150) {
            cr_assert_lt(fabs(sum / n), 5 * bound / sqrt(3 * n), "%s", t->name);
            cr_assert_float_eq(sqrt(squares / n), bound / sqrt(3), 0.15 * bound, "%s", t->name);
        }
    }
    free(params), free(again);
    model_free(model);
}

/* Flotilla's: embedding U(+-0.1), all others U(+-1/sqrt(hidden)), but the last layer's bias is zero. */
Test(model, lstm_b_begins_as_flotillas)
{
    struct model *model = shipped("LSTM-B");
    const struct layout *layout = model_layout(model);
    float *params = malloc(layout->num_floats * sizeof *params);

    model_init_params(model, 3, params);
    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *t = &layout->tensors[i];
        double bound = !strcmp(t->name, "embedding.weight") ? 0.1 : !strcmp(t->name, "fc.bias") ? 0 : 1 / sqrt(512);
        double largest = 0;

        for (size_t j = 0; j < t->count; j++)
            largest = fmax(largest, fabs((double)params[t->offset + j]));
        cr_assert(largest <= bound * 1.0001 && largest >= bound * 0.99, "%s: %g of %g", t->name, largest, bound);
    }
    free(params);
    model_free(model);
}

/* Flotilla writes LSTM, GRU, RNN. */
Test(model, a_kind_is_known_in_any_case)
{
    static const char *const cells[] = {"LSTM", "lstm", "GRU", "RNN"};
    static const size_t gates[] = {4, 4, 3, 1};
    const char *srcdir = getenv("srcdir");
    char folder[512];

    snprintf(folder, sizeof folder, "%s/models/LSTM", srcdir ? srcdir : ".");
    for (size_t i = 0; i < 4; i++) {
        struct diags *diags = diags_new();
        json_t *args = json_pack("{s:s, s:i}", "cell", cells[i], "hidden_dim", 8);
        struct model *model;

        cr_assert_eq(model_load(folder, args, &model, diags), OK, "%s", diags_text(diags));
        cr_assert_str_eq(model_layout(model)->tensors[0].name, "cell.weight_ih_l0");
        cr_assert_eq(model_layout(model)->tensors[0].count, gates[i] * 8);
        model_free(model);
        json_decref(args);
        diags_free(diags);
    }
}
