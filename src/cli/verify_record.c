/* Records of PyTorch: their tensors, checked, and what their metadata asks for. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/model.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "util/fs.h"

int record_open(const char *path, struct record *out, struct error *err)
{
    int status = fs_map(path, &out->blob, err);

    out->file = NULL;
    if (status != OK) {
        out->blob = NULL;
        return status;
    }
    status = safetensors_parse(blob_span(out->blob), &out->file, err);
    return status ? error_context(err, status, "%s", path) : OK;
}

void record_close(struct record *record)
{
    safetensors_free(record->file);
    blob_unref(record->blob);
}

const char *record_word(const struct record *record, const char *key, const char *fallback)
{
    const char *word = safetensors_metadata(record->file, key);

    return word ? word : fallback;
}

int record_find(const struct record *record, const char *name, const struct safetensors_tensor **out, struct error *err)
{
    *out = safetensors_find(record->file, name);
    return *out ? OK : FAIL(err, ERR_INVALID, "the record has no tensor `%s`", name);
}

static size_t count_of(const struct safetensors_tensor *tensor)
{
    size_t count = 1;

    for (int i = 0; i < tensor->num_dims; i++)
        count *= (size_t)tensor->dims[i];
    return count;
}

/* Value i of a tensor of any type that records have; NaN of another. */
static double value_at(const struct safetensors_tensor *tensor, size_t i)
{
    const char *bytes = tensor->bytes.data;
    float f32;
    double f64;
    int64_t i64;
    int32_t i32;

    if (!strcmp(tensor->dtype, "F32"))
        return memcpy(&f32, bytes + i * 4, 4), (double)f32;
    if (!strcmp(tensor->dtype, "F64"))
        return memcpy(&f64, bytes + i * 8, 8), f64;
    if (!strcmp(tensor->dtype, "I64"))
        return memcpy(&i64, bytes + i * 8, 8), (double)i64;
    if (!strcmp(tensor->dtype, "I32"))
        return memcpy(&i32, bytes + i * 4, 4), (double)i32;
    return (double)NAN;
}

static int check_shape(const struct safetensors_tensor *tensor, int num_dims, const int64_t *dims, struct error *err)
{
    char found[SHAPE_TEXT_MAX], wanted[SHAPE_TEXT_MAX];
    size_t count = 1;

    for (int i = 0; dims && i < num_dims; i++)
        count *= (size_t)dims[i];
    if (!dims || shape_equal(num_dims, dims, tensor->num_dims, tensor->dims) || (count == 1 && count_of(tensor) == 1))
        return OK;
    shape_text(tensor->num_dims, tensor->dims, found);
    shape_text(num_dims, dims, wanted);
    return FAIL(err, ERR_INVALID, "the record's tensor `%s` is %s where %s is wanted", tensor->name, found, wanted);
}

int record_floats(const struct record *record, const char *name, int num_dims, const int64_t *dims, float **out,
                  struct error *err)
{
    const struct safetensors_tensor *tensor;
    int status = record_find(record, name, &tensor, err);
    size_t n;

    *out = NULL;
    if (!status)
        status = check_shape(tensor, num_dims, dims, err);
    if (status)
        return status;
    n = count_of(tensor);
    *out = malloc((n ? n : 1) * sizeof **out);
    if (!*out)
        return FAIL(err, ERR_MEMORY, "out of memory for `%s`", name);
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = (float)value_at(tensor, i);
        if (!isfinite((*out)[i])) {
            free(*out);
            *out = NULL;
            return isnan(value_at(tensor, i)) && tensor->dtype[0] != 'F'
                       ? FAIL(err, ERR_INVALID, "the record's tensor `%s` is of type %s", name, tensor->dtype)
                       : FAIL(err, ERR_INVALID, "value %zu of the record's tensor `%s` is not finite", i, name);
        }
    }
    return OK;
}

