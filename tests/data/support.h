/* What the tests of data share: files made on the spot, and reading arguments from YAML text. */
#ifndef FLOSIM_TESTS_DATA_SUPPORT_H
#define FLOSIM_TESTS_DATA_SUPPORT_H

#include "data/partition.h"
#include "data/source.h"
#include "util/span.h"

/* A fresh folder; remove it with scratch_free (which frees the string). */
char *scratch_new(void);
void scratch_free(char *folder);

/* Paths live until the test's process ends. */
const char *path_in(const char *folder, const char *name);
void write_file(const char *path, const void *bytes, size_t size);
void write_gz(const char *path, const void *bytes, size_t size);

/* IDX images [n, rows, columns] of bytes i % 251 and labels i % classes; new bytes of *size. */
unsigned char *idx_images(uint32_t n, uint32_t rows, uint32_t columns, size_t *size);
unsigned char *idx_labels(uint32_t n, unsigned classes, size_t *size);

/* New arguments of a table from a YAML mapping; the test fails where the text is not accepted. */
void *args_from(const struct param_table *table, const char *yaml);
void args_free(const struct param_table *table, void *args);

/* The test fails unless the findings mention `text`. */
void expect_finding(const struct diags *diags, const char *text);

/* A data set for partition tests: item i has one value, the label label_of(i) and the group i % LABELLED_GROUPS. */
enum { LABELLED_GROUPS = 40 };
struct dataset *labelled_new(size_t n, int32_t classes, int32_t (*label_of)(size_t i));
void labelled_free(struct dataset *dataset);

#endif
