#include "worker/model_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/fs.h"

struct model_cache {
    char *folder, *uploads;      /* model_cache/ and where uploads grow, on the same file system */
    pthread_mutex_t mutex;       /* guards what follows, and the cache's folders against one another */
    struct model_advert *models; /* sorted by id */
    size_t num_models;
    uint64_t next_upload;
};

struct upload {
    struct model_cache *cache;
    char model_id[256], file_name[256];
    char *temp_path;
    int fd;
    size_t size;
};

/* ---- the table of models ---- */

static size_t find_slot(const struct model_cache *cache, const char *model_id)
{
    size_t i = 0;

    while (i < cache->num_models && strcmp(cache->models[i].id, model_id) < 0)
        i++;
    return i;
}

static struct model_advert *find_model(const struct model_cache *cache, const char *model_id)
{
    size_t i = find_slot(cache, model_id);

    return i < cache->num_models && strcmp(cache->models[i].id, model_id) == 0 ? &cache->models[i] : NULL;
}

static int add_model(struct model_cache *cache, const char *model_id, struct model_advert **out, struct error *err)
{
    size_t i = find_slot(cache, model_id);

    if (cache->num_models >= MODEL_CACHE_MAX_MODELS)
        return FAIL(err, ERR_TOO_LARGE, "the model cache holds %d models already", MODEL_CACHE_MAX_MODELS);
    struct model_advert *grown = realloc(cache->models, (cache->num_models + 1) * sizeof *grown);
    if (!grown)
        return FAIL(err, ERR_MEMORY, "out of memory for the model cache");
    cache->models = grown;
    memmove(grown + i + 1, grown + i, (cache->num_models - i) * sizeof *grown);
    cache->num_models++;
    grown[i] = (struct model_advert){{0}, {0}};
    snprintf(grown[i].id, sizeof grown[i].id, "%s", model_id);
    *out = &grown[i];
    return OK;
}

/* The mutex is held (or nobody else knows the cache yet). */
static int rehash(struct model_cache *cache, const char *model_id, struct error *err)
{
    char *folder = model_cache_folder(cache, model_id);
    char hash[MODEL_HASH_TEXT];
    struct model_advert *model = find_model(cache, model_id);

    int status = folder ? model_hash(folder, hash, err) : FAIL(err, ERR_MEMORY, "out of memory for the model cache");
    free(folder);
    if (!status && !model)
        status = add_model(cache, model_id, &model, err);
    if (!status)
        snprintf(model->hash, sizeof model->hash, "%s", hash);
    return status;
}

static int scan(struct model_cache *cache, struct error *err)
{
    DIR *dir = opendir(cache->folder);
    int status = OK;

    if (!dir)
        return FAIL(err, ERR_SETUP, "cannot read %s: %s", cache->folder, strerror(errno));
    for (struct dirent *entry; !status && (entry = readdir(dir));) {
        char *folder = fs_is_component(entry->d_name) ? model_cache_folder(cache, entry->d_name) : NULL;
        if (folder && fs_is_dir(folder))
            status = rehash(cache, entry->d_name, err);
        free(folder);
    }
    closedir(dir);
    return status;
}

static int open_folders(struct model_cache *cache, const char *temp_dir, struct error *err)
{
    cache->folder = fs_join(temp_dir, "model_cache");
    cache->uploads = fs_join(temp_dir, "uploads");
    if (!cache->folder || !cache->uploads)
        return FAIL(err, ERR_MEMORY, "out of memory for the model cache");
    int status = fs_make_dirs(cache->folder, err);
    if (!status)
        status = fs_remove_tree(cache->uploads, err); /* what a killed worker left half done */
    if (!status)
        status = fs_make_dirs(cache->uploads, err);
    return status ? status : scan(cache, err);
}

int model_cache_new(struct model_cache **out, const char *temp_dir, struct error *err)
{
    struct model_cache *cache = calloc(1, sizeof *cache);

    *out = NULL;
    if (!cache || pthread_mutex_init(&cache->mutex, NULL)) {
        free(cache);
        return FAIL(err, ERR_MEMORY, "out of memory for the model cache");
    }
    int status = open_folders(cache, temp_dir, err);
    if (status)
        model_cache_free(cache);
    else
        *out = cache;
    return status;
}

void model_cache_free(struct model_cache *cache)
{
    if (!cache)
        return;
    if (cache->uploads)
        fs_remove_tree(cache->uploads, NULL);
    pthread_mutex_destroy(&cache->mutex);
    free(cache->folder);
    free(cache->uploads);
    free(cache->models);
    free(cache);
}

char *model_cache_folder(const struct model_cache *cache, const char *model_id)
{
    return fs_join(cache->folder, model_id);
}

int model_cache_hash(struct model_cache *cache, const char *model_id, char hash[MODEL_HASH_TEXT], struct error *err)
{
    pthread_mutex_lock(&cache->mutex);
    const struct model_advert *model = find_model(cache, model_id);
    if (model)
        snprintf(hash, MODEL_HASH_TEXT, "%.*s", MODEL_HASH_TEXT - 1, model->hash);
    pthread_mutex_unlock(&cache->mutex);
    return model ? OK
                 : FAIL(err, ERR_NOT_FOUND,
                        "no model %.128s in this worker's cache: send its files with StreamFile first", model_id);
}