int record_numbers(const struct record *record, const char *name, int64_t limit, int32_t **out, struct error *err)
{
    const struct safetensors_tensor *tensor;
    int status = record_find(record, name, &tensor, err);
    size_t n;

    *out = NULL;
    if (status)
        return status;
    if (tensor->dtype[0] != 'I')
        return FAIL(err, ERR_INVALID, "the record's tensor `%s` holds %s, where whole numbers are wanted", name,
                    tensor->dtype);
    n = count_of(tensor);
    *out = malloc((n ? n : 1) * sizeof **out);
    if (!*out)
        return FAIL(err, ERR_MEMORY, "out of memory for `%s`", name);
    for (size_t i = 0; i < n; i++) {
        double value = value_at(tensor, i);

        if (!(value >= 0 && value < (double)limit)) {
            free(*out);
            *out = NULL;
            return FAIL(err, ERR_INVALID, "value %zu of the record's tensor `%s` is %.0f, where 0 to %lld are known", i,
                        name, value, (long long)limit - 1);
        }
        (*out)[i] = (int32_t)value;
    }
    return OK;
}

/* --- metadata --- */

/* Values go into YAML, so nothing that means something there may be among them. */
static bool is_plain(const char *text)
{
    if (!*text || strlen(text) >= sizeof((struct argument *)0)->value)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("_.+-, ", *text))
            return false;
    return true;
}

/* None is an argument that was not given. */
static bool is_none(const char *value)
{
    return !value || !strcmp(value, "None");
}

static const char *argument_of(const struct record *record, const struct param *row, const struct argument *more,
                               size_t num_more)
{
    const char *value = record_word(record, row->name, row->alias ? record_word(record, row->alias, NULL) : NULL);

    for (size_t i = 0; is_none(value) && i < num_more; i++)
        if (!strcmp(more[i].name, row->name) && more[i].value[0])
            value = more[i].value;
    return is_none(value) ? NULL : value;
}

int record_arguments(const struct record *record, const struct param_table *table, const struct argument *more,
                     size_t num_more, char *out, size_t size, struct error *err)
{
    size_t used = (size_t)snprintf(out, size, "{");

    for (size_t i = 0; table && i < table->num_rows; i++) {
        const char *value = argument_of(record, &table->rows[i], more, num_more);
        bool list = value && strchr(value, ',');

        if (!value)
            continue;
        if (!is_plain(value))
            return FAIL(err, ERR_INVALID, "the record's metadata gives `%s` as `%.40s`, which is no plain value",
                        table->rows[i].name, value);
        used += (size_t)snprintf(out + used, size - used, "%s%s: %s%s%s", used > 1 ? ", " : "", table->rows[i].name,
                                 list ? "[" : "", value, list ? "]" : "");
        if (used + 2 > size)
            return FAIL(err, ERR_INVALID, "the record's metadata is too long");
    }
    snprintf(out + used, size - used, "}");
    return OK;
}

static bool same_value(const char *a, const char *b)
{
    double x, y;

    if (param_parse_scalar(PARAM_DOUBLE, a, &x, NULL) == OK && param_parse_scalar(PARAM_DOUBLE, b, &y, NULL) == OK)
        return !(x < y || x > y);
    return !strcasecmp(a, b);
}

/* Words that describe a record, and those of PyTorch's arguments that are computed with here at their default only. */
static bool is_harmless(const char *key, const char *value)
{
    static const char *const describing[] = {"kind", "train", "layer", "loss", "optimizer", "input", "model", "note"};
    static const char *const defaults[][2] = {
        {"foreach", "False"},     {"fused", "False"},          {"differentiable", "False"},
        {"capturable", "False"},  {"maximize", "False"},       {"padding_mode", "zeros"},
        {"dilation", "1"},        {"return_indices", "False"}, {"inplace", "False"},
        {"inplace", "True"},      {"approximate", "none"},     {"track_running_stats", "True"},
        {"batch_first", "True"},  {"bidirectional", "False"},  {"bias", "True"},
        {"proj_size", "0"},       {"norm_type", "2"},          {"scale_grad_by_freq", "False"},
        {"sparse", "False"},      {"log_target", "False"},     {"ignore_index", "-100"},
        {"label_smoothing", "0"}, {"reduction", "mean"},       {"reduction", "mean (over every element)"},
    };

    for (size_t i = 0; i < sizeof describing / sizeof *describing; i++)
        if (!strcmp(key, describing[i]))
            return true;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (!strcmp(key, defaults[i][0]) && same_value(value, defaults[i][1]))
            return true;
    return is_none(value);
}

