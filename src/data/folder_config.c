/* The parameter table of train_dataset_config.yaml and dataset_config.yaml, and what a table cannot check. */
#include <string.h>

#include "data/data_file.h"
#include "data/folder.h"
#include "util/fs.h"

#define CONFIG             struct dataset_config
#define IN_METADATA(field) (offsetof(CONFIG, metadata.field) - offsetof(CONFIG, metadata))

// clang-format off
static const struct param details_rows[] = {
    {.name = "data_filename", .type = PARAM_STRING, .offset = offsetof(struct dataset_details, data_filename),
     .flags = PARAM_REQUIRED, .help = "The data file in this folder: safetensors or .npz with x and y, an IDX image file, CIFAR, CSV, text."},
    {.name = "dataset_id", .type = PARAM_STRING, .offset = offsetof(struct dataset_details, dataset_id),
     .flags = PARAM_REQUIRED, .help = "What the data set is called; sessions name the folder."},
    {.name = "dataset_tags", .type = PARAM_STRINGS, .offset = offsetof(struct dataset_details, dataset_tags),
     .help = "Free words about the data."},
    {.name = "suitable_models", .type = PARAM_STRINGS, .offset = offsetof(struct dataset_details, suitable_models),
     .help = "Models that the data are meant for."},
};

static const struct param metadata_rows[] = {
    {.name = "label_distribution", .type = PARAM_NODE, .offset = IN_METADATA(label_distribution),
     .help = "Fraction of each label; computed from the data where absent."},
    {.name = "num_items", .type = PARAM_INT, .offset = IN_METADATA(num_items), .fallback = "0",
     .min = 0, .max = 4294967295.0, .help = "Number of items; computed from the data where absent."},
};

static const struct param transform_rows[] = {
    TRANSFORM_ROWS(0, "0", "1", "0"),
};

static const struct param idx_rows[] = {
    IDX_ROWS(0),
};

static const struct param_table idx_table = {
    .name = "idx", .help = "How an IDX file is read.", .rows = idx_rows,
    .num_rows = sizeof idx_rows / sizeof *idx_rows, .size = sizeof(struct idx_args),
};

static const struct param text_rows[] = {
    TEXT_ROWS(0),
};

const struct param_table text_args_table = {
    .name = "text", .help = "How a text file is read.", .rows = text_rows,
    .num_rows = sizeof text_rows / sizeof *text_rows, .size = sizeof(struct text_args),
};

static const struct param csv_rows_of[] = {
    CSV_ROWS(0),
};

const struct param_table csv_args_table = {
    .name = "csv", .help = "How a CSV file is read.", .rows = csv_rows_of,
    .num_rows = sizeof csv_rows_of / sizeof *csv_rows_of, .size = sizeof(struct csv_args),
};

static const struct param_table details_table = {
    .name = "dataset_details", .rows = details_rows, .num_rows = sizeof details_rows / sizeof *details_rows,
    .size = sizeof(struct dataset_details),
};

static const struct param_table metadata_table = {
    .name = "metadata", .rows = metadata_rows, .num_rows = sizeof metadata_rows / sizeof *metadata_rows,
    .size = sizeof(((CONFIG *)0)->metadata),
};

static const struct param_table transform_table = {
    .name = "transform",
    .help = "How raw values become inputs, (raw * scale - mean) / std, where the data file does not say.",
    .rows = transform_rows, .num_rows = sizeof transform_rows / sizeof *transform_rows,
    .size = sizeof(struct transform_args),
};

static const struct param config_rows[] = {
    {.name = "dataset_details", .type = PARAM_SECTION, .offset = offsetof(CONFIG, dataset_details),
     .table = &details_table, .flags = PARAM_REQUIRED, .help = "What the data are."},
    {.name = "metadata", .type = PARAM_SECTION, .offset = offsetof(CONFIG, metadata), .table = &metadata_table,
     .help = "What is advertised about them."},
    {.name = "transform", .type = PARAM_SECTION, .offset = offsetof(CONFIG, transform), .table = &transform_table,
     .flags = PARAM_OURS, .help = "How raw values become inputs."},
    {.name = "idx", .type = PARAM_SECTION, .offset = offsetof(CONFIG, idx), .table = &idx_table, .flags = PARAM_OURS,
     .help = "How an IDX file is read."},
    {.name = "text", .type = PARAM_SECTION, .offset = offsetof(CONFIG, text), .table = &text_args_table,
     .flags = PARAM_OURS, .help = "How a text file is read."},
    {.name = "csv", .type = PARAM_SECTION, .offset = offsetof(CONFIG, csv), .table = &csv_args_table, .flags = PARAM_OURS,
     .help = "How a CSV file is read."},
    {.name = "local_validation_fraction", .type = PARAM_FRACTION, .offset = offsetof(CONFIG, local_validation_fraction),
     .fallback = "0.05", .min = 0, .max = 0.99, .flags = PARAM_OURS,
     .help = "Part of the items, the last ones, that a worker validates on and does not train on."},
};

const struct param_table dataset_config_table = {
    .name = "dataset",
    .help = "train_dataset_config.yaml (worker) or dataset_config.yaml (the leader's validation data).",
    .rows = config_rows, .num_rows = sizeof config_rows / sizeof *config_rows, .size = sizeof(CONFIG),
};
// clang-format on

static void check_distribution(struct yaml_node node, struct diags *diags)
{
    if (yaml_kind(node) != YAML_MAPPING) {
        diag_error(diags, yaml_place(node),
                   "metadata.label_distribution: a mapping of labels to fractions is expected");
        return;
    }
    for (size_t i = 0; i < yaml_size(node); i++) {
        struct yaml_node value = yaml_value(node, i);
        double share;
        if (!yaml_text(value) || param_parse_scalar(PARAM_DOUBLE, yaml_text(value), &share, NULL) || share < 0)
            diag_error(diags, yaml_place(value),
                       "metadata.label_distribution: a number that is not negative is expected");
    }
}

void dataset_config_check(const struct dataset_config *config, const char *file, struct diags *diags)
{
    struct yaml_node distribution = config->metadata.label_distribution;
    const char *data_filename = config->dataset_details.data_filename;

    if (data_filename && !fs_is_component(data_filename))
        diag_error(diags, (struct diag_place){file, 0, 0},
                   "dataset_details.data_filename `%s`: the name of a file in the same folder is expected",
                   data_filename);
    if (distribution.doc && !yaml_is_null(distribution))
        check_distribution(distribution, diags);
}
