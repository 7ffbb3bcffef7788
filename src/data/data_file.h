/* Telling and reading one data file; private to data. data_file_load in folder.h is the public face. */
#ifndef FLOSIM_DATA_DATA_FILE_H
#define FLOSIM_DATA_DATA_FILE_H

#include "data/dataset.h"

enum data_format { DATA_FORMAT_UNKNOWN, DATA_FORMAT_IDX, DATA_FORMAT_SAFETENSORS, DATA_FORMAT_TORCH };

/* By ending, then by the first bytes (16 are enough). Pure. */
enum data_format data_format_of(const char *path, const unsigned char *head, size_t size);

/* Read it; *has_transform false: the file says nothing and out->transform is not set. Findings go to `diags`. */
int data_file_read(const char *path, struct dataset *out, bool *has_transform, struct diags *diags);

#endif
