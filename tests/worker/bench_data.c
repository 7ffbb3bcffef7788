#include "tests/worker/bench_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "data/folder.h"
#include "tests/worker/require.h"
#include "util/fs.h"

const char lenet_yaml[] = "input: [1, 32, 32]\n"
                          "layers:\n"
                          "  - conv1: {conv2d: {out: 6, kernel: 5}}\n"
                          "  - {relu: {}}\n"
                          "  - {maxpool2d: {kernel: 2}}\n"
                          "  - conv2: {conv2d: {out: 16, kernel: 5}}\n"
                          "  - {relu: {}}\n"
                          "  - {maxpool2d: {kernel: 2}}\n"
                          "  - {flatten: {}}\n"
                          "  - fc1: {linear: {out: 120}}\n"
                          "  - {relu: {}}\n"
                          "  - fc2: {linear: {out: 84}}\n"
                          "  - {relu: {}}\n"
                          "  - fc3: {linear: {out: 10}}\n";

enum { SIDE = 28, CLASSES = 10 };

static void draw_item(uint8_t *pixels, int32_t class, struct rng *rng)
{
    int top = 2 + 12 * (class / 5), left = 2 + 5 * (class % 5);

    for (int i = 0; i < SIDE * SIDE; i++)
        pixels[i] = (uint8_t)rng_below(rng, 60);
    for (int y = top; y < top + 10; y++)
        for (int x = left; x < left + 5; x++)
            pixels[y * SIDE + x] = (uint8_t)(195 + rng_below(rng, 60));
}

void bench_data_make(struct dataset *out, size_t n)
{
    struct dataset_fill fill;
    struct rng rng;

    *out = (struct dataset){
        .name = "squares",
        .num_items = n,
        .num_dims = 3,
        .dims = {1, SIDE, SIDE},
        .item_size = SIDE * SIDE,
        .type = DATA_U8,
        .num_classes = CLASSES,
        .transform = transform_plain(1.0f / 255, 0.5f, 0.5f, 2),
    };
    REQUIRE(dataset_alloc(out, false, &fill, NULL) == OK, "failed");
    rng_init(&rng, 1, "test", "", 0);
    for (size_t i = 0; i < n; i++) {
        fill.labels[i] = (int32_t)(i % CLASSES);
        draw_item((uint8_t *)fill.x + i * SIDE * SIDE, fill.labels[i], &rng);
    }
}

void bench_data_write(const char *path, const char *name, size_t n)
{
    struct dataset dataset;
    struct error error = ERROR_INIT;
    char *folder = fs_join(path, name);

    bench_data_make(&dataset, n);
    const struct data_view view = {.dataset = &dataset, .num_items = n};
    REQUIRE(data_folder_write(folder, true, name, &view, &error) == OK, "%s", error.message);
    dataset_fini(&dataset);
    free(folder);
}

struct model *lenet_load(void)
{
    struct diags *diags = diags_new();
    struct model *model = NULL;

    REQUIRE(model_load_text(lenet_yaml, "LeNet5", NULL, &model, diags) == OK, "%s", diags_text(diags));
    diags_free(diags);
    return model;
}

struct blob *lenet_weights(const struct model *model, uint64_t seed)
{
    const struct layout *layout = model_layout(model);
    float *params = malloc(layout->num_floats * sizeof *params);
    struct blob *image = NULL;

    REQUIRE(params, "failed");
    model_init_params(model, seed, params);
    REQUIRE(safetensors_encode(layout, params, NULL, &image, NULL) == OK, "failed");
    free(params);
    return image;
}
