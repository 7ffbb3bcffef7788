#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "leader/session_setup.h"
#include "util/fs.h"

enum { MAX_FILES = 256 };
#define MAX_FILE_SIZE ((size_t)64 << 20)

static int is_file(const struct dirent *entry)
{
    return entry->d_type == DT_REG || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
}

static int add_file(struct model_files *out, const char *folder, const char *name, struct error *err)
{
    struct model_file *file = &out->files[out->n];
    char *path = fs_join(folder, name);
    struct stat info;
    int status = OK;

    if (!path)
        return FAIL(err, ERR_MEMORY, "no memory for a path");
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        status = fs_read(path, MAX_FILE_SIZE, &file->data, err);
        file->name = status == OK ? strdup(name) : NULL;
        if (status == OK && !file->name) {
            blob_unref(file->data);
            status = FAIL(err, ERR_MEMORY, "no memory for a name");
        }
        out->n += status == OK;
    }
    free(path);
    return status;
}

int model_files_read(const char *folder, const char *model_id, struct model_files *out, struct error *err)
{
    struct dirent **entries = NULL;
    int n, status;

    *out = (struct model_files){0};
    n = scandir(folder, &entries, is_file, alphasort);
    if (n < 0)
        return FAIL(err, ERR_IO, "cannot read the model folder %s: %s", folder, strerror(errno));
    snprintf(out->id, sizeof out->id, "%s", model_id);
    out->files = calloc((size_t)n + 1, sizeof *out->files);
    status = !out->files     ? FAIL(err, ERR_MEMORY, "no memory for the files of %s", folder)
             : n > MAX_FILES ? FAIL(err, ERR_TOO_LARGE, "%s: %d files; at most %d go to clients", folder, n, MAX_FILES)
                             : model_hash(folder, out->hash, err);
    for (int i = 0; i < n; i++) {
        if (status == OK)
            status = add_file(out, folder, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    if (status != OK)
        model_files_fini(out);
    return status;
}

void model_files_fini(struct model_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->files[i].name);
        blob_unref(files->files[i].data);
    }
    free(files->files);
    *files = (struct model_files){0};
}
