/* A folder of the test's own that goes when the test ends well. */
#ifndef FLOSIM_TESTS_WORKER_SCRATCH_H
#define FLOSIM_TESTS_WORKER_SCRATCH_H

#include <stddef.h>

enum { SCRATCH_PATH = 512 };

void scratch_make(char path[SCRATCH_PATH]);
void scratch_remove(const char *path);

/* path/a into `out`, and the same for a file's text. */
const char *scratch_path(char out[SCRATCH_PATH], const char *path, const char *a);
void scratch_write(const char *path, const char *text);
char *scratch_read(const char *path); /* new string; "" for no file */

#endif
