/* Telling and reading one data file; private to data. data_file_load in folder.h is the public face. */
#ifndef FLOSIM_DATA_DATA_FILE_H
#define FLOSIM_DATA_DATA_FILE_H

#include "data/csv.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "data/loader_args.h"
#include "data/text.h"
#include "data/transform_args.h"

enum data_format {
    DATA_FORMAT_UNKNOWN,
    DATA_FORMAT_IDX,
    DATA_FORMAT_SAFETENSORS,
    DATA_FORMAT_CIFAR,
    DATA_FORMAT_NPZ,
    DATA_FORMAT_TEXT,
    DATA_FORMAT_CSV,
    DATA_FORMAT_TORCH
};

/* By ending, then by the first bytes (64 are enough). Pure. */
enum data_format data_format_of(const char *path, const unsigned char *head, size_t size);

extern const struct param_table text_args_table, csv_args_table; /* the sections of a folder's config */

/* How a file of each format is read; NULL: as by default. */
struct data_file_args {
    const struct transform_args *transform; /* where the file does not say itself */
    const struct idx_args *idx;
    const struct text_args *text;
    const struct csv_args *csv;
    const struct loader_args *loader; /* the session's, over those; what means nothing for the file is a warning */
    double measured;                  /* part of the items, the first ones, that normalisation may look at; 0: all */
};

/* Read it. Findings go to `diags`. */
int data_file_read(const char *path, const struct data_file_args *args, struct dataset *out, struct diags *diags);

#endif
