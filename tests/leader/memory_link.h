/* A member of client_link without a network: each client is a small program in this process that answers later, on the
 * loop, with real encoded messages. What it does is set by the test. */
#ifndef TESTS_LEADER_MEMORY_LINK_H
#define TESTS_LEADER_MEMORY_LINK_H

#include "codec/layout.h"
#include "leader/roster.h"
#include "util/loop.h"

enum behaviour {
    ANSWERS,       /* trains and answers */
    HANGS,         /* never answers until its deadline */
    DIES,          /* the connection breaks when it is asked to train, and at everything later */
    FAILS,         /* answers with an error */
    SENDS_NAN,     /* weights that are not finite */
    BRAGS,         /* more samples than it advertised */
    SENDS_GARBAGE, /* bytes that are no message */
    MISHEARS,      /* echoes another text */
    WRONG_SHAPE,   /* weights of another layout */
    LACKS_EXTRAS,  /* cannot do more than plain training, and says so */
};

struct memory_client {
    char id[64], endpoint[64];
    enum behaviour behaviour;
    int64_t num_samples;
    int64_t num_held_back;   /* of them */
    uint64_t delay_ns;       /* before it answers a training */
    float bench_s;           /* what its benchmark takes; 0: 0.5 */
    uint64_t bench_delay_ns; /* until a benchmark is answered */
    /* What it was asked for. */
    int echoes, files, benchmarks, trainings, validations, aborts, refusals, last_round;
    char last_refusal[128];
    uint64_t last_seed;
    uint32_t last_attempt;
    char last_requires[64];
    double last_mu, last_file_timeout_s;
    bool last_initial_loss;
    float last_correction; /* its first number; 0 where there was none */
};

struct memory_net {
    struct loop *loop;
    const struct layout *layout;
    struct memory_client *clients;
    size_t n;
    int open_credits, max_credits;
    int open_calls;
    size_t links;
};

struct link_factory memory_link_factory(struct memory_net *net);
struct memory_client *memory_client_at(struct memory_net *net, const char *endpoint);

/* Let the client speak over "MQTT". */
void memory_client_advertise(struct memory_net *net, struct memory_client *client, struct roster *roster);
void memory_client_beat(struct memory_client *client, struct roster *roster, double timestamp);

#endif
