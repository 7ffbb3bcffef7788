/* A worker under fire, for ThreadSanitizer: trainings that replace, join and abort one another, lost calls, uploads and
 * adverts while it trains, and leaving in the midst of it. A plain program, for Criterion cannot run under it. */
#include <string.h>

#include "tests/worker/bench_data.h"
#include "tests/worker/require.h"
#include "tests/worker/stage.h"

enum { ROUNDS = 12, CALLS = 3 };

static const char advert[] = "{\"type\": \"server\", \"timestamp\": 1, \"grpc_ep\": null, \"mqtt_client_topic\": "
                             "\"advert_client\", \"cluster_id\": null, \"heartbeat_interval\": 0.05, \"hw_info\": {}}";

static void echo(struct stage *stage)
{
    struct exchange exchange;
    struct blob *head = NULL;

    REQUIRE(edge_encode_text("x", &head, NULL) == OK, "failed");
    exchange_begin(&exchange, &stage->party, EDGE_ECHO, head, NULL);
    REQUIRE(exchange_wait(&exchange) == OK, "%s", exchange.error.message);
    exchange_end(&exchange);
}

/* Three identical calls, of which one is lost, then what comes next in the round. */
static void play_round(struct stage *stage, int32_t round)
{
    struct train_request request = stage_request(stage);
    struct exchange calls[CALLS];

    request.round_idx = round;
    request.num_epochs = round % 4 == 0 ? 1 : 200;
    for (int i = 0; i < CALLS; i++)
        stage_begin_training(stage, &request, &calls[i]);
    exchange_cancel(&calls[round % CALLS]);
    echo(stage);
    REQUIRE(party_upload(&stage->party, "LeNet5", "model.yaml", lenet_yaml) == OK, "failed");
    if (round % 4 == 1)
        REQUIRE(stage_abort(stage, round) == OK, "failed");
    if (round % 4 == 2) { /* the next request ends this one */
        request.attempt = 1;
        request.num_epochs = 1;
        struct exchange next;
        REQUIRE(stage_train(stage, &request, &next) == OK, "%s", next.error.message);
        exchange_end(&next);
    }
    for (int i = 0; i < CALLS; i++) {
        exchange_wait(&calls[i]); /* whatever became of it: it is answered */
        exchange_end(&calls[i]);
    }
}

int main(void)
{
    static struct stage stage;
    struct exchange last;

    stage_prepare(&stage);
    stage_open(&stage);
    party_publish(&stage.party, "advert_server", advert, true);
    for (int32_t round = 0; round < ROUNDS; round++)
        play_round(&stage, round);
    struct train_request request = stage_request(&stage);
    request.round_idx = ROUNDS;
    request.num_epochs = 1000000;
    stage_begin_training(&stage, &request, &last);
    echo(&stage);
    stage_end_worker(&stage);
    REQUIRE(exchange_wait(&last) != OK, "it was answered as if it had been trained");
    exchange_end(&last);
    stage_close(&stage);
    return 0;
}
