/* backdoor_success: does the trigger of a fault `backdoor` work on the model that the session ended with? The leader
 * does not know of it; the supervisor looks when all processes have ended. */
#include <math.h>
#include <stdlib.h>

#include "codec/encoding.h"
#include "leader/session_check.h"
#include "nn/model.h"
#include "nn/run.h"
#include "sim/backdoor.h"
#include "sim/simulation_internal.h"
#include "util/fs.h"
#include "util/large.h"

struct triggered { /* validation items of other classes than the target */
    struct data_view view;
    const struct backdoor *backdoor;
};

static void fetch(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values)
{
    const struct triggered *triggered = context;
    const struct dataset *data = triggered->view.dataset;

    data_gather(&triggered->view, NULL, first, count, x, labels, values);
    for (size_t i = 0; i < count; i++) {
        backdoor_stamp(data, (int)triggered->backdoor->size, x + i * backdoor_item_size(data));
        labels[i] = (int32_t)triggered->backdoor->target;
    }
}

/* Fills index [all->num_items]; returns how many. */
static size_t list_others(const struct data_view *all, int64_t target, uint32_t *index)
{
    size_t n = 0;

    for (size_t i = 0; i < all->num_items; i++) {
        uint32_t item = all->index ? all->index[i] : (uint32_t)i;

        if (all->dataset->labels[item] != target)
            index[n++] = item;
    }
    return n;
}

static float *read_weights(const struct simulation *s, const struct model *model, struct error *err)
{
    char *path = run_folder_file(&s->folder, "model.safetensors");
    float *weights = large_alloc(model_layout(model)->num_floats * sizeof *weights);
    struct blob *image = NULL;
    int status = path && weights ? fs_map(path, &image, err) : FAIL(err, ERR_MEMORY, "out of memory");

    if (status == OK)
        status = weights_decode(model_layout(model), blob_span(image), weights, err);
    blob_unref(image);
    free(path);
    if (status == OK)
        return weights;
    free(weights);
    return NULL;
}

static double measure(const struct simulation *s, const struct model *model, const struct triggered *triggered,
                      struct error *err)
{
    const char *loss = s->scenario.session.client_training_config.loss_function;
    const struct batch_source source = {triggered->view.num_items, false, fetch, NULL, triggered};
    float *weights = read_weights(s, model, err);
    struct evaluation figures = {.accuracy = NAN};

    if (weights && triggered->view.num_items > 0 &&
        evaluate(model, loss_find(loss ? loss : "crossentropy"), weights, &source, 100, 1, NULL, NULL, &figures, err))
        figures.accuracy = NAN;
    free(weights);
    return figures.accuracy;
}

static const struct backdoor *find_backdoor(const struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->num_faults; i++)
        if (scenario->faults[i].ops == &fault_backdoor)
            return scenario->faults[i].args;
    return NULL;
}

double simulation_backdoor_success(const struct simulation *s)
{
    const struct session_config *session = &s->scenario.session;
    struct triggered triggered = {s->data.validation, find_backdoor(&s->scenario)};
    struct diags *diags = triggered.backdoor ? diags_new() : NULL;
    uint32_t *index = diags ? malloc((triggered.view.num_items + 1) * sizeof *index) : NULL;
    struct model *model = index ? session_model_load(session, session->server_training_config.model_dir, diags) : NULL;
    struct error err = ERROR_INIT;
    double success = NAN;

    if (model) {
        triggered.view.num_items = list_others(&s->data.validation, triggered.backdoor->target, index);
        triggered.view.index = index;
        success = measure(s, model, &triggered, &err);
    }
    if (model && err.status)
        fprintf(stderr, "flosim: backdoor_success: %s\n", err.message);
    model_free(model);
    free(index);
    diags_free(diags);
    return success;
}
