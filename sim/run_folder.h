/* The folder that a run leaves behind: runs/<name>-<time>, or what the user named. */
#ifndef FLOSIM_SIM_RUN_FOLDER_H
#define FLOSIM_SIM_RUN_FOLDER_H

#include "util/error.h"

struct run_folder {
    char *path;        /* absolute */
    const char *shown; /* the same as people are told it: from the current folder where it lies below that */
    char *logs;        /* path/logs */
    char *temp;        /* path/tmp: the roles' own folders while they run */
};

/* Make it. `out_dir` NULL: runs/<name>-<time> under the current folder. A folder with something in it is ERR_EXISTS. */
int run_folder_make(struct run_folder *folder, const char *out_dir, const char *name, struct error *err);
void run_folder_fini(struct run_folder *folder);

/* path/name in a new string; NULL when out of memory. */
char *run_folder_file(const struct run_folder *folder, const char *name);

#endif
