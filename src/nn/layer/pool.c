#include "nn/layer/pool.h"

#include <string.h>

static int read_args(const struct layer *layer, struct layer_builder *builder, const struct pool_args *args,
                     struct pool_windows *w)
{
    int status = layer_pair(layer, builder, "kernel", &args->kernel, w->kernel);

    memcpy(w->stride, w->kernel, sizeof w->stride);
    if (status == OK)
        status = layer_pair(layer, builder, "stride", &args->stride, w->stride);
    if (status == OK)
        status = layer_pair(layer, builder, "padding", &args->padding, w->padding);
    if (status == OK && (2 * w->padding[0] > w->kernel[0] || 2 * w->padding[1] > w->kernel[1]))
        status = layer_error(layer, builder, "padding must be at most half the kernel's size");
    return status;
}

/* As PyTorch's pooling_output_shape; 0 or less: no window fits. */
static int64_t count_windows(int64_t in, int kernel, int stride, int padding, bool ceil_mode)
{
    int64_t room = in + 2 * padding - kernel + (ceil_mode ? stride - 1 : 0), n;

    if (room < 0)
        return 0;
    n = room / stride + 1;
    return ceil_mode && (n - 1) * stride >= in + padding ? n - 1 : n;
}

int pool_infer(struct layer *layer, struct layer_builder *builder, const struct pool_args *args,
               struct pool_windows *out)
{
    char found[SHAPE_TEXT_MAX];
    int status;

    *out = (struct pool_windows){.out = {0}};
    status = layer_expect_dims(layer, builder, 3, "[C, H, W]");
    if (status == OK)
        status = read_args(layer, builder, args, out);
    layer->out = layer->in;
    for (int i = 0; i < 2 && status == OK; i++) {
        layer->out.dims[1 + i] =
            count_windows(layer->in.dims[1 + i], out->kernel[i], out->stride[i], out->padding[i], args->ceil_mode);
        out->out[i] = (int)layer->out.dims[1 + i];
        if (out->out[i] < 1) {
            shape_text(layer->in.num_dims, layer->in.dims, found);
            return layer_error(layer, builder, "a window of %d x %d does not fit the input of shape %s", out->kernel[0],
                               out->kernel[1], found);
        }
    }
    return status;
}
