#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/advert.h"
#include "codec/endpoint.h"

/* Calls check(payload) for every message of a topic that stock Flotilla put on the broker; returns how many. */
static int each_capture(const char *topic, void (*check)(const char *payload))
{
    char path[1024], line[4096];
    int n = 0;

    snprintf(path, sizeof path, "%s/tests/wire/mqtt_all.txt", getenv("srcdir") ? getenv("srcdir") : ".");
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, topic, strlen(topic)) || line[strlen(topic)] != ' ')
            continue;
        check(strchr(line, '{'));
        n++;
    }
    fclose(file);
    return n;
}

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    cr_assert_not_null(root, "%s: %s", error.text, text);
    return root;
}

/* `encoded` says the same as `captured` once our own key is taken out of the object at `path`. */
static void assert_same_but(const char *encoded, const char *captured, const char *our_key, bool in_payload)
{
    json_t *ours = parse(encoded), *theirs = parse(captured);
    json_t *object = in_payload ? json_object_get(json_object_iter_value(json_object_iter(ours)), "payload") : ours;

    if (our_key)
        cr_assert_eq(json_object_del(object, our_key), 0, "'%s' is missing in %s", our_key, encoded);
    char *text = json_dumps(ours, 0);
    cr_assert(json_equal(ours, theirs), "encoded  %s\ncaptured %s", text, captured);
    free(text);
    json_decref(ours);
    json_decref(theirs);
}

/* The keys in the order in which they stand in the text. */
static void assert_same_order(json_t *ours, json_t *theirs)
{
    void *a = json_object_iter(ours), *b = json_object_iter(theirs);

    for (; b; a = json_object_iter_next(ours, a), b = json_object_iter_next(theirs, b)) {
        cr_assert_not_null(a);
        cr_assert_str_eq(json_object_iter_key(a), json_object_iter_key(b));
    }
}

static void check_server_capture(const char *payload)
{
    struct server_advert advert;
    struct error err = ERROR_INIT;

    cr_assert_eq(server_advert_decode(text_span(payload), &advert, &err), OK, "%s", err.message);
    cr_assert_str_eq(advert.client_topic, "advert_client");
    cr_assert_float_eq(advert.heartbeat_interval_s, 5, 0);
    cr_assert_float_eq(advert.timestamp, 1795490461.3196929, 1e-6);
    cr_assert_eq(advert.leader_term, 0);
    cr_assert_str_eq(advert.hw.cpu_core_count, "2");
    cr_assert_str_eq(advert.hw.arch, "x86_64");
    char *encoded = server_advert_encode(&advert);
    cr_assert_not_null(encoded);
    assert_same_but(encoded, payload, "leader_term", false);
    json_t *ours = parse(encoded), *theirs = parse(payload);
    assert_same_order(ours, theirs);
    json_decref(ours);
    json_decref(theirs);
    free(encoded);
}

Test(advert, server_capture_is_understood_and_encodes_to_the_same)
{
    cr_assert_eq(each_capture("advert_server", check_server_capture), 1);
}

static void check_client_capture(const char *payload)
{
    struct client_advert advert;
    struct error err = ERROR_INIT;

    cr_assert_eq(client_advert_decode(text_span(payload), &advert, &err), OK, "%s", err.message);
    cr_assert_eq(strlen(advert.id), 36);
    cr_assert_eq(strncmp(advert.endpoint, "127.0.0.1:5010", 14), 0);
    cr_assert_eq(advert.num_datasets, 1);
    cr_assert_str_eq(advert.datasets[0].id, "FMNIST");
    cr_assert_eq(advert.datasets[0].num_items, 632);
    cr_assert_eq(advert.datasets[0].num_labels, 10);
    cr_assert_eq(advert.num_models + advert.num_benchmarks, 0);
    cr_assert(!advert.speaks_safetensors, "a stock client sends no codec");
    cr_assert_eq(advert.name[0], 'c');
    char *encoded = client_advert_encode(&advert);
    cr_assert_not_null(encoded);
    assert_same_but(encoded, payload, "codec", true);
    free(encoded);
    client_advert_fini(&advert);
}

Test(advert, client_captures_are_understood_and_encode_to_the_same)
{
    cr_assert_eq(each_capture("advert_client", check_client_capture), 2);
}

static void check_heartbeat_capture(const char *payload)
{
    char id[CLIENT_ID_MAX];
    double timestamp;
    struct error err = ERROR_INIT;

    cr_assert_eq(heartbeat_decode(text_span(payload), id, &timestamp, &err), OK, "%s", err.message);
    char *encoded = heartbeat_encode(id, timestamp);
    cr_assert_not_null(encoded);
    assert_same_but(encoded, payload, NULL, false);
    free(encoded);
}

