#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "data/folder.h"
#include "tests/data/support.h"
#include "util/fs.h"

static int32_t label_mod_3(size_t i)
{
    return (int32_t)(i % 3);
}

static void make_images(struct dataset *d, enum data_type type)
{
    struct dataset_fill fill;

    *d = (struct dataset){.num_items = 9, .num_dims = 3, .dims = {1, 4, 3}, .type = type, .num_classes = 10};
    d->transform = transform_plain(0.00392156862745098f, 0.2860f, 0.3530f, 2);
    cr_assert_eq(dataset_alloc(d, false, &fill, NULL), OK);
    for (size_t i = 0; i < d->num_items * d->item_size; i++) {
        if (type == DATA_U8)
            ((uint8_t *)fill.x)[i] = (uint8_t)(i * 31);
        else
            ((float *)fill.x)[i] = (float)i / 7.0f;
    }
    for (size_t i = 0; i < d->num_items; i++)
        fill.labels[i] = label_mod_3(i);
}

static struct data_folder load_ok(const char *path, bool worker)
{
    struct data_folder folder;
    struct diags *diags = diags_new();

    if (data_folder_load(path, worker, NULL, &folder, diags)) {
        char *text = diags_text(diags);
        cr_assert_fail("%s", text);
    }
    cr_assert_eq(diags_errors(diags) + diags_warnings(diags), 0);
    diags_free(diags);
    return folder;
}

static void check_same(const struct data_view *view, const struct dataset *found)
{
    float expected[4 * 64 * 2], x[4 * 64 * 2];
    int32_t expected_labels[4], labels[4];

    cr_assert(found->num_items == 4 && found->num_classes == 10 && found->type == view->dataset->type);
    data_gather(view, NULL, 0, 4, expected, expected_labels, NULL);
    data_gather(&(struct data_view){found, NULL, 4}, NULL, 0, 4, x, labels, NULL);
    cr_assert_eq(memcmp(x, expected, 4 * 8 * 7 * sizeof *x), 0);
    cr_assert_eq(memcmp(labels, expected_labels, sizeof labels), 0);
}

Test(folder, written_and_read_gives_the_same_batches)
{
    const uint32_t index[] = {8, 1, 4, 0};
    char *scratch = scratch_new();

    for (int type = DATA_U8; type <= DATA_F32; type++) {
        struct dataset d;
        struct error err = ERROR_INIT;
        const char *path = path_in(scratch, type == DATA_U8 ? "bytes" : "floats");
        make_images(&d, (enum data_type)type);
        struct data_view view = {&d, index, 4};
        cr_assert_eq(data_folder_write(path, true, "FMNIST", &view, &err), OK, "%s", err.message);
        struct data_folder folder = load_ok(path, true);
        check_same(&view, &folder.dataset);
        cr_assert_str_eq(folder.config.dataset_details.dataset_id, "FMNIST");
        cr_assert_str_eq(folder.name, type == DATA_U8 ? "bytes" : "floats");
        cr_assert_eq(folder.config.metadata.num_items, 4);
        cr_assert_float_eq(folder.config.local_validation_fraction, 0.05, 1e-12);
        char *json = yaml_to_json(folder.config.metadata.label_distribution);
        cr_assert_str_eq(json, "{\"0\":0.25,\"1\":0.5,\"2\":0.25}");
        free(json);
        data_folder_fini(&folder);
        dataset_fini(&d);
    }
    scratch_free(scratch);
}

static char *bytes_of(const char *path, size_t *size)
{
    struct blob *blob;

    cr_assert_eq(fs_read(path, 1 << 20, &blob, NULL), OK);
    *size = blob_size(blob);
    char *copy = malloc(*size + 1);
    memcpy(copy, blob_bytes(blob), *size);
    blob_unref(blob);
    return copy;
}

Test(folder, the_same_view_gives_the_same_bytes)
{
    char *scratch = scratch_new();
    struct dataset d;
    size_t a_size, b_size;

    make_images(&d, DATA_U8);
    struct data_view view = {&d, NULL, 9};
    cr_assert_eq(data_folder_write(path_in(scratch, "a"), false, "id", &view, NULL), OK);
    cr_assert_eq(data_folder_write(path_in(scratch, "b"), false, "id", &view, NULL), OK);
    char *a = bytes_of(path_in(scratch, "a/data.safetensors"), &a_size);
    char *b = bytes_of(path_in(scratch, "b/data.safetensors"), &b_size);
    cr_assert(a_size == b_size && memcmp(a, b, a_size) == 0);
    cr_assert(fs_exists(path_in(scratch, "a/dataset_config.yaml")));
    free(a);
    free(b);
    dataset_fini(&d);
    scratch_free(scratch);
}

static void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

/* An IDX pair as a data set folder, with the smallest config that Flotilla would accept. */
static void make_idx_folder(const char *scratch, const char *config)
{
    size_t size;
    unsigned char *bytes = idx_images(12, 4, 3, &size);

    write_gz(path_in(scratch, "train-images-idx3-ubyte.gz"), bytes, size);
    free(bytes);
    bytes = idx_labels(12, 3, &size);
    write_gz(path_in(scratch, "train-labels-idx1-ubyte.gz"), bytes, size);
    free(bytes);
    write_text(path_in(scratch, "train_dataset_config.yaml"), config);
}

