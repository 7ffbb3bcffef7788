/* Speed of the training engine on one core, one line a measurement:
 *   bench/train [MODEL|SETTING …] [--seconds S] [--threads N]
 *   bench/train MODEL_FOLDER/ [--batch N] [--optimizer NAME] [--inference] [--seconds S] [--threads N]
 * Without a name, all settings below; a name is a model's or a setting's ("LeNet5 sgd b32"). Models are those of
 * models/ and of bench/models/. Every line also says what part of OpenBLAS' sgemm (n = 1024) measured in the same run
 * the arithmetic reached. */
#include <cblas.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nn/kernels/kernels.h"
#include "nn/run.h"

/* What is measured; optimizer NULL: inference. */
struct setting {
    const char *model, *optimizer;
    int batch;
};

static const struct setting settings[] = {
    {"LeNet5", "sgd", 32},    {"LeNet5", "adam", 16},       {"FedAT_CNN", "adam", 32},
    {"MLP_200", "sgd", 32},   {"AlexNet_MNIST", "sgd", 16}, {"AlexNet", "sgd", 16},
    {"MobileNet", "sgd", 32}, {"CharLSTM", "sgd", 10},      {"LeNet5", NULL, 100},
};
enum { NUM_SETTINGS = sizeof settings / sizeof *settings };

struct options {
    struct setting own; /* of a folder given by its path */
    double seconds;
    int threads;
};

struct bench {
    struct model *model;
    struct workspace *ws;
    struct optimizer *optimizer;
    const struct loss_ops *loss;
    float *params, *grads, *x;
    int32_t *labels;
    struct rng rng;
    struct setting setting;
    int threads;
};

/* The processor's time of this process, so that other work on the machine counts little; with several threads, which
 * are there to save the wall's time, that. */
static double now_s(int threads)
{
    struct timespec t;

    clock_gettime(threads > 1 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench/train: %s\n", what);
    exit(2);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (!memory)
        die("out of memory");
    return memory;
}

static double sgemm_flops(void)
{
    enum { N = 1024 };
    float *a = allocate(3 * N * N, sizeof *a);
    double best = 1e9;

    for (int i = 0; i < 2 * N * N; i++)
        a[i] = (float)(i % 17) - 8;
    for (int run = 0; run < 6; run++) {
        double begin = now_s(1), took;

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, a + N * N, N, 0, a + 2 * N * N, N);
        took = now_s(1) - begin;
        best = took < best ? took : best;
    }
    free(a);
    return 2.0 * N * N * N / best;
}

static struct model *load(const char *folder)
{
    struct diags *diags = diags_new();
    struct model *model;

    if (!diags || model_load(folder, NULL, &model, diags) != OK) {
        if (diags)
            diags_print(diags, stderr);
        exit(2);
    }
    diags_free(diags);
    return model;
}

/* Random values, or tokens, and a label for every prediction. */
static void fill_batch(struct bench *b)
{
    size_t N = (size_t)b->setting.batch, D = model_input_size(b->model), rows = model_output_rows(b->model);
    uint64_t vocabulary = (uint64_t)model_vocabulary(b->model);

    b->x = allocate(N * D, sizeof *b->x);
    b->labels = allocate(N * rows, sizeof *b->labels);
    for (size_t i = 0; i < N * D; i++)
        b->x[i] = vocabulary ? (float)rng_below(&b->rng, vocabulary) : rng_uniform_between(&b->rng, 0, 1);
    for (size_t n = 0; n < N * rows; n++)
        b->labels[n] = (int32_t)rng_below(&b->rng, model_output_size(b->model) / rows);
}

static void prepare(struct bench *b)
{
    const struct layout *layout = model_layout(b->model);
    const char *optimizer = b->setting.optimizer;
    struct error err = ERROR_INIT;
    char json[128];

    rng_init(&b->rng, 1, "bench", "", 0);
    fill_batch(b);
    b->loss = loss_find("crossentropy");
    b->params = allocate(layout->num_floats, sizeof *b->params);
    model_init_params(b->model, 1, b->params);
    if (workspace_new(b->model, b->setting.batch, optimizer != NULL, &b->ws, &err) != OK ||
        workspace_set_threads(b->ws, b->threads, &err) != OK)
        die(err.message);
    if (!optimizer)
        return;
    b->grads = allocate(layout->num_parameters, sizeof *b->grads);
    snprintf(json, sizeof json, "{\"name\": \"%s\"}", optimizer);
    if (optimizer_new(span_of(json, strlen(json)), 1e-3, layout->num_parameters, &b->optimizer, &err) != OK)
        die(err.message);
}