Test(advert, heartbeat_captures_are_understood_and_encode_to_the_same)
{
    cr_assert_eq(each_capture("heartbeat", check_heartbeat_capture), 2);
}

/* Everything of ours survives the way there and back. */
Test(advert, a_full_client_survives_the_round_trip)
{
    struct label_share labels[2] = {{"0", 0.25}, {"ü", 0.75}};
    struct dataset_advert dataset = {.id = "part-7",
                                     .details_json = (char[]){"{\"dataset_tags\":[\"IMAGE\"]}"},
                                     .num_items = 600,
                                     .num_trainable = 570,
                                     .labels = labels,
                                     .num_labels = 2};
    struct model_advert models[2] = {{"LeNet5", "0xab"}, {"MLP", "0xcd"}};
    struct bench_advert bench = {"LeNet5", "0xab", 12, 0.375};
    struct client_advert advert = {.id = "client_0",
                                   .name = "räumlich",
                                   .endpoint = "[::1]:50051",
                                   .timestamp = 12.5,
                                   .cluster_id = 3,
                                   .hw = {"riscv64", "Some CPU", "8", true},
                                   .datasets = &dataset,
                                   .num_datasets = 1,
                                   .models = models,
                                   .num_models = 2,
                                   .benchmarks = &bench,
                                   .num_benchmarks = 1,
                                   .speaks_safetensors = true};
    struct client_advert back;
    struct error err = ERROR_INIT;
    char *encoded = client_advert_encode(&advert);

    cr_assert_not_null(encoded);
    cr_assert_eq(client_advert_decode(text_span(encoded), &back, &err), OK, "%s", err.message);
    cr_assert_str_eq(back.id, "client_0");
    cr_assert_str_eq(back.name, "räumlich");
    cr_assert_str_eq(back.endpoint, "[::1]:50051");
    cr_assert_eq(back.cluster_id, 3);
    cr_assert(back.hw.cuda_available && back.speaks_safetensors);
    cr_assert_eq(back.datasets[0].num_items, 600);
    cr_assert_eq(back.datasets[0].num_trainable, 570);
    cr_assert_str_eq(back.datasets[0].details_json, dataset.details_json);
    cr_assert_str_eq(back.datasets[0].labels[1].label, "ü");
    cr_assert_float_eq(back.datasets[0].labels[1].fraction, 0.75, 0);
    cr_assert_str_eq(back.models[1].hash, "0xcd");
    cr_assert_eq(back.benchmarks[0].num_mini_batches, 12);
    cr_assert_float_eq(back.benchmarks[0].time_taken_s, 0.375, 0);
    free(encoded);
    client_advert_fini(&back);
}

Test(advert, the_term_and_a_broken_interval_survive)
{
    struct server_advert advert = {.timestamp = 3,
                                   .client_topic = "p/advert_client",
                                   .heartbeat_interval_s = 0.5,
                                   .leader_term = 17,
                                   .leader_id = "me",
                                   .cluster = "fleet"};
    struct server_advert back;
    char *encoded = server_advert_encode(&advert);

    cr_assert_eq(server_advert_decode(text_span(encoded), &back, NULL), OK);
    cr_assert_eq(back.leader_term, 17);
    cr_assert_str_eq(back.leader_id, "me");
    cr_assert_str_eq(back.cluster, "fleet");
    cr_assert_float_eq(back.heartbeat_interval_s, 0.5, 0);
    cr_assert_not_null(strstr(encoded, "\"timestamp\": 3.0"), "%s: a float, as Flotilla sends", encoded);
    free(encoded);
}

Test(advert, data_filename_is_not_told)
{
    struct client_advert advert;
    const char *payload = "{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1.0,\"grpc_ep\":\"h:1\",\"datasets\":"
                          "{\"d\":{\"dataset_details\":{\"data_filename\":\"/secret\",\"x\":1},\"metadata\":"
                          "{\"num_items\":5}}}}}}";

    cr_assert_eq(client_advert_decode(text_span(payload), &advert, NULL), OK);
    cr_assert_str_eq(advert.datasets[0].details_json, "{\"x\":1}");
    cr_assert_eq(advert.datasets[0].num_trainable, 5); /* nothing is said of it */
    client_advert_fini(&advert);
}

Test(advert, this_machine_is_described)
{
    struct hw_info hw;

    hw_info_of_this_machine(&hw);
    cr_assert_gt(strlen(hw.arch), 0);
    cr_assert_gt(atoi(hw.cpu_core_count), 0);
}

