#include "worker/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/params.h"
#include "util/uuid.h"

enum { MAX_BENCHMARKS = 256 };

struct identity {
    pthread_mutex_t mutex; /* guards the figures and the file */
    char id[CLIENT_ID_MAX];
    char *file_path, *lock_path;
    int lock_fd;
    struct bench_advert *figures;
    size_t num_figures;
};

/* ---- reading the file ---- */

struct figures_row {
    int64_t num_mini_batches;
    double time_taken_s;
    char *model_hash;
};

// clang-format off
static const struct param figures_rows[] = {
    {.name = "num_mini_batches", .type = PARAM_INT, .offset = offsetof(struct figures_row, num_mini_batches),
     .min = 0, .max = INT32_MAX, .flags = PARAM_REQUIRED, .help = "Mini-batches that the benchmark ran."},
    {.name = "time_taken_s", .type = PARAM_DOUBLE, .offset = offsetof(struct figures_row, time_taken_s),
     .min = 0, .max = 1e9, .flags = PARAM_REQUIRED, .help = "Seconds that they took."},
    {.name = "model_hash", .type = PARAM_STRING, .offset = offsetof(struct figures_row, model_hash),
     .flags = PARAM_REQUIRED, .help = "Hash of the model folder that was benchmarked."},
};
static const struct param_table figures_table = {
    .name = "benchmark figures", .rows = figures_rows, .num_rows = sizeof figures_rows / sizeof *figures_rows,
    .size = sizeof(struct figures_row),
};

struct info_file {
    char *client_id;
    struct yaml_node benchmark_info;
};
static const struct param info_rows[] = {
    {.name = "client_id", .type = PARAM_STRING, .offset = offsetof(struct info_file, client_id),
     .flags = PARAM_REQUIRED, .help = "The worker's id."},
    {.name = "benchmark_info", .type = PARAM_NODE, .offset = offsetof(struct info_file, benchmark_info),
     .help = "Benchmark figures by model."},
};
static const struct param_table info_table = {
    .name = "client info", .rows = info_rows, .num_rows = sizeof info_rows / sizeof *info_rows,
    .size = sizeof(struct info_file),
};
// clang-format on

static int keep_figures(struct identity *identity, const struct bench_advert *figures)
{
    size_t i = 0;

    while (i < identity->num_figures && strcmp(identity->figures[i].model_id, figures->model_id) != 0)
        i++;
    if (i == identity->num_figures) {
        if (i >= MAX_BENCHMARKS)
            return ERR_TOO_LARGE;
        struct bench_advert *grown = realloc(identity->figures, (i + 1) * sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        identity->figures = grown;
        identity->num_figures++;
    }
    identity->figures[i] = *figures;
    return OK;
}

static void read_figures(struct identity *identity, struct yaml_node model, struct yaml_node node, struct diags *diags)
{
    struct figures_row row;
    struct bench_advert figures = {0};
    const char *model_id = yaml_text(model);

    if (params_read(&figures_table, node, &row, diags) == OK) {
        figures.num_mini_batches = row.num_mini_batches;
        figures.time_taken_s = row.time_taken_s;
        if (!model_id || !fs_is_component(model_id) || strlen(model_id) >= sizeof figures.model_id || !row.model_hash ||
            strlen(row.model_hash) >= sizeof figures.model_hash) {
            diag_error(diags, yaml_place(model), "model id or hash too long or not a plain name");
        } else {
            strcpy(figures.model_id, model_id);
            strcpy(figures.model_hash, row.model_hash);
            if (keep_figures(identity, &figures))
                diag_error(diags, yaml_place(model), "more than %d models, or out of memory", MAX_BENCHMARKS);
        }
    }
    params_free(&figures_table, &row);
}

static void read_info(struct identity *identity, struct yaml_node root, struct diags *diags)
{
    struct info_file file;

    if (params_read(&info_table, root, &file, diags) == OK) {
        if (!file.client_id || !*file.client_id || strlen(file.client_id) >= sizeof identity->id)
            diag_error(diags, yaml_place(root), "client_id is empty or longer than %d bytes", CLIENT_ID_MAX - 1);
        else
            strcpy(identity->id, file.client_id);
        for (size_t i = 0; i < yaml_size(file.benchmark_info); i++)
            read_figures(identity, yaml_key(file.benchmark_info, i), yaml_value(file.benchmark_info, i), diags);
    }
    params_free(&info_table, &file);
}

static int read_file(struct identity *identity, struct error *err)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;

    if (!diags)
        return FAIL(err, ERR_MEMORY, "out of memory reading %s", identity->file_path);
    if (yaml_load_file(identity->file_path, 0, &doc, diags) == OK)
        read_info(identity, yaml_root(doc), diags);
    int status = diags_status(diags, err);
    if (status)
        error_context(err, status, "damaged client info (remove the file to start with a new id)");
    yaml_unref(doc);
    diags_free(diags);
    return status;
}

/* ---- writing it ---- */

/* A JSON string is a YAML double-quoted scalar, whatever it holds. */
static void write_quoted(FILE *out, const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;

    fputs(quoted ? quoted : "\"\"", out);
    free(quoted);
    json_decref(string);
}

