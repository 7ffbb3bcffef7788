#include "memory_link.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/edge_messages.h"
#include "codec/safetensors.h"

struct memory_call;

struct memory_link {
    struct client_link base;
    struct memory_net *net;
    struct memory_client *client;
    struct memory_call *calls;
};

/* One call under way. */
struct memory_call {
    struct memory_link *link;
    struct memory_call *next;
    struct loop_timer timer;
    struct loop_event cancelled;
    struct memory_net *net;
    link_callback done;
    void *context;
    struct error error;
    struct blob *body;
    bool credit;
};

static void release_credit(void *owner)
{
    __atomic_sub_fetch(&((struct memory_net *)owner)->open_credits, 1, __ATOMIC_SEQ_CST);
}

static void keep_credit(struct link_reply *reply)
{
    struct memory_net *net = reply->credit_owner;
    int open = __atomic_add_fetch(&net->open_credits, 1, __ATOMIC_SEQ_CST);

    if (open > net->max_credits)
        net->max_credits = open;
}

static void finish(struct memory_call *call)
{
    struct link_reply reply = {
        .error = call->error,
        .storage = call->body,
        .body = blob_span(call->body),
        .elapsed_s = 0.001,
        .bytes_sent = 100,
        .bytes_received = blob_span(call->body).size,
        .keep_credit = call->credit ? keep_credit : NULL,
        .release_credit = release_credit,
        .credit_owner = call->net,
    };

    call->net->open_calls--;
    call->done(call->context, &reply);
    blob_unref(call->body);
    free(call);
}

static void forget(struct memory_call *call)
{
    for (struct memory_call **at = &call->link->calls; *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            return;
        }
}

static void answer(struct loop_timer *timer)
{
    struct memory_call *call = CONTAINER_OF(timer, struct memory_call, timer);

    forget(call);
    finish(call);
}

static void answer_cancelled(struct loop_event *event)
{
    finish(CONTAINER_OF(event, struct memory_call, cancelled));
}

static int start(struct memory_link *link, struct blob *body, const struct error *error, uint64_t delay_ns,
                 link_callback done, void *context, bool credit)
{
    struct memory_call *call = calloc(1, sizeof *call);

    assert(call);
    *call = (struct memory_call){.link = link,
                                 .next = link->calls,
                                 .net = link->net,
                                 .done = done,
                                 .context = context,
                                 .body = body,
                                 .credit = credit};
    if (error)
        call->error = *error;
    link->calls = call;
    link->net->open_calls++;
    loop_timer_init(&call->timer, answer);
    assert(loop_timer_set(link->net->loop, &call->timer, delay_ns, NULL) == OK);
    return OK;
}

static struct memory_link *link_of(struct client_link *base)
{
    return CONTAINER_OF(base, struct memory_link, base);
}

static struct error failure(int status, const char *text)
{
    struct error error = ERROR_INIT;

    FAIL(&error, status, "%s", text);
    return error;
}

static bool is_dead(const struct memory_client *client)
{
    return client->behaviour == DIES && client->trainings > 0;
}

static int reply_text(struct memory_link *link, const char *text, link_callback done, void *context)
{
    struct error gone = failure(ERR_UNAVAILABLE, "connection refused");
    struct blob *body = NULL;

    if (is_dead(link->client))
        return start(link, NULL, &gone, 0, done, context, false);
    assert(edge_encode_text(text, &body, NULL) == OK);
    return start(link, body, NULL, 0, done, context, false);
}

static int echo(struct client_link *base, double timeout_s, link_callback done, void *context)
{
    (void)timeout_s;
    link_of(base)->client->echoes++;
    if (link_of(base)->client->behaviour == MISHEARS)
        return reply_text(link_of(base), "flosin\nor so", done, context);
    return reply_text(link_of(base), LINK_ECHO_TEXT, done, context);
}

static int send_model(struct client_link *base, const char *model_id, const char *file_name, struct blob *data,
                      double timeout_s, link_callback done, void *context)
{
    assert(*model_id && *file_name && data);
    link_of(base)->client->files++;
    link_of(base)->client->last_file_timeout_s = timeout_s;
    return reply_text(link_of(base), "ok", done, context);
}

static int benchmark(struct client_link *base, const struct bench_request *request, double timeout_s,
                     link_callback done, void *context)
{
    struct memory_link *link = link_of(base);
    struct bench_response response = {request->model_id, 4, link->client->bench_s > 0 ? link->client->bench_s : 0.5f,
                                      NULL};
    struct blob *body;

    (void)timeout_s;
    link->client->benchmarks++;
    assert(edge_encode_bench_response(&response, &body, NULL) == OK);
    return start(link, body, NULL, link->client->bench_delay_ns, done, context, false);
}