/* ---- what must be refused: payload and a word of the message ---- */

struct refusal {
    const char *payload, *says;
};

#define CLIENT(fields) "{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1.5,\"grpc_ep\":\"h:1\"" fields "}}}"

Test(advert, malformed_client_adverts_are_refused_with_the_place)
{
    static const struct refusal refusals[] = {
        {"", "JSON"},
        {"{", "1:1"},
        {"[]", "object"},
        {"{}", "0 clients"},
        {"{\"a\":{\"payload\":{}},\"b\":{\"payload\":{}}}", "2 clients"},
        {"{\"a\":{}}", "payload"},
        {"{\"\":{\"payload\":{}}}", "client id"},
        {"{\"a/b\":{\"payload\":{}}}", "client id"},
        {"{\"../x\":{\"payload\":{}}}", "client id"},
        {"{\"c\":{\"payload\":{\"type\":\"server\"}}}", "type"},
        {"{\"c\":{\"payload\":{\"type\":\"client\"}}}", "timestamp"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1,\"timestamp\":2}}}", "duplicate"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":\"1\"}}}", "timestamp"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1}}}", "grpc_ep"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1,\"grpc_ep\":\"host\"}}}", "host:port"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1,\"grpc_ep\":\"host:0\"}}}", "host:port"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1,\"grpc_ep\":\"host:65536\"}}}", "host:port"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1,\"grpc_ep\":\"a b:1\"}}}", "host:port"},
        {"{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1,\"grpc_ep\":\"h\\u0007:1\"}}}", "control"},
        {CLIENT(",\"datasets\":[]"), "datasets"},
        {CLIENT(",\"datasets\":{\"d\":{}}"), "num_items"},
        {CLIENT(",\"datasets\":{\"d\":{\"metadata\":{\"num_items\":-1}}}"), "num_items"},
        {CLIENT(",\"datasets\":{\"d\":{\"metadata\":{\"num_items\":1,\"num_trainable\":2}}}"), "num_trainable"},
        {CLIENT(",\"datasets\":{\"d\":{\"metadata\":{\"num_items\":1,\"label_distribution\":{\"0\":\"x\"}}}}"), "'0'"},
        {CLIENT(",\"datasets\":{\"d\":{\"metadata\":{\"num_items\":1,\"label_distribution\":{\"0\":-1}}}}"), "'0'"},
        {CLIENT(",\"models\":{\"m\":3}"), "'m'"},
        {CLIENT(",\"benchmark_info\":{\"m\":{\"num_mini_batches\":1}}"), "time_taken_s"},
        {CLIENT(",\"codec\":\"safetensors\""), "codec"},
        {CLIENT(",\"cluster_id\":\"x\""), "cluster_id"},
    };

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct client_advert advert;
        struct error err = ERROR_INIT;
        cr_assert_eq(client_advert_decode(text_span(refusals[i].payload), &advert, &err), ERR_INVALID, "%s",
                     refusals[i].payload);
        cr_assert_not_null(strstr(err.message, refusals[i].says), "%s: %s", refusals[i].payload, err.message);
    }
}

Test(advert, malformed_server_adverts_are_refused)
{
    static const struct refusal refusals[] = {
        {"{\"type\":\"client\"}", "type"},
        {"{\"type\":\"server\",\"timestamp\":1.0}", "mqtt_client_topic"},
        {"{\"type\":\"server\",\"timestamp\":1.0,\"mqtt_client_topic\":\"#\",\"heartbeat_interval\":1}", "topic"},
        {"{\"type\":\"server\",\"timestamp\":1.0,\"mqtt_client_topic\":\"t\"}", "heartbeat_interval"},
        {"{\"type\":\"server\",\"timestamp\":1.0,\"mqtt_client_topic\":\"t\",\"heartbeat_interval\":0}",
         "heartbeat_interval"},
        {"{\"type\":\"server\",\"timestamp\":1.0,\"mqtt_client_topic\":\"t\",\"heartbeat_interval\":1,"
         "\"leader_term\":-1}",
         "leader_term"},
    };

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct server_advert advert;
        struct error err = ERROR_INIT;
        cr_assert_eq(server_advert_decode(text_span(refusals[i].payload), &advert, &err), ERR_INVALID, "%s",
                     refusals[i].payload);
        cr_assert_not_null(strstr(err.message, refusals[i].says), "%s: %s", refusals[i].payload, err.message);
    }
}

