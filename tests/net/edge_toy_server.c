#include "tests/net/edge_toy_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum work_kind { WORK_BENCH, WORK_TRAIN, WORK_VALIDATE, WORK_ABORT };

struct toy_work {
    struct loop_event event;
    struct loop_timer timer;
    struct toy_work *next; /* in toy->held */
    struct toy_server *toy;
    struct edge_call *call;
    enum work_kind kind;
    const void *request;
    const char *model_id;
};

/* --- answers, loop's thread --- */

static struct blob *copy_of(struct span span)
{
    struct blob *blob = blob_new(span.size);

    if (!blob)
        abort();
    memcpy(blob_bytes(blob), span.data ? span.data : "", span.size);
    return blob;
}

static int encode_train(const struct toy_work *work, struct blob **head, struct blob **weights)
{
    const struct train_request *request = work->request;
    struct train_response reply = {.model_id = request->model_id,
                                   .client_id = "toy",
                                   .round_idx = request->round_idx,
                                   .metrics = span_of("{\"loss\":0.5}", 12)};

    if (!strncmp(request->model_id, "big:", 4))
        *weights = blob_ref(work->toy->big);
    else if (request->weights.size)
        *weights = copy_of(request->weights);
    return edge_encode_train_response(&reply, blob_size(*weights), head, NULL);
}

static int encode(const struct toy_work *work, struct blob **head, struct blob **weights)
{
    const struct bench_request *bench = work->request;
    const struct validation_request *validation = work->request;

    switch (work->kind) {
    case WORK_BENCH:
        return edge_encode_bench_response(
            &(struct bench_response){.model_id = bench->model_id,
                                     .num_mini_batches = bench->limit.max_mini_batch_count,
                                     .bench_duration_s = 0.25F},
            head, NULL);
    case WORK_TRAIN:
        return encode_train(work, head, weights);
    case WORK_VALIDATE:
        return edge_encode_validation_response(&(struct validation_response){.model_id = validation->model_id,
                                                                             .client_id = "toy",
                                                                             .round_idx = validation->round_idx,
                                                                             .metrics = span_of("{}", 2)},
                                               head, NULL);
    case WORK_ABORT:
        break;
    }
    return edge_encode_text("stopped", head, NULL);
}

static void answer(struct toy_work *work)
{
    struct blob *head = NULL, *weights = NULL;
    struct error err = ERROR_INIT;

    if (!strcmp(work->model_id, "missing")) {
        FAIL(&err, ERR_NOT_FOUND, "no model \"missing\"\nin two lines");
        edge_call_fail(work->call, &err);
    } else if (encode(work, &head, &weights)) {
        abort();
    } else {
        edge_call_reply(work->call, head, weights);
    }
    free(work);
}

static void answer_by_timer(struct loop_timer *timer)
{
    answer(CONTAINER_OF(timer, struct toy_work, timer));
}

static void take_work(struct loop_event *event)
{
    struct toy_work *work = CONTAINER_OF(event, struct toy_work, event);
    struct toy_server *toy = work->toy;

    if (!strcmp(work->model_id, "hold")) {
        work->next = toy->held;
        toy->held = work;
    } else if (!strncmp(work->model_id, "wait:", 5)) {
        loop_timer_init(&work->timer, answer_by_timer);
        if (loop_timer_set(toy->loop, &work->timer, strtoull(work->model_id + 5, NULL, 10) * 1000000U, NULL))
            abort();
    } else {
        answer(work);
    }
}

/* --- handlers, server's thread --- */

static void post(struct toy_server *toy, struct edge_call *call, enum work_kind kind, const void *request,
                 const char *model_id)
{
    struct toy_work *work = calloc(1, sizeof *work);

    if (!work)
        abort();
    work->event.handle = take_work;
    work->toy = toy;
    work->call = call;
    work->kind = kind;
    work->request = request;
    work->model_id = model_id;
    loop_post(toy->loop, &work->event);
}

static void on_echo(void *context)
{
    struct toy_server *toy = context;

    atomic_fetch_add(&toy->echoes, 1);
}

