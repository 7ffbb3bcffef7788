/* Data set folders, Flotilla's form: a data file beside train_dataset_config.yaml (worker) or dataset_config.yaml (the
 * leader's validation data). The folder's name is the data set's key in adverts and requests. */
#ifndef FLOSIM_DATA_FOLDER_H
#define FLOSIM_DATA_FOLDER_H

#include "data/csv.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "data/loader_args.h"
#include "data/text.h"
#include "data/transform_args.h"
#include "util/params.h"

struct dataset_details {
    char *data_filename, *dataset_id;
    struct string_list dataset_tags, suitable_models;
};

struct dataset_config { /* the YAML file */
    struct dataset_details dataset_details;
    struct {
        struct yaml_node label_distribution; /* as written; recomputed from the data where absent */
        int64_t num_items;
    } metadata;
    struct transform_args transform;  /* ours: how raw values become inputs; where the data file does not say */
    struct idx_args idx;              /* ours: of IDX files */
    struct text_args text;            /* ours: of text files */
    struct csv_args csv;              /* ours: of CSV files */
    double local_validation_fraction; /* ours */
};

extern const struct param_table dataset_config_table;

struct data_folder {
    char *path, *name;
    struct dataset_config config;
    struct dataset dataset;
};

/* Read config and data. `worker`: train_dataset_config.yaml, else dataset_config.yaml. `loader` (may be NULL): what the
 * session says of how the data are cut, over what the config says. Metadata that the file lacks is computed from the
 * data; metadata that contradicts the data is replaced, with a warning where the session did not ask for other items.
 * Finish with data_folder_fini (on failure nothing is held). */
int data_folder_load(const char *path, bool worker, const struct loader_args *loader, struct data_folder *out,
                     struct diags *diags);
void data_folder_fini(struct data_folder *folder);

/* Read one data file by its ending and head: IDX(.gz), safetensors with x and y. `data_filename` of an IDX image file
 * finds its labels by name (train-images-idx3-ubyte.gz -> train-labels-idx1-ubyte.gz). A .pth is refused with a hint.
 */
int data_file_load(const char *path, struct dataset *out, struct diags *diags);

/* What the rows of dataset_config_table cannot say; findings go to `diags`. Used by load and `flosim check`. */
void dataset_config_check(const struct dataset_config *config, const char *file, struct diags *diags);

/* Write a folder for one view: data.safetensors (x raw, y; transform in its metadata) and the config file. */
int data_folder_write(const char *path, bool worker, const char *dataset_id, const struct data_view *view,
                      struct error *err);

#endif
