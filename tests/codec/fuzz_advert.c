/* libFuzzer target: no bytes may harm the decoders of the MQTT payloads, and what they accept survives encoding.
 * Seeds: the payloads of tests/wire/mqtt_all.txt. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/advert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

static void client(struct span payload)
{
    struct client_advert advert, again;

    if (client_advert_decode(payload, &advert, NULL))
        return;
    char *text = client_advert_encode(&advert);
    require(text && client_advert_decode(text_span(text), &again, NULL) == OK);
    require(!strcmp(advert.id, again.id) && !strcmp(advert.endpoint, again.endpoint));
    require(advert.num_datasets == again.num_datasets && advert.num_models == again.num_models);
    require(advert.num_benchmarks == again.num_benchmarks && advert.speaks_safetensors == again.speaks_safetensors);
    free(text);
    client_advert_fini(&advert);
    client_advert_fini(&again);
}

static void server(struct span payload)
{
    struct server_advert advert, again;

    if (server_advert_decode(payload, &advert, NULL))
        return;
    char *text = server_advert_encode(&advert);
    require(text && server_advert_decode(text_span(text), &again, NULL) == OK);
    require(!strcmp(advert.client_topic, again.client_topic) && advert.leader_term == again.leader_term);
    free(text);
}

static void heartbeat(struct span payload)
{
    char id[CLIENT_ID_MAX];
    double timestamp;

    if (heartbeat_decode(payload, id, &timestamp, NULL))
        return;
    char *text = heartbeat_encode(id, timestamp);
    require(text && heartbeat_decode(text_span(text), id, &timestamp, NULL) == OK);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span payload = span_of(data, size);

    client(payload);
    server(payload);
    heartbeat(payload);
    return 0;
}
