/* A Redis that cannot be used when a leader starts: a clear sentence, soon; and what state_fallback covers. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redis_stage.h"

/* Opens and takes the term, as a leader does. */
static int begin(const struct state_options *options, struct state **state, struct error *err)
{
    uint64_t term;
    int status = state_open(state, options, err);

    return status == OK ? state_take_term(*state, 1, &term, err) : status;
}

/* Refused with `what`, with state_fallback or without. */
static void expect_refusal(const struct redis_stage *stage, bool fallback, const char *what)
{
    struct state_options options = stage->options;
    struct error err = ERROR_INIT;
    struct state *state;

    options.fallback = fallback;
    cr_assert_eq(begin(&options, &state, &err), ERR_SETUP, "%s", what);
    cr_assert(strstr(err.message, what), "%s", err.message);
    state_close(state);
}

/* Gone without, loudly. */
static void expect_fallback(struct redis_stage *stage, const char *why)
{
    struct error err = ERROR_INIT;

    stage->options.fallback = true;
    cr_assert_eq(begin(&stage->options, &stage->state, &err), OK, "%s", err.message);
    cr_assert_not(state_is_durable(stage->state));
    cr_assert(redis_stage_logged(stage, "WARN"));
    cr_assert(redis_stage_logged(stage, why));
    cr_assert(redis_stage_logged(stage, "going on in memory alone as state_fallback says"));
    cr_assert_not(redis_stage_commit(stage, "s", "in memory"));
    redis_stage_close(stage);
    stage->options.fallback = false;
}

static void expect_both_refused(const struct redis_stage *stage, const char *what)
{
    expect_refusal(stage, false, what);
    expect_refusal(stage, true, what);
}

Test(redis_start, wants_a_person_where_one_has_to_mend_it, .timeout = 60)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    stage.options.store.db = 99999;
    expect_both_refused(&stage, "state_db");
    stage.options.store.db = 0;
    redis_fixture_do(&stage.redis, "SET leader_0 x", "+OK");
    expect_both_refused(&stage, "something else lies under a key of the state");
    redis_fixture_do(&stage.redis, "ACL SETUSER poor on >poor ~* +@all -hset", "+OK");
    redis_fixture_do(&stage.redis, "DEL leader_0", ":1");
    stage.options.store.username = stage.options.store.password = "poor";
    expect_both_refused(&stage, "state_username lacks a right");
    stage.options.store.username = stage.options.store.password = NULL;
    redis_fixture_do(&stage.redis, "CONFIG SET requirepass secret", "+OK");
    expect_both_refused(&stage, "set state.state_password_file");
    stage.options.store.password = "wrong";
    expect_both_refused(&stage, "wrong state_username or state_password_file");
    redis_stage_strike(&stage);
}

Test(redis_start, nobody_there, .timeout = 60)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    redis_fixture_kill(&stage.redis);
    expect_refusal(&stage, false, "refused");
    expect_fallback(&stage, "refused");
    redis_stage_strike(&stage);
}

Test(redis_start, takes_no_writes, .timeout = 60)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    redis_fixture_do(&stage.redis, "CONFIG SET maxmemory 1", "+OK");
    expect_refusal(&stage, false, "raise its maxmemory");
    expect_fallback(&stage, "OOM");
    redis_fixture_do(&stage.redis, "CONFIG SET maxmemory 0", "+OK");
    redis_fixture_do(&stage.redis, "REPLICAOF 127.0.0.1 1", "+OK");
    expect_refusal(&stage, false, "must be the primary's");
    expect_fallback(&stage, "READONLY");
    redis_stage_strike(&stage);
}

/* A port whose connections nobody takes: silent; or that says something else than Redis would. */
static int other_port(int *fd)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(*fd, (struct sockaddr *)&here, sizeof here), 0);
    cr_assert_eq(listen(*fd, 8), 0);
    cr_assert_eq(getsockname(*fd, (struct sockaddr *)&here, &size), 0);
    return ntohs(here.sin_port);
}

Test(redis_start, a_silent_port, .timeout = 60)
{
    struct redis_stage stage;
    uint64_t began = clock_now_ns(&clock_system);
    int fd;

    redis_stage_set(&stage);
    stage.options.store.port = other_port(&fd);
    stage.options.store.timeout_ms = 300;
    expect_refusal(&stage, false, "no answer for 0.3 s");
    expect_fallback(&stage, "no answer for 0.3 s");
    cr_assert_lt(clock_now_ns(&clock_system) - began, 10000000000u);
    close(fd);
    redis_stage_strike(&stage);
}

static void *answer_as_http(void *argument)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    const int *fd = argument;

    for (int i = 0; i < 2; i++) {
        char request[256];
        int client = accept(*fd, NULL, NULL);

        cr_assert_gt(read(client, request, sizeof request), 0);
        cr_assert_eq(write(client, text, sizeof text - 1), (ssize_t)sizeof text - 1);
        close(client);
    }
    return NULL;
}

Test(redis_start, a_web_server, .timeout = 60)
{
    struct redis_stage stage;
    pthread_t thread;
    int fd;

    redis_stage_set(&stage);
    stage.options.store.port = other_port(&fd);
    cr_assert_eq(pthread_create(&thread, NULL, answer_as_http, &fd), 0);
    expect_both_refused(&stage, "does not speak Redis");
    pthread_join(thread, NULL);
    close(fd);
    redis_stage_strike(&stage);
}

/* Many small values, so that reading them takes Redis a while. */
static void fill(struct redis_stage *stage)
{
    struct state_batch *batch = state_batch_new();
    char key[32];

    for (int i = 0; i < 2500; i++) {
        snprintf(key, sizeof key, "client.%d", i);
        cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_STATE, "s", key, "{}", NULL), OK);
    }
    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s", "status", "kept", NULL), OK);
    cr_assert(redis_stage_send(stage, batch));
}

Test(redis_start, still_loading, .timeout = 120)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    stage.options.store.timeout_ms = 10000;
    redis_stage_open(&stage);
    fill(&stage);
    redis_stage_close(&stage);
    redis_fixture_kill(&stage.redis);
    redis_fixture_restart_slowly(&stage.redis, "200");
    stage.options.store.loading_ms = 1;
    expect_refusal(&stage, false, "LOADING");
    stage.options.store.loading_ms = 60000;
    redis_stage_expect(&stage, "s", "kept");
    cr_assert(redis_stage_logged(&stage, "still loads its data; waiting"));
    redis_stage_strike(&stage);
}

static void *begin_elsewhere(void *context)
{
    struct redis_stage *stage = context;
    uint64_t term;

    cr_assert_eq(state_open(&stage->state, &stage->options, NULL), OK);
    cr_assert_eq(state_take_term(stage->state, 1, &term, NULL), OK);
    return NULL;
}

/* Who takes another leader's place waits for its Redis, but not for ever. */
Test(redis_start, comes_up_later_than_the_leader, .timeout = 120)
{
    struct redis_stage stage;
    pthread_t thread;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "kept"));
    redis_stage_close(&stage);
    redis_fixture_kill(&stage.redis);
    stage.options.store.connect_ms = 1;
    expect_refusal(&stage, false, "Connection refused");
    stage.options.store.connect_ms = 60000;
    cr_assert_eq(pthread_create(&thread, NULL, begin_elsewhere, &stage), 0);
    while (!redis_stage_logged(&stage, "waiting for it for at most 60 s"))
        sched_yield();
    redis_fixture_restart(&stage.redis);
    pthread_join(thread, NULL);
    redis_stage_expect(&stage, "s", "kept");
    redis_stage_strike(&stage);
}
