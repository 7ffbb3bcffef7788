/* Speed of the training engine on one core, one line a measurement:
 *   bench/train [MODEL_FOLDER] [--batch N] [--optimizer sgd|adam] [--inference] [--seconds S]
 * Without options: training at batch 32 with SGD, at batch 16 with Adam, inference at batch 100. Every line also says
 * what part of OpenBLAS' sgemm (n = 1024) measured in the same run the arithmetic reached. */
#include <cblas.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/kernels/kernels.h"
#include "nn/run.h"

struct options {
    const char *folder, *optimizer;
    int batch;
    bool inference;
    double seconds;
};

struct bench {
    struct model *model;
    struct workspace *ws;
    struct optimizer *optimizer;
    float *params, *grads, *x;
    int32_t *labels;
    int batch;
};

/* The processor's time of this process, so that other work on the machine counts little. */
static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench/train: %s\n", what);
    exit(2);
}

static double sgemm_flops(void)
{
    enum { N = 1024 };
    float *a = calloc(3 * N * N, sizeof *a);
    double best = 1e9;

    if (!a)
        die("out of memory");
    for (int i = 0; i < 2 * N * N; i++)
        a[i] = (float)(i % 17) - 8;
    for (int run = 0; run < 6; run++) {
        double begin = now_s(), took;

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, a + N * N, N, 0, a + 2 * N * N, N);
        took = now_s() - begin;
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

static void prepare(struct bench *b, const char *optimizer, bool train)
{
    size_t P = model_layout(b->model)->num_floats, D = model_input_size(b->model), N = (size_t)b->batch;
    struct error err = ERROR_INIT;
    char json[128];
    struct rng rng;

    b->params = malloc(P * sizeof *b->params);
    b->grads = malloc(P * sizeof *b->grads);
    b->x = malloc(N * D * sizeof *b->x);
    b->labels = malloc(N * sizeof *b->labels);
    if (!b->params || !b->grads || !b->x || !b->labels)
        die("out of memory");
    rng_init(&rng, 1, "bench", "", 0);
    for (size_t i = 0; i < N * D; i++)
        b->x[i] = rng_uniform_between(&rng, 0, 1);
    for (size_t n = 0; n < N; n++)
        b->labels[n] = (int32_t)rng_below(&rng, model_output_size(b->model));
    model_init_params(b->model, 1, b->params);
    snprintf(json, sizeof json, "{\"name\": \"%s\"}", optimizer);
    if (workspace_new(b->model, b->batch, train, &b->ws, &err) != OK ||
        optimizer_new(span_of(json, strlen(json)), 1e-3, model_layout(b->model)->num_parameters, &b->optimizer, &err) !=
            OK)
        die(err.message);
}

static void finish(struct bench *b)
{
    workspace_free(b->ws);
    optimizer_free(b->optimizer);
    free(b->params);
    free(b->grads);
    free(b->x);
    free(b->labels);
}

static void run_batch(struct bench *b, bool train)
{
    if (train)
        train_step(b->model, b->ws, losses[0], b->optimizer, b->params, b->grads, b->x,
                   (struct targets){.labels = b->labels}, b->batch, NULL, &(struct loss_sums){0});
    else
        model_forward(b->model, b->ws, b->params, b->x, b->batch, false, NULL);
}

/* Samples per second: the best of ten parts of the time, since other work on the machine (caches, clock) only ever
 * slows a part. */
static double measure(struct bench *b, bool train, double seconds)
{
    double best = 0;

    for (int warm = 0; warm < 3; warm++)
        run_batch(b, train);
    for (int part = 0; part < 10; part++) {
        double begin = now_s(), end;
        int64_t batches = 0;

        do {
            run_batch(b, train);
            batches++;
            end = now_s();
        } while (end - begin < seconds / 10);
        if ((double)(batches * b->batch) / (end - begin) > best)
            best = (double)(batches * b->batch) / (end - begin);
    }
    return best;
}

static void report(struct model *model, const struct options *o, double peak)
{
    struct bench bench = {.model = model, .batch = o->batch};
    double rate, flops = o->inference ? model_flops_forward(model) : model_flops_train(model);
    char what[64];

    prepare(&bench, o->optimizer, !o->inference);
    rate = measure(&bench, !o->inference, o->seconds);
    snprintf(what, sizeof what, "%s", o->inference ? "inference" : o->optimizer);
    printf("%s %s b%d: %.0f samples/s, %.1f GFLOP/s, %.0f%% of sgemm %.0f GFLOP/s, workspace %.1f MB, kernels %s\n",
           basename(o->folder), what, o->batch, rate, rate * flops / 1e9, 100 * rate * flops / peak, peak / 1e9,
           (double)workspace_bytes(bench.ws) / 1e6, kernels_best()->name);
    finish(&bench);
}

static struct options parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"batch", required_argument, NULL, 'b'},
        {"optimizer", required_argument, NULL, 'o'},
        {"inference", no_argument, NULL, 'i'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.seconds = 1.5};
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'b':
            o.batch = atoi(optarg);
            break;
        case 'o':
            o.optimizer = optarg;
            break;
        case 'i':
            o.inference = true;
            break;
        case 's':
            o.seconds = atof(optarg);
            break;
        default:
            fprintf(stderr, "usage: bench/train [MODEL_FOLDER] [--batch N] [--optimizer NAME] [--inference] "
                            "[--seconds S]\n");
            exit(2);
        }
    }
    o.folder = optind < argc ? argv[optind] : BENCH_MODELS "/LeNet5";
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    struct model *model = load(o.folder);
    double peak = sgemm_flops();

    if (o.batch || o.optimizer || o.inference) {
        o.batch = o.batch > 0 ? o.batch : 32;
        o.optimizer = o.optimizer ? o.optimizer : "sgd";
        report(model, &o, peak);
    } else {
        report(model, &(struct options){o.folder, "sgd", 32, false, o.seconds}, peak);
        report(model, &(struct options){o.folder, "adam", 16, false, o.seconds}, peak);
        report(model, &(struct options){o.folder, "sgd", 100, true, o.seconds}, peak);
    }
    model_free(model);
    return 0;
}