static void on_bench(void *context, struct edge_call *call, const struct bench_request *request)
{
    post(context, call, WORK_BENCH, request, request->model_id);
}

static void on_train(void *context, struct edge_call *call, const struct train_request *request)
{
    struct toy_server *toy = context;

    atomic_fetch_add(&toy->trains, 1);
    if (!strncmp(request->model_id, "big:", 4) && !toy->big) {
        size_t size = strtoul(request->model_id + 4, NULL, 10);

        if (!(toy->big = blob_new(size)))
            abort();
        memset(blob_bytes(toy->big), 7, size);
    }
    post(context, call, WORK_TRAIN, request, request->model_id);
}

static void on_validate(void *context, struct edge_call *call, const struct validation_request *request)
{
    post(context, call, WORK_VALIDATE, request, request->model_id);
}

static void on_abort(void *context, struct edge_call *call, const struct abort_request *request)
{
    post(context, call, WORK_ABORT, request, request->session_id);
}

static int on_upload_begin(void *context, const char *model_id, const char *file_name, void **upload, struct error *err)
{
    struct toy_server *toy = context;

    if (strchr(file_name, '/'))
        return FAIL(err, ERR_INVALID, "file name \"%s\" has a slash", file_name);
    pthread_mutex_lock(&toy->mutex);
    snprintf(toy->model_id, sizeof toy->model_id, "%s", model_id);
    snprintf(toy->file_name, sizeof toy->file_name, "%s", file_name);
    free(toy->file);
    toy->file = NULL;
    toy->file_size = 0;
    pthread_mutex_unlock(&toy->mutex);
    atomic_fetch_add(&toy->uploads_begun, 1);
    *upload = toy;
    return OK;
}

static int on_upload_chunk(void *upload, struct span chunk, struct error *err)
{
    struct toy_server *toy = upload;
    void (*chunk_seen)(struct toy_server * toy) = atomic_load(&toy->chunk_seen);
    unsigned char *file;

    pthread_mutex_lock(&toy->mutex);
    if ((file = realloc(toy->file, toy->file_size + chunk.size + 1))) {
        if (chunk.size)
            memcpy(file + toy->file_size, chunk.data, chunk.size);
        toy->file = file;
        toy->file_size += chunk.size;
    }
    pthread_mutex_unlock(&toy->mutex);
    if (!file)
        return FAIL(err, ERR_MEMORY, "out of memory");
    if (chunk_seen)
        chunk_seen(toy);
    return OK;
}

static int on_upload_end(void *upload, bool commit, struct error *err)
{
    struct toy_server *toy = upload;

    (void)err;
    atomic_fetch_add(commit ? &toy->uploads_stored : &toy->uploads_dropped, 1);
    return OK;
}

/* --- life --- */

int toy_server_init(struct toy_server *toy, struct loop *loop, int port, size_t max_message_length, struct error *err)
{
    struct edge_server_options options = {.bind = "127.0.0.1", .port = port, .max_message_length = max_message_length};
    struct edge_handlers handlers = {.context = toy,
                                     .echoed = on_echo,
                                     .bench = on_bench,
                                     .train = on_train,
                                     .validate = on_validate,
                                     .abort = on_abort,
                                     .upload_begin = on_upload_begin,
                                     .upload_chunk = on_upload_chunk,
                                     .upload_end = on_upload_end};

    memset(toy, 0, sizeof *toy);
    toy->loop = loop;
    pthread_mutex_init(&toy->mutex, NULL);
    return edge_server_new(&toy->server, &options, &handlers, NULL, err);
}

void toy_server_release(struct toy_server *toy)
{
    while (toy->held) {
        struct toy_work *work = toy->held;

        toy->held = work->next;
        answer(work);
    }
}

bool toy_server_holds_cancelled(const struct toy_server *toy)
{
    for (const struct toy_work *work = toy->held; work; work = work->next)
        if (edge_call_is_cancelled(work->call))
            return true;
    return false;
}

void toy_server_fini(struct toy_server *toy)
{
    edge_server_free(toy->server);
    toy_server_release(toy);
    blob_unref(toy->big);
    free(toy->file);
    pthread_mutex_destroy(&toy->mutex);
}
