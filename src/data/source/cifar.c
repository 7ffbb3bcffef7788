#include "data/source/cifar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"

static const char remedy[] = "get it with `datasets/fetch`, or set `path`";

static void free_paths(char **paths, size_t n)
{
    for (size_t i = 0; i < n && paths; i++)
        free(paths[i]);
    free(paths);
}

static char **join_all(const char *folder, const struct string_list *names)
{
    char **paths = calloc(names->n + 1, sizeof *paths);

    for (size_t i = 0; i < names->n && paths; i++) {
        paths[i] = fs_join(folder, names->items[i]);
        if (!paths[i]) {
            free_paths(paths, names->n);
            return NULL;
        }
    }
    return paths;
}

static int load_part(enum cifar_kind kind, const char *name, const struct cifar_args *args,
                     const struct string_list *files, struct dataset *out, struct diags *diags)
{
    char **paths = join_all(args->path, files);
    int status = ERR_MEMORY;

    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%s", name);
    if (paths)
        status = cifar_load(kind, (const char *const *)paths, files->n, remedy, out, diags);
    else
        diag_error(diags, (struct diag_place){args->path, 0, 0}, "out of memory");
    if (!status)
        status = transform_apply(out, &args->transform, args->path, diags);
    free_paths(paths, files->n);
    return status;
}

int cifar_source_load(enum cifar_kind kind, const char *name, const struct cifar_args *args, struct data_pair *out,
                      struct diags *diags)
{
    memset(out, 0, sizeof *out);
    if (!args->path || !fs_is_dir(args->path) || args->train.n == 0) {
        diag_error(diags, (struct diag_place){args->path ? args->path : "path", 0, 0}, "no such folder, or no file; %s",
                   remedy);
        return ERR_NOT_FOUND;
    }
    int status = load_part(kind, name, args, &args->train, &out->train, diags);
    if (args->validation.n > 0) {
        int second = load_part(kind, name, args, &args->validation, &out->validation, diags);
        status = status ? status : second;
    }
    if (status)
        data_pair_fini(out);
    return status;
}