int model_cache_list(struct model_cache *cache, struct model_advert **out, size_t *n, struct error *err)
{
    int status = OK;

    *out = NULL;
    pthread_mutex_lock(&cache->mutex);
    *n = cache->num_models;
    if (*n && !(*out = malloc(*n * sizeof **out)))
        status = FAIL(err, ERR_MEMORY, "out of memory for an advert");
    else if (*n)
        memcpy(*out, cache->models, *n * sizeof **out);
    pthread_mutex_unlock(&cache->mutex);
    return status;
}

int model_cache_clear(struct model_cache *cache, struct error *err)
{
    pthread_mutex_lock(&cache->mutex);
    cache->num_models = 0;
    int status = fs_remove_tree(cache->folder, err);
    pthread_mutex_unlock(&cache->mutex);
    return status;
}

/* ---- uploads ---- */

static int check_names(const char *model_id, const char *file_name, struct error *err)
{
    if (!model_id || !fs_is_component(model_id) || strlen(model_id) > 255)
        return FAIL(err, ERR_INVALID, "model_id must be one plain path component of at most 255 bytes");
    if (!file_name || !fs_is_component(file_name) || strlen(file_name) > 255)
        return FAIL(err, ERR_INVALID, "file_name must be one plain path component of at most 255 bytes");
    return OK;
}

static void drop_upload(struct upload *upload)
{
    if (upload->fd >= 0)
        close(upload->fd);
    if (upload->temp_path)
        unlink(upload->temp_path);
    free(upload->temp_path);
    free(upload);
}

static int open_temporary(struct upload *upload, struct error *err)
{
    struct model_cache *cache = upload->cache;

    pthread_mutex_lock(&cache->mutex);
    uint64_t number = cache->next_upload++;
    pthread_mutex_unlock(&cache->mutex);
    if (asprintf(&upload->temp_path, "%s/%llu", cache->uploads, (unsigned long long)number) < 0) {
        upload->temp_path = NULL;
        return FAIL(err, ERR_MEMORY, "out of memory for an upload");
    }
    upload->fd = open(upload->temp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return upload->fd >= 0 ? OK : FAIL(err, ERR_IO, "cannot write %s: %s", upload->temp_path, strerror(errno));
}

int model_cache_begin(struct model_cache *cache, const char *model_id, const char *file_name, struct upload **out,
                      struct error *err)
{
    int status = check_names(model_id, file_name, err);
    struct upload *upload = status ? NULL : calloc(1, sizeof *upload);

    *out = NULL;
    if (status)
        return status;
    if (!upload)
        return FAIL(err, ERR_MEMORY, "out of memory for an upload");
    upload->cache = cache;
    upload->fd = -1;
    snprintf(upload->model_id, sizeof upload->model_id, "%s", model_id);
    snprintf(upload->file_name, sizeof upload->file_name, "%s", file_name);
    status = open_temporary(upload, err);
    if (status)
        drop_upload(upload);
    else
        *out = upload;
    return status;
}

int upload_write(struct upload *upload, struct span chunk, struct error *err)
{
    const char *at = chunk.data;

    if (chunk.size > MODEL_CACHE_MAX_FILE_BYTES - upload->size)
        return FAIL(err, ERR_TOO_LARGE, "%s/%s is larger than %d MiB", upload->model_id, upload->file_name,
                    MODEL_CACHE_MAX_FILE_BYTES >> 20);
    upload->size += chunk.size;
    for (size_t left = chunk.size; left > 0;) {
        ssize_t written = write(upload->fd, at, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return FAIL(err, ERR_IO, "cannot write %s: %s", upload->temp_path, strerror(errno));
        at += written;
        left -= (size_t)written;
    }
    return OK;
}

static size_t count_files(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t n = 0;

    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += fs_is_component(entry->d_name);
    if (dir)
        closedir(dir);
    return n;
}

/* The cache's mutex is held. */
static int move_into_cache(struct upload *upload, const char *folder, const char *path, struct error *err)
{
    struct model_cache *cache = upload->cache;

    if (!find_model(cache, upload->model_id) && cache->num_models >= MODEL_CACHE_MAX_MODELS)
        return FAIL(err, ERR_TOO_LARGE, "the model cache holds %d models already", MODEL_CACHE_MAX_MODELS);
    int status = fs_make_dirs(folder, err);
    if (status)
        return status;
    if (!fs_exists(path) && count_files(folder) >= MODEL_CACHE_MAX_FILES)
        return FAIL(err, ERR_TOO_LARGE, "model %s has %d files already", upload->model_id, MODEL_CACHE_MAX_FILES);
    if (rename(upload->temp_path, path))
        return FAIL(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    free(upload->temp_path);
    upload->temp_path = NULL;
    return rehash(cache, upload->model_id, err);
}

static int commit_upload(struct upload *upload, struct error *err)
{
    char *folder = model_cache_folder(upload->cache, upload->model_id);
    char *path = folder ? fs_join(folder, upload->file_name) : NULL;
    int status = path ? OK : FAIL(err, ERR_MEMORY, "out of memory for an upload");
    int failed = close(upload->fd);

    upload->fd = -1;
    if (!status && failed)
        status = FAIL(err, ERR_IO, "cannot write %s: %s", upload->temp_path, strerror(errno));
    if (!status) {
        pthread_mutex_lock(&upload->cache->mutex);
        status = move_into_cache(upload, folder, path, err);
        pthread_mutex_unlock(&upload->cache->mutex);
    }
    free(path);
    free(folder);
    return status;
}

int upload_end(struct upload *upload, bool commit, struct error *err)
{
    int status = commit ? commit_upload(upload, err) : OK;

    drop_upload(upload);
    return status;
}
