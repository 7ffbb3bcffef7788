/* The JSON of the MQTT topics (advert_server, advert_client, heartbeat), byte for byte Flotilla's keys.
 * Plain structs in, JSON text out, and back. Everything parsed is untrusted and bounded: payload 1 MiB, ids 128 bytes,
 * 64 datasets, 1,000 labels each, 256 models. A client's id has letters, digits, '-' and '_' only, because topics,
 * store keys and file names are made of it. Pure functions; any thread. */
#ifndef FLOSIM_CODEC_ADVERT_H
#define FLOSIM_CODEC_ADVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/span.h"

enum { CLIENT_ID_MAX = 129, ENDPOINT_MAX = 280 };

struct hw_info {
    char arch[32], model_name[128];
    char cpu_core_count[16]; /* Flotilla sends a string */
    bool cuda_available;
};

void hw_info_of_this_machine(struct hw_info *hw);

struct server_advert {
    double timestamp;
    char client_topic[256];      /* mqtt_client_topic: where workers answer */
    double heartbeat_interval_s; /* at which they beat */
    uint64_t leader_term;        /* ours; 0 where a stock leader sends none */
    char leader_id[64];          /* ours: tells two leaders of one term apart; "" where none is sent */
    char cluster[256];           /* ours: whose place it takes; "" where none is sent */
    struct hw_info hw;
};

struct label_share {
    char label[64];
    double fraction;
};

struct dataset_advert {
    char id[256];       /* the folder's name */
    char *details_json; /* dataset_details without data_filename, as JSON text; owned */
    int64_t num_items;
    int64_t num_trainable;      /* ours: of num_items, those that are not held back for validation; a stock client tells
                                 * nothing of it: all of them */
    struct label_share *labels; /* owned */
    size_t num_labels;
};

struct model_advert {
    char id[256], hash[96];
};

struct bench_advert {
    char model_id[256], model_hash[96];
    int64_t num_mini_batches;
    double time_taken_s;
};

struct client_advert {
    char id[CLIENT_ID_MAX], name[128], endpoint[ENDPOINT_MAX];
    double timestamp;
    int64_t cluster_id;
    struct hw_info hw;
    struct dataset_advert *datasets;
    size_t num_datasets;
    struct model_advert *models;
    size_t num_models;
    struct bench_advert *benchmarks;
    size_t num_benchmarks;
    bool speaks_safetensors; /* "safetensors" stands in `codec` */
};

void client_advert_fini(struct client_advert *advert);

/* Encoders return a new NUL-terminated string; NULL when out of memory, or where an id is no UTF-8. */
char *server_advert_encode(const struct server_advert *advert);
char *client_advert_encode(const struct client_advert *advert);
char *heartbeat_encode(const char *client_id, double timestamp);

/* ERR_INVALID or ERR_TOO_LARGE names the key and what was expected. Absent lists are empty, absent descriptions "" (too
 * long ones are cut), an absent codec is a stock client's. Release a decoded client_advert with client_advert_fini; on
 * error there is nothing to release. */
int server_advert_decode(struct span payload, struct server_advert *out, struct error *err);
int client_advert_decode(struct span payload, struct client_advert *out, struct error *err);
int heartbeat_decode(struct span payload, char client_id[CLIENT_ID_MAX], double *timestamp, struct error *err);

#endif