/* The "training": every weight moves by an amount that depends on client and round. */
static struct blob *trained(const struct memory_link *link, const struct train_request *request, struct blob *weights)
{
    const struct layout *layout = link->net->layout;
    float *w = calloc(layout->num_floats, sizeof *w);
    struct blob *image = NULL;
    unsigned salt = 7;

    assert(w && safetensors_decode(layout, blob_span(weights), w, NULL) == OK);
    for (const char *c = link->client->id; *c; c++)
        salt = salt * 31 + (unsigned char)*c;
    for (size_t i = 0; i < layout->num_floats; i++)
        w[i] += (float)((salt + 17 * i + 13 * (size_t)request->round_idx) % 101) * 0.0371f - 1.1f;
    if (link->client->behaviour == SENDS_NAN)
        w[0] = NAN;
    if (link->client->behaviour == WRONG_SHAPE) {
        struct layout other;
        int64_t dims[] = {3};

        layout_init(&other);
        assert(layout_add(&other, "elsewhere", TENSOR_PARAMETER, false, 1, dims, NULL) == OK);
        assert(safetensors_encode(&other, w, NULL, &image, NULL) == OK);
        layout_fini(&other);
    } else {
        assert(safetensors_encode(layout, w, NULL, &image, NULL) == OK);
    }
    free(w);
    return image;
}

static struct blob *train_body(const struct memory_link *link, const struct train_request *request,
                               struct blob *weights)
{
    int64_t samples = link->client->num_samples * (link->client->behaviour == BRAGS ? 2 : 1);
    struct blob *image = trained(link, request, weights), *head, *body;
    char metrics[256];
    int n =
        snprintf(metrics, sizeof metrics,
                 "{\"time_taken_s\":0.5,\"num_epochs\":1,\"total_mini_batches\":3,\"loss\":%.3f,\"accuracy\":50.0,"
                 "\"num_samples\":%lld,\"initial_loss\":1.25,\"pss_idle_kb\":900,\"pss_kb\":1800,\"measured_s\":0.01}",
                 1.0 / (1 + request->round_idx), (long long)samples);
    struct train_response response = {.model_id = request->model_id,
                                      .client_id = link->client->id,
                                      .round_idx = request->round_idx,
                                      .metrics = span_of(metrics, (size_t)n)};

    assert(edge_encode_train_response(&response, blob_size(image), &head, NULL) == OK);
    body = blob_new(blob_size(head) + blob_size(image));
    assert(body);
    memcpy(blob_bytes(body), blob_bytes(head), blob_size(head));
    memcpy((char *)blob_bytes(body) + blob_size(head), blob_bytes(image), blob_size(image));
    blob_unref(head);
    blob_unref(image);
    return body;
}

static void note_extras(struct memory_link *link, const struct train_request *request)
{
    struct memory_client *client = link->client;
    const struct layout *layout = link->net->layout;
    float *correction = calloc(layout->num_floats, sizeof *correction);

    assert(correction);
    assert(!request->correction.size || safetensors_decode(layout, request->correction, correction, NULL) == OK);
    snprintf(client->last_requires, sizeof client->last_requires, "%s", request->requires);
    client->last_mu = request->proximal_mu;
    client->last_initial_loss = request->initial_loss;
    client->last_correction = correction[0];
    free(correction);
}

static int train(struct client_link *base, const struct train_request *request, struct blob *weights, double timeout_s,
                 link_callback done, void *context)
{
    struct memory_link *link = link_of(base);
    struct memory_client *client = link->client;
    struct error gone = failure(ERR_UNAVAILABLE, "connection reset"), late = failure(ERR_DEADLINE, "deadline exceeded"),
                 broken = failure(ERR_INTERNAL, "it does not train today"),
                 unable = failure(ERR_UNIMPLEMENTED, "the strategy needs more than I can do");
    struct blob *garbage;

    client->trainings++;
    client->last_round = request->round_idx;
    client->last_seed = request->seed;
    client->last_attempt = request->attempt;
    note_extras(link, request);
    switch (client->behaviour) {
    case LACKS_EXTRAS:
        if (*client->last_requires)
            return start(link, NULL, &unable, client->delay_ns, done, context, false);
        return start(link, train_body(link, request, weights), NULL, client->delay_ns, done, context, true);
    case HANGS:
        return start(link, NULL, &late, (uint64_t)(timeout_s * 1e9), done, context, false);
    case DIES:
        return start(link, NULL, &gone, client->delay_ns, done, context, false);
    case FAILS:
        return start(link, NULL, &broken, client->delay_ns, done, context, false);
    case SENDS_GARBAGE:
        garbage = blob_new(33);
        memset(blob_bytes(garbage), 0xff, 33);
        return start(link, garbage, NULL, client->delay_ns, done, context, true);
    default:
        return start(link, train_body(link, request, weights), NULL, client->delay_ns, done, context, true);
    }
}

