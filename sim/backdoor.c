#include "sim/backdoor.h"

size_t backdoor_item_size(const struct dataset *data)
{
    int64_t dims[DATA_MAX_DIMS];
    int num_dims = dataset_shape(data, dims);
    size_t size = 1;

    for (int i = 0; i < num_dims; i++)
        size *= (size_t)dims[i];
    return size;
}

/* The brightest pixel, as the model sees it. */
static float white(const struct dataset *data, size_t plane)
{
    const struct transform *t = &data->transform;
    size_t c = t->num_channels > 1 ? plane % (size_t)t->num_channels : 0;
    float raw = data->type == DATA_U8 ? 255 : 1;

    return (raw * t->scale - t->mean[c]) / t->std[c];
}

void backdoor_stamp(const struct dataset *data, int size, float *x)
{
    int64_t dims[DATA_MAX_DIMS];
    int last = dataset_shape(data, dims) - 1, border = data->transform.padding;
    size_t rows = (size_t)dims[last - 1], columns = (size_t)dims[last];
    size_t planes = backdoor_item_size(data) / (rows * columns);

    for (size_t plane = 0; plane < planes; plane++)
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) {
                size_t row = rows - 1 - (size_t)(border + i), column = columns - 1 - (size_t)(border + j);

                x[(plane * rows + row) * columns + column] = white(data, plane);
            }
}
