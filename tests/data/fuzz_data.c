/* libFuzzer targets, one program each: the build names which with FUZZ_TARGET. Seeds: tests/data/seeds. */
#include "tests/data/fuzz_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "data/cifar.h"
#include "data/csv.h"
#include "data/idx.h"
#include "data/npz.h"
#include "data/tensor_file.h"
#include "data/text.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* First and last item of what was accepted. */
static void gather(struct dataset *d)
{
    int64_t dims[DATA_MAX_DIMS];
    size_t size = 1;
    struct data_view view = {d, NULL, d->num_items};
    const uint32_t order[] = {(uint32_t)d->num_items - 1, 0};

    require(d->num_items > 0 && d->num_targets > 0 && (d->labels || d->values));
    for (int i = dataset_shape(d, dims) - 1; i >= 0; i--)
        size *= (size_t)dims[i];
    if (size < 1 << 20 && d->num_targets < 1 << 20) {
        float *x = malloc(2 * size * sizeof *x), *values = malloc(2 * d->num_targets * sizeof *values);
        int32_t *labels = malloc(2 * d->num_targets * sizeof *labels);
        require(x && values && labels);
        data_gather(&view, order, 0, 2, x, labels, values);
        for (size_t i = 0; i < 2 * d->num_targets && d->labels && d->num_classes; i++)
            require(labels[i] >= 0 && labels[i] < d->num_classes);
        free(x);
        free(values);
        free(labels);
    }
    dataset_fini(d);
}

void fuzz_safetensors(const uint8_t *data, size_t size)
{
    struct safetensors *file;
    struct dataset d = {0};
    bool has_transform;

    if (!safetensors_parse(span_of(data, size), &file, NULL)) {
        for (size_t i = 0; i < safetensors_count(file); i++) {
            struct span bytes = safetensors_at(file, i)->bytes;
            require((const uint8_t *)bytes.data >= data && (const uint8_t *)bytes.data + bytes.size <= data + size);
        }
        safetensors_free(file);
    }
    if (!tensor_file_decode(span_of(data, size), &d, &has_transform, NULL))
        gather(&d);
}

void fuzz_idx(const uint8_t *data, size_t size)
{
    const struct idx_args args = {.transpose = true, .label_offset = 1};
    struct dataset d = {0};
    int culprit;

    if (size < 1)
        return;
    size_t images = data[0] < size - 1 ? data[0] : size - 1;
    struct span parts[] = {span_of(data + 1, images), span_of(data + 1 + images, size - 1 - images)};
    for (int turned = 0; turned < 2; turned++) {
        d = (struct dataset){0};
        if (!idx_decode(parts[0], parts[1], turned ? &args : NULL, &d, &culprit, NULL)) {
            d.transform = transform_plain(1, 0, 1, 0);
            gather(&d);
        }
    }
}

void fuzz_cifar(const uint8_t *data, size_t size)
{
    const struct span file = span_of(data, size);
    size_t culprit;

    for (int kind = CIFAR_10; kind <= CIFAR_100_COARSE; kind++) {
        struct dataset d = {0};
        if (!cifar_decode((enum cifar_kind)kind, &file, 1, &d, &culprit, NULL)) {
            d.transform = transform_plain(1, 0, 1, 0);
            gather(&d);
        }
    }
}

void fuzz_npz(const uint8_t *data, size_t size)
{
    struct data_array array;
    struct dataset d = {0};

    if (!npy_parse(span_of(data, size), "x", 0, &array, NULL))
        require((const uint8_t *)array.bytes.data + array.bytes.size == data + size);
    if (!npz_decode(span_of(data, size), &d, NULL)) {
        d.transform = transform_plain(1, 0, 1, 0);
        gather(&d);
    }
}

static struct blob *blob_of(const uint8_t *data, size_t size)
{
    struct blob *blob = blob_new(size);

    require(blob);
    if (size)
        memcpy(blob_bytes(blob), data, size);
    return blob;
}

void fuzz_csv(const uint8_t *data, size_t size)
{
    if (size < 1)
        return;
    struct csv_args args = {.column = data[0] & 1 ? "1" : NULL,
                            .target = data[0] & 2 ? "1" : NULL,
                            .group = data[0] & 4 ? "2" : NULL,
                            .lookback = 2,
                            .forecast = 1,
                            .normalise = data[0] >> 3 & 1,
                            .task = data[0] >> 4 & 1};
    const struct csv_part part = {0.0, 0.75, 0.5};
    struct blob *text = blob_of(data + 1, size - 1);
    struct diags *diags = diags_new();
    struct csv_table table;
    struct csv_state state = {0};
    struct dataset d = {0};

    if (!csv_table_parse(&table, text, "fuzz", ',', (enum csv_header)(data[0] >> 5 & 1), diags)) {
        int status = args.target ? csv_rows(&args, &table, &part, &state, &d, diags)
                                 : csv_series(&args, NULL, &table, &part, &state, &d, diags);
        if (status)
            dataset_fini(&d);
        else
            gather(&d);
    }
    csv_state_fini(&state);
    csv_table_fini(&table);
    blob_unref(text);
    free(diags_text(diags));
    diags_free(diags);
}

/* What a vocabulary writes, it reads again, and its own text has no unknown token unless some were left out. */
void fuzz_text(const uint8_t *data, size_t size)
{
    struct vocabulary v, again;
    size_t at_text, at;

    if (size < 1)
        return;
    enum text_unit unit = data[0] % 3;
    struct span text = span_of(data + 1, size - 1);
    if (!vocabulary_build(&v, unit, &text, 1, 65536, &at_text, &at, NULL) && v.text) {
        require(!vocabulary_parse(&again, unit, v.text, NULL));
        require(vocabulary_size(&v) == vocabulary_size(&again));
        vocabulary_fini(&again);
    }
    require(at <= text.size + 1);
    vocabulary_fini(&v);
    struct blob *blob = blob_of(data + 1, size - 1);
    vocabulary_parse(&v, unit, blob, NULL);
    vocabulary_fini(&v);
    blob_unref(blob);
}

#ifdef FUZZ_TARGET
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_TARGET(data, size);
    return 0;
}
#endif
