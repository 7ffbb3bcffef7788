#include <jansson.h>

#include "config/model_folder.h"
#include "fixture.h"

Test(model_folder, a_flotilla_folder_uses_the_network_of_its_class)
{
    char *folder = data_path("flotilla/models/LeNet5");
    json_t *args = json_pack("{s:i}", "num_classes", 47);
    struct diags *diags = diags_new();
    struct model *model;

    cr_assert_eq(model_folder_load(folder, NULL, args, &model, diags), OK);
    cr_expect_eq(model_output_size(model), 47);
    cr_expect_eq(model_input_size(model), 32 * 32);
    cr_expect_eq(diags_errors(diags), 0);
    model_free(model);
    diags_free(diags);
    json_decref(args);
    free(folder);
}

Test(model_folder, the_class_asked_for_goes_before_the_folders_own)
{
    char *folder = data_path("flotilla/models/Unknown");
    struct diags *diags = diags_new();
    struct model *model;

    cr_assert_eq(model_folder_load(folder, "LeNet5", NULL, &model, diags), OK);
    model_free(model);
    diags_free(diags);
    free(folder);
}

Test(model_folder, an_unknown_class_is_refused_with_those_there_are)
{
    char *folder = data_path("flotilla/models/Unknown");
    struct diags *diags = diags_new();
    struct model *model;

    cr_expect_eq(model_folder_load(folder, NULL, NULL, &model, diags), ERR_INVALID);
    cr_expect_null(model);
    char *text = diags_text(diags);
    cr_expect_not_null(strstr(text, "Unknown: there is no model.yaml, and no network of the class `MyNet` is built in: "
                                    "describe the network in model.yaml, or use one of: "),
                       "%s", text);
    free(text);
    diags_free(diags);
    free(folder);
}

Test(model_folder, a_folder_that_is_not_there)
{
    struct diags *diags = diags_new();
    struct model *model;

    cr_expect_eq(model_folder_load("/nonexistent", NULL, NULL, &model, diags), ERR_NOT_FOUND);
    expect_diags(diags, "/nonexistent: there is no such model folder");
    diags_free(diags);
}

/* What is built in is the text of models/ itself. */
Test(model_folder, every_network_of_models_is_built_in_and_loads)
{
    const char *srcdir = getenv("srcdir");
    size_t n = 0;

    for (; builtin_models[n].id; n++) {
        char path[512];
        struct diags *diags = diags_new();
        struct blob *blob;
        struct model *model;
        snprintf(path, sizeof path, "%s/models/%s/model.yaml", srcdir ? srcdir : ".", builtin_models[n].id);
        cr_assert_eq(fs_read(path, 1 << 20, &blob, NULL), OK, "%s", path);
        cr_assert_eq(blob_size(blob), strlen(builtin_models[n].text), "%s", path);
        cr_expect_arr_eq(blob_bytes(blob), builtin_models[n].text, blob_size(blob), "%s", path);
        cr_expect_eq(model_load_text(builtin_models[n].text, builtin_models[n].id, NULL, &model, diags), OK, "%s",
                     path);
        model_free(model);
        blob_unref(blob);
        diags_free(diags);
    }
    cr_expect_geq(n, 3);
    cr_expect_not_null(builtin_network("LeNet5"));
    cr_expect_eq(builtin_network("LeNet5"), builtin_network("LeNet5_class"));
    cr_expect_null(builtin_network("LeNet"));
    cr_expect_null(builtin_network("LeNet55"));
}
