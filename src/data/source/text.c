/* Text, as windows of characters, words or bytes. */
#include "data/text.h"
#include "data/source.h"

struct args {
    struct string_list train, validation;
    double validation_fraction;
    struct text_args text;
};

// clang-format off
static const struct param rows[] = {
    {.name = "train", .type = PARAM_STRINGS, .offset = offsetof(struct args, train), .flags = PARAM_REQUIRED | PARAM_FILE,
     .help = "Text files: .tsv has `client<TAB>text` lines, .json is LEAF's, others are plain; .gz too. A folder holds "
             "one file a client."},
    {.name = "validation", .type = PARAM_STRINGS, .flags = PARAM_FILE, .offset = offsetof(struct args, validation),
     .help = "The same for validation; default: a part of the training text."},
    {.name = "validation_fraction", .type = PARAM_FRACTION, .offset = offsetof(struct args, validation_fraction),
     .fallback = "0.1", .min = 0, .max = 0.9,
     .help = "Without validation files: the last part of each text, held out for validation."},
    TEXT_ROWS(offsetof(struct args, text)),
};
// clang-format on

static const struct param_table table = {
    .name = "source text",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int load(const void *opaque, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    const struct args *args = opaque;

    (void)seed;
    *out = (struct data_pair){0};
    if (args->train.n == 0) {
        diag_error(diags, (struct diag_place){"train", 0, 0}, "no file is named");
        return ERR_INVALID;
    }
    return text_load(&args->text, &args->train, &args->validation, args->validation_fraction, &out->train,
                     &out->validation, diags);
}

const struct source_ops source_text = {
    .name = "text",
    .help = "Text as windows of characters, words or bytes that predict what comes next; clients where the files name "
            "them.",
    .params = &table,
    .load = load,
};