static bool is_argument(const struct param_table *const *tables, const char *key)
{
    for (; *tables; tables++)
        for (size_t i = 0; i < (*tables)->num_rows; i++) {
            const struct param *row = &(*tables)->rows[i];

            if (!strcmp(key, row->name) || (row->alias && !strcmp(key, row->alias)))
                return true;
        }
    return false;
}

int record_check_metadata(const struct record *record, const char *what, const struct param_table *const *tables,
                          struct error *err)
{
    char unknown[256] = "";
    size_t used = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)safetensors_all_metadata(record->file), key, value)
    {
        if (is_argument(tables, key) || is_harmless(key, json_string_value(value)) || used >= sizeof unknown)
            continue;
        used += (size_t)snprintf(unknown + used, sizeof unknown - used, "%s`%.40s: %.40s`", used ? ", " : "", key,
                                 json_string_value(value));
    }
    return used ? FAIL(err, ERR_INVALID, "the record's metadata has %s, which %s does not know here", unknown, what)
                : OK;
}

const struct loss_ops *record_loss(const struct record *record, struct error *err)
{
    static const char *const short_names[][2] = {{"bce", "binary_crossentropy"},
                                                 {"kldiv", "binary_kldiv"},
                                                 {"l1", "binary_l1loss"},
                                                 {"mse", "mean_square_error"}};
    const char *name = record_word(record, "loss", "crossentropy");
    const struct loss_ops *loss;

    for (size_t i = 0; i < sizeof short_names / sizeof *short_names; i++)
        if (!strcmp(name, short_names[i][0]))
            name = short_names[i][1];
    loss = loss_find(name);
    if (!loss)
        FAIL(err, ERR_INVALID, "the record's metadata names the loss `%.40s`, which there is not", name);
    return loss;
}

/* "sgd_momentum_wd" is sgd: the longest name that the word begins with. */
static const struct optimizer_ops *optimizer_of(const char *word)
{
    const struct optimizer_ops *best = NULL;

    for (size_t i = 0; optimizers[i]; i++) {
        size_t n = strlen(optimizers[i]->name);

        if (!strncmp(word, optimizers[i]->name, n) && (!word[n] || word[n] == '_') && (!best || n > strlen(best->name)))
            best = optimizers[i];
    }
    return best;
}

int record_optimizer(const struct record *record, size_t num_parameters, struct optimizer **out, struct error *err)
{
    const char *word = record_word(record, "optimizer", NULL);
    const struct optimizer_ops *ops = word ? optimizer_of(word) : NULL;
    const struct param_table *clipping = &optimizer_clipping_table;
    char args[512], clip[128], text[768];
    int status;

    *out = NULL;
    if (!ops)
        return FAIL(err, ERR_INVALID, "the record's metadata names %s%.40s%s",
                    word ? "the optimizer `" : "no optimizer", word ? word : "", word ? "`, which there is not" : "");
    if (!record_word(record, "lr", NULL))
        return FAIL(err, ERR_INVALID, "the record's metadata has no `lr`");
    status =
        record_check_metadata(record, ops->name, (const struct param_table *const[]){ops->params, clipping, NULL}, err);
    if (!status)
        status = record_arguments(record, ops->params, NULL, 0, args, sizeof args, err);
    if (!status)
        status = record_arguments(record, clipping, NULL, 0, clip, sizeof clip, err);
    if (status)
        return status;
    snprintf(text, sizeof text, "{name: %s, args: %s%s%s", ops->name, args, clip[1] == '}' ? "" : ", ", clip + 1);
    status = optimizer_new(span_of(text, strlen(text)), 1e-3, num_parameters, out, err);
    return status ? error_context(err, ERR_INVALID, "the record's metadata") : OK;
}