static void write_info(const struct identity *identity, FILE *out)
{
    fputs("client_id: ", out);
    write_quoted(out, identity->id);
    fputs(identity->num_figures ? "\nbenchmark_info:\n" : "\nbenchmark_info: {}\n", out);
    for (size_t i = 0; i < identity->num_figures; i++) {
        const struct bench_advert *figures = &identity->figures[i];
        fputs("  ", out);
        write_quoted(out, figures->model_id);
        fprintf(out, ":\n    num_mini_batches: %lld\n    time_taken_s: %.9g\n    model_hash: ",
                (long long)figures->num_mini_batches, figures->time_taken_s);
        write_quoted(out, figures->model_hash);
        fputs("\n", out);
    }
}

static int write_file(const struct identity *identity, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int status = ERR_MEMORY;

    if (out) {
        write_info(identity, out);
        if (fclose(out) == 0)
            status = OK;
    }
    if (status)
        FAIL(err, status, "out of memory writing %s", identity->file_path);
    else
        status = fs_write_atomic(identity->file_path, &(struct span){text, size}, 1, err);
    free(text);
    return status;
}

/* ---- the folder ---- */

static int take_lock(struct identity *identity, const char *temp_dir, struct error *err)
{
    identity->lock_fd = open(identity->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (identity->lock_fd < 0)
        return FAIL(err, ERR_SETUP, "cannot write into %s: %s (general_config.temp_dir_path must be a writable folder)",
                    temp_dir, strerror(errno));
    if (flock(identity->lock_fd, LOCK_EX | LOCK_NB))
        return FAIL(err, ERR_SETUP, "%s is in use by another worker: give each worker a temp_dir_path of its own",
                    temp_dir);
    return OK;
}

/* A lent id is not written down: whoever lends it will do so again. */
static int settle_id(struct identity *identity, const char *client_id, struct error *err)
{
    if (client_id) {
        if (strlen(client_id) >= sizeof identity->id)
            return FAIL(err, ERR_INVALID, "client id longer than %d bytes", CLIENT_ID_MAX - 1);
        strcpy(identity->id, client_id);
        return OK;
    }
    if (identity->id[0])
        return OK;
    int status = uuid_random(identity->id, err);
    return status ? status : write_file(identity, err);
}

static int load(struct identity *identity, const char *temp_dir, const char *client_id, struct error *err)
{
    struct error why = ERROR_INIT;
    int status = fs_make_dirs(temp_dir, &why);

    identity->file_path = fs_join(temp_dir, "client_info.yaml");
    identity->lock_path = fs_join(temp_dir, "client_info.lock");
    if (status)
        return FAIL(err, ERR_SETUP, "%s (general_config.temp_dir_path must be a writable folder)", why.message);
    if (!identity->file_path || !identity->lock_path)
        return FAIL(err, ERR_MEMORY, "out of memory for a worker");
    status = take_lock(identity, temp_dir, err);
    if (!status && fs_exists(identity->file_path))
        status = read_file(identity, err);
    return status ? status : settle_id(identity, client_id, err);
}

int identity_new(struct identity **out, const char *temp_dir, const char *client_id, struct error *err)
{
    struct identity *identity = calloc(1, sizeof *identity);

    *out = NULL;
    if (!identity || pthread_mutex_init(&identity->mutex, NULL)) {
        free(identity);
        return FAIL(err, ERR_MEMORY, "out of memory for a worker");
    }
    identity->lock_fd = -1;
    int status = load(identity, temp_dir, client_id, err);
    if (status)
        identity_free(identity);
    else
        *out = identity;
    return status;
}

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    if (identity->lock_fd >= 0)
        close(identity->lock_fd);
    pthread_mutex_destroy(&identity->mutex);
    free(identity->file_path);
    free(identity->lock_path);
    free(identity->figures);
    free(identity);
}

const char *identity_id(const struct identity *identity)
{
    return identity->id;
}

int identity_record_benchmark(struct identity *identity, const struct bench_advert *figures, struct error *err)
{
    pthread_mutex_lock(&identity->mutex);
    int status = keep_figures(identity, figures);
    if (status)
        FAIL(err, status, "cannot keep the benchmark of %s: %s", figures->model_id, status_text(status));
    else
        status = write_file(identity, err);
    pthread_mutex_unlock(&identity->mutex);
    return status;
}

int identity_benchmarks(struct identity *identity, struct bench_advert **out, size_t *n, struct error *err)
{
    int status = OK;

    *out = NULL;
    pthread_mutex_lock(&identity->mutex);
    *n = identity->num_figures;
    if (*n && !(*out = malloc(*n * sizeof **out)))
        status = FAIL(err, ERR_MEMORY, "out of memory for an advert");
    else if (*n)
        memcpy(*out, identity->figures, *n * sizeof **out);
    pthread_mutex_unlock(&identity->mutex);
    return status;
}

void identity_forget(struct identity *identity)
{
    unlink(identity->file_path);
    unlink(identity->lock_path);
}