static void finish(struct bench *b)
{
    workspace_free(b->ws);
    optimizer_free(b->optimizer);
    model_free(b->model);
    free(b->params);
    free(b->grads);
    free(b->x);
    free(b->labels);
}

static void run_batch(struct bench *b)
{
    if (b->setting.optimizer)
        train_step(b->model, b->ws, b->loss, b->optimizer, b->params, b->grads, b->x,
                   (struct targets){.labels = b->labels}, b->setting.batch, &b->rng, &(struct loss_sums){0});
    else
        model_forward(b->model, b->ws, b->params, b->x, b->setting.batch, false, NULL);
}

/* Samples per second: the best of up to ten parts of the time, since other work on the machine (caches, clock) only
 * ever slows a part. */
static double measure(struct bench *b, double seconds)
{
    double best = 0, begin, end;

    for (int warm = 0; warm < 2; warm++)
        run_batch(b);
    begin = end = now_s(b->threads);
    while (end - begin < seconds) {
        double start = end, rate;
        int64_t batches = 0;

        do {
            run_batch(b);
            batches++;
            end = now_s(b->threads);
        } while (end - start < seconds / 10);
        rate = (double)(batches * b->setting.batch) / (end - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static void setting_name(const struct setting *setting, char *name, size_t size)
{
    snprintf(name, size, "%s %s b%d", basename(setting->model), setting->optimizer ? setting->optimizer : "inference",
             setting->batch);
}

static void report(const struct setting *setting, const char *folder, const struct options *o, double peak)
{
    struct bench bench = {.model = load(folder), .setting = *setting, .threads = o->threads};
    double rate, flops = setting->optimizer ? model_flops_train(bench.model) : model_flops_forward(bench.model);
    char name[256];

    prepare(&bench);
    rate = measure(&bench, o->seconds);
    setting_name(setting, name, sizeof name);
    printf(
        "%s: %.0f samples/s, %.1f GFLOP/s, %.0f%% of sgemm %.0f GFLOP/s, workspace %.1f MB, kernels %s, threads %d\n",
        name, rate, rate * flops / 1e9, 100 * rate * flops / peak, peak / 1e9, (double)workspace_bytes(bench.ws) / 1e6,
        kernels_best()->name, o->threads);
    fflush(stdout);
    finish(&bench);
}

static bool wanted(const struct setting *setting, char **names, int num_names)
{
    char name[256];

    setting_name(setting, name, sizeof name);
    for (int i = 0; i < num_names; i++)
        if (strcmp(names[i], setting->model) == 0 || strcmp(names[i], name) == 0)
            return true;
    return num_names == 0;
}

static int report_settings(char **names, int num_names, const struct options *o, double peak)
{
    int reported = 0;

    for (size_t i = 0; i < NUM_SETTINGS; i++) {
        char folder[1024];

        if (!wanted(&settings[i], names, num_names))
            continue;
        snprintf(folder, sizeof folder, BENCH_SOURCE "/bench/models/%s", settings[i].model);
        if (access(folder, R_OK) != 0)
            snprintf(folder, sizeof folder, BENCH_SOURCE "/models/%s", settings[i].model);
        report(&settings[i], folder, o, peak);
        reported++;
    }
    return reported;
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"batch", required_argument, NULL, 'b'},   {"optimizer", required_argument, NULL, 'o'},
        {"inference", no_argument, NULL, 'i'},     {"seconds", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
    };
    struct options o = {.own = {.optimizer = "sgd", .batch = 32}, .seconds = 1.5, .threads = 1};
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'b':
            o.own.batch = atoi(optarg);
            break;
        case 'o':
            o.own.optimizer = optarg;
            break;
        case 'i':
            o.own.optimizer = NULL;
            break;
        case 's':
            o.seconds = atof(optarg);
            break;
        case 't':
            o.threads = atoi(optarg);
            break;
        default:
            die("usage: bench/train [MODEL|SETTING …] [--seconds S] [--threads N] | MODEL_FOLDER/ [--batch N] "
                "[--optimizer NAME] "
                "[--inference] [--seconds S] [--threads N]");
        }
    }
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    double peak = sgemm_flops();

    if (optind + 1 == argc && strchr(argv[optind], '/')) {
        o.own.model = argv[optind];
        report(&o.own, o.own.model, &o, peak);
    } else if (report_settings(argv + optind, argc - optind, &o, peak) == 0) {
        die("no setting has such a name");
    }
    return 0;
}
