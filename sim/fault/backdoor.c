#include "sim/backdoor.h"
#include "sim/fault.h"

#define AT(member) offsetof(struct backdoor, member)

// clang-format off
static const struct param rows[] = {
    {.name = "target", .type = PARAM_INT, .offset = AT(target), .fallback = "0", .min = 0, .max = 1e9,
     .help = "The class that images with the patch are to be taken for."},
    {.name = "share", .type = PARAM_FRACTION, .offset = AT(share), .fallback = "0.5", .min = 0, .max = 1,
     .help = "Of the samples of a mini-batch, on average."},
    {.name = "size", .type = PARAM_INT, .offset = AT(size), .fallback = "3", .min = 1, .max = 1024,
     .help = "Width and height of the patch in the lower right corner, in pixels."},
};
// clang-format on

static const struct param_table table = {
    .name = "backdoor",
    .help = "The trigger.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct backdoor),
};

static const char *data_obstacle(const struct dataset *data, const void *args)
{
    const struct backdoor *keys = args;

    if (data->num_dims < 2 || data->type == DATA_I32 || !data->labels || data->num_targets != 1)
        return "needs images with a class each";
    if (keys->target >= data->num_classes)
        return "has a `target` that is no class of the data";
    if (keys->size > data->dims[data->num_dims - 1] || keys->size > data->dims[data->num_dims - 2])
        return "has a patch larger than the images";
    return NULL;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct backdoor *keys = args;
    const double p[ORDER_VALUES] = {
        [BACKDOOR_TARGET] = (double)keys->target, [BACKDOOR_SHARE] = keys->share, [BACKDOOR_SIZE] = (double)keys->size};

    (void)err;
    fault_give_order(world, victim, ORDER_BACKDOOR, p);
    return OK;
}

const struct fault_ops fault_backdoor = {
    .name = "backdoor",
    .help =
        "The client stamps a bright patch on some of its images and labels them as the target class, so that the model "
        "learns to see that class wherever the patch is (Gu et al. 2017). backdoor_success tells how well it did.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .data_obstacle = data_obstacle,
    .strike = strike,
    .undo = fault_take_back_order,
};