Test(advert, malformed_heartbeats_are_refused)
{
    char id[CLIENT_ID_MAX];
    double timestamp;

    cr_assert_eq(heartbeat_decode(text_span("{\"id\":\"c\"}"), id, &timestamp, NULL), ERR_INVALID);
    cr_assert_eq(heartbeat_decode(text_span("{\"id\":7,\"timestamp\":1.0}"), id, &timestamp, NULL), ERR_INVALID);
    cr_assert_eq(heartbeat_decode(text_span("{\"id\":\"a b\",\"timestamp\":1.0}"), id, &timestamp, NULL), ERR_INVALID);
    cr_assert_eq(heartbeat_decode(text_span("{\"id\":\"c\",\"timestamp\":1.0}"), id, &timestamp, NULL), OK);
}

/* "{"c":{"payload":{…,"datasets":{"d0":{},…}}}}" with n of them, or one key of `length` bytes. */
static char *with_models(size_t n, size_t name_length)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    fputs("{\"c\":{\"payload\":{\"type\":\"client\",\"timestamp\":1,\"grpc_ep\":\"h:1\",\"models\":{", out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\"%0*zu\":\"0x1\"", i ? "," : "", (int)name_length, i);
    fputs("}}}}", out);
    fclose(out);
    return text;
}

static int decode_models(size_t n, size_t name_length)
{
    struct client_advert advert;
    char *text = with_models(n, name_length);
    int status = client_advert_decode(text_span(text), &advert, NULL);

    if (!status) {
        cr_assert_eq(advert.num_models, n);
        client_advert_fini(&advert);
    }
    free(text);
    return status;
}

Test(advert, sizes_are_bounded)
{
    cr_assert_eq(decode_models(256, 4), OK);
    cr_assert_eq(decode_models(257, 4), ERR_INVALID);
    cr_assert_eq(decode_models(1, 255), OK);
    cr_assert_eq(decode_models(1, 256), ERR_INVALID);
    cr_assert_eq(decode_models(1, (1 << 20)), ERR_TOO_LARGE);
}

/* Cut anywhere, a payload is refused and nothing is read beyond its end. */
static void check_every_prefix(const char *payload)
{
    for (size_t n = 0; n < strlen(payload); n++) {
        struct client_advert advert;
        char *prefix = malloc(n ? n : 1);
        memcpy(prefix, payload, n);
        cr_assert_neq(client_advert_decode(span_of(prefix, n), &advert, NULL), OK);
        free(prefix);
    }
}

Test(advert, every_prefix_of_a_capture_is_refused)
{
    cr_assert_eq(each_capture("advert_client", check_every_prefix), 2);
}

Test(advert, long_descriptions_are_cut_between_characters)
{
    struct client_advert advert;
    char payload[512], name[200] = "a";

    for (size_t i = 1; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "ü", 2);
    name[199] = '\0';
    snprintf(payload, sizeof payload, CLIENT(",\"name\":\"%.*s\""), 199, name);
    cr_assert_eq(client_advert_decode(text_span(payload), &advert, NULL), OK);
    cr_assert_eq(strlen(advert.name), 127);
    json_t *valid = json_string(advert.name);
    cr_assert_not_null(valid);
    json_decref(valid);
    client_advert_fini(&advert);
}

Test(endpoint, is_a_host_and_a_port_alone)
{
    static const char *const bad[] = {"",      ":1",   "h",           "h:",    "h:0",    "h:65536",
                                      "h:1x",  "h:+1", "unix:/tmp/s", "a b:1", "::1:50", "[::1]",
                                      "[x]:1", "[]:1", "xds:///a:1",  "h/x:1"};
    struct endpoint endpoint;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(endpoint_parse(bad[i], &endpoint, NULL), ERR_INVALID, "%s", bad[i]);
    cr_assert_eq(endpoint_parse("worker-7.example:50051", &endpoint, NULL), OK);
    cr_assert(endpoint.kind == HOST_NAME && endpoint.port == 50051);
    cr_assert_str_eq(endpoint.host, "worker-7.example");
    cr_assert_eq(endpoint_parse("10.0.0.7:1", &endpoint, NULL), OK);
    cr_assert_eq(endpoint.kind, HOST_IPV4);
    cr_assert_eq(endpoint_parse("[fe80::1]:65535", &endpoint, NULL), OK);
    cr_assert_eq(endpoint.kind, HOST_IPV6);
    cr_assert_str_eq(endpoint.host, "fe80::1");
    cr_assert(host_is_loopback("[::1]") && host_is_loopback("::1") && host_is_loopback("127.0.0.5"));
    cr_assert_not(host_is_loopback("0.0.0.0"));
}