#define DETAILS(file)                                                                                                  \
    "dataset_details: {data_filename: " file ", dataset_id: X, dataset_tags: [A], suitable_models: [LeNet5]}\n"
#define IDX_DETAILS DETAILS("train-images-idx3-ubyte.gz")

Test(folder, idx_data_take_the_transform_of_the_config_and_lacking_metadata_is_computed)
{
    char *scratch = scratch_new();

    make_idx_folder(scratch, IDX_DETAILS "transform: {mean: 0.5, padding: 1}\nlocal_validation_fraction: 0\n");
    struct data_folder folder = load_ok(scratch, true);
    cr_assert(folder.dataset.transform.padding == 1 && folder.dataset.transform.mean[0] == 0.5f);
    cr_assert_float_eq((double)folder.dataset.transform.scale, 1.0 / 255.0, 1e-9);
    cr_assert_eq(folder.config.metadata.num_items, 12);
    cr_assert_eq(folder.config.local_validation_fraction, 0.0);
    cr_assert_eq(yaml_size(folder.config.metadata.label_distribution), 3);
    data_folder_fini(&folder);
    scratch_free(scratch);
}

Test(folder, wrong_metadata_gives_way_to_the_data_with_a_warning)
{
    char *scratch = scratch_new();
    struct data_folder folder;
    struct diags *diags = diags_new();

    make_idx_folder(scratch, IDX_DETAILS "metadata: {num_items: 13, label_distribution: {0: 1}}\n");
    cr_assert_eq(data_folder_load(scratch, true, NULL, &folder, diags), OK);
    cr_assert_eq(diags_warnings(diags), 1);
    expect_finding(diags, "num_items is 13, but there are 12 items");
    cr_assert_eq(yaml_size(folder.config.metadata.label_distribution), 3);
    data_folder_fini(&folder);
    diags_free(diags);
    scratch_free(scratch);
}

static void expect_refusal(const char *path, const char *message)
{
    struct data_folder folder;
    struct diags *diags = diags_new();

    cr_assert_neq(data_folder_load(path, true, NULL, &folder, diags), OK);
    expect_finding(diags, message);
    cr_assert(!folder.path && !folder.dataset.memory);
    diags_free(diags);
}

Test(folder, bad_configs_are_refused_with_their_place)
{
    char *scratch = scratch_new();
    const char *config = path_in(scratch, "train_dataset_config.yaml");

    expect_refusal(path_in(scratch, "nothing"), "no such data set folder; make one with `flosim partition`");
    expect_refusal(scratch, "train_dataset_config.yaml");
    write_text(config, "metadata: {num_items: 1}\n");
    expect_refusal(scratch, "dataset_details");
    write_text(config, DETAILS("../secret"));
    expect_refusal(scratch, "the name of a file in the same folder is expected");
    write_text(config, DETAILS("x.safetensors") "metadata: {label_distribution: [1]}\n");
    expect_refusal(scratch, "train_dataset_config.yaml:2:32: metadata.label_distribution: a mapping");
    write_text(config, DETAILS("x.safetensors") "metadata: {label_distribution: {0: a}}\n");
    expect_refusal(scratch, "a number that is not negative");
    write_text(config, DETAILS("x.safetensors") "local_validation_fraction: 1\n");
    expect_refusal(scratch, "train_dataset_config.yaml:2:28:");
    write_text(config, DETAILS("x.safetensors"));
    expect_refusal(scratch, "x.safetensors");
    scratch_free(scratch);
}

Test(folder, foreign_data_files_are_refused_with_advice)
{
    char *scratch = scratch_new();
    const char *config = path_in(scratch, "train_dataset_config.yaml");

    write_text(config, DETAILS("data.pth"));
    write_text(path_in(scratch, "data.pth"), "PK\3\4");
    expect_refusal(scratch, "save_file");
    write_text(config, DETAILS("data.dat"));
    write_text(path_in(scratch, "data.dat"), "\x80\2}");
    expect_refusal(scratch, "a PyTorch file is a pickle");
    write_text(path_in(scratch, "data.dat"), "what is this");
    expect_refusal(scratch, "neither IDX (.gz or plain) nor safetensors");
    write_text(config, DETAILS("data.safetensors"));
    write_text(path_in(scratch, "data.safetensors"), "short");
    expect_refusal(scratch, "data.safetensors");
    scratch_free(scratch);
}

Test(folder, ids_that_are_no_folder_names_are_refused)
{
    struct dataset *d = labelled_new(3, 3, label_mod_3);
    struct data_view view = {d, NULL, 3}, empty = {d, NULL, 0};
    char *scratch = scratch_new();

    cr_assert_eq(data_folder_write(path_in(scratch, "a"), true, "../x", &view, NULL), ERR_INVALID);
    cr_assert_eq(data_folder_write(path_in(scratch, "a"), true, "a\"b", &view, NULL), ERR_INVALID);
    cr_assert_eq(data_folder_write(path_in(scratch, "a"), true, "a", &empty, NULL), ERR_INVALID);
    scratch_free(scratch);
    labelled_free(d);
}