static int validate(struct client_link *base, const struct validation_request *request, struct blob *weights,
                    double timeout_s, link_callback done, void *context)
{
    struct memory_link *link = link_of(base);
    static const char metrics[] = "{\"accuracy\":60.0,\"loss\":0.7,\"num_samples\":5}";
    struct validation_response response = {.model_id = request->model_id,
                                           .client_id = link->client->id,
                                           .round_idx = request->round_idx,
                                           .metrics = span_of(metrics, strlen(metrics))};
    struct blob *body;

    (void)timeout_s;
    assert(blob_size(weights) > 0);
    link->client->validations++;
    assert(edge_encode_validation_response(&response, &body, NULL) == OK);
    return start(link, body, NULL, 0, done, context, false);
}

static int abort_work(struct client_link *base, const struct abort_request *request, link_callback done, void *context)
{
    struct memory_client *client = link_of(base)->client;

    if (request->reason && *request->reason) {
        client->refusals++;
        snprintf(client->last_refusal, sizeof client->last_refusal, "%s", request->reason);
    } else {
        client->aborts++;
    }
    return reply_text(link_of(base), "ok", done, context);
}

/* As gRPC does it: what is open is answered soon, with a cancellation. */
static void close_link(struct client_link *base)
{
    struct memory_link *link = link_of(base);
    struct memory_call *next;

    for (struct memory_call *call = link->calls; call; call = next) {
        next = call->next;
        loop_timer_cancel(link->net->loop, &call->timer);
        blob_unref(call->body);
        call->body = NULL;
        call->error = failure(ERR_CANCELLED, "cancelled");
        call->cancelled.handle = answer_cancelled;
        loop_post(link->net->loop, &call->cancelled);
    }
    link->net->links--;
    free(link);
}

static const struct link_ops ops = {
    .name = "memory",
    .echo = echo,
    .send_model = send_model,
    .benchmark = benchmark,
    .train = train,
    .validate = validate,
    .abort = abort_work,
    .close = close_link,
};

struct memory_client *memory_client_at(struct memory_net *net, const char *endpoint)
{
    for (size_t i = 0; i < net->n; i++)
        if (strcmp(net->clients[i].endpoint, endpoint) == 0)
            return &net->clients[i];
    return NULL;
}

static int open_link(void *context, const char *endpoint, bool ours, struct client_link **out, struct error *err)
{
    struct memory_net *net = context;
    struct memory_link *link = calloc(1, sizeof *link);

    (void)ours;
    (void)err;
    assert(link);
    link->base.ops = &ops;
    link->net = net;
    link->client = memory_client_at(net, endpoint);
    assert(link->client);
    net->links++;
    *out = &link->base;
    return OK;
}

struct link_factory memory_link_factory(struct memory_net *net)
{
    return (struct link_factory){open_link, net};
}

void memory_client_advertise(struct memory_net *net, struct memory_client *client, struct roster *roster)
{
    struct dataset_advert dataset = {
        .id = "digits", .num_items = client->num_samples, .num_trainable = client->num_samples - client->num_held_back};
    struct client_advert advert = {.timestamp = 1, .datasets = &dataset, .num_datasets = 1, .speaks_safetensors = true};
    char details[] = "{}";
    char *text;

    (void)net;
    dataset.details_json = details;
    snprintf(advert.id, sizeof advert.id, "%s", client->id);
    snprintf(advert.name, sizeof advert.name, "name-%s", client->id);
    snprintf(advert.endpoint, sizeof advert.endpoint, "%s", client->endpoint);
    text = client_advert_encode(&advert);
    assert(text);
    roster_take_advert(roster, span_of(text, strlen(text)));
    free(text);
}

void memory_client_beat(struct memory_client *client, struct roster *roster, double timestamp)
{
    char *text = heartbeat_encode(client->id, timestamp);

    assert(text);
    roster_take_heartbeat(roster, span_of(text, strlen(text)));
    free(text);
}
