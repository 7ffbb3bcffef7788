/* A Redis that goes, hangs, fills up, turns into a replica or forgets while a leader is at work: training goes on, and
 * nothing that was acknowledged is lost. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "redis_proxy.h"
#include "redis_stage.h"

Test(redis_outage, loses_nothing, .timeout = 60)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "before"));
    redis_fixture_kill(&stage.redis);
    cr_assert_not(redis_stage_commit(&stage, "s", "during"));
    cr_assert_not(redis_stage_commit(&stage, "s", "latest"));
    redis_fixture_restart(&stage.redis);
    redis_stage_wait_recoveries(&stage, 1);
    cr_assert_not(stage.everything);
    redis_stage_expect(&stage, "s", "latest");
    cr_assert(redis_stage_commit(&stage, "s", "after"));
    redis_stage_expect(&stage, "s", "after");
    redis_stage_strike(&stage);
}

/* What this leader holds: the sessions that ran or were restored under it, and the clients. */
Test(redis_outage, a_server_that_came_back_empty_gets_all_that_memory_holds, .timeout = 60)
{
    struct redis_stage stage;
    struct state_batch *batch = state_batch_new();
    struct blob *client;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "loaded", "of the first leader"));
    cr_assert(redis_stage_commit(&stage, "unloaded", "of the first leader"));
    cr_assert_eq(state_batch_put_text(batch, STORE_CLIENT_INFO, "0", "client.a", "{}", NULL), OK);
    cr_assert(redis_stage_send(&stage, batch));
    redis_stage_expect(&stage, "loaded", "of the first leader"); /* a second one */
    cr_assert(redis_stage_commit(&stage, "s", "before"));
    redis_fixture_kill(&stage.redis);
    redis_fixture_forget(&stage.redis);
    cr_assert_not(redis_stage_commit(&stage, "s", "during"));
    redis_fixture_restart(&stage.redis);
    redis_stage_wait_recoveries(&stage, 1);
    cr_assert(stage.everything);
    redis_stage_expect(&stage, "loaded", "of the first leader");
    redis_stage_expect(&stage, "s", "during");
    cr_assert(redis_stage_logged(&stage, "sessions that only the store had are lost"));
    cr_assert_eq(state_load(stage.state, "unloaded", NULL), ERR_NOT_FOUND);
    cr_assert_eq(state_get(stage.state, STORE_CLIENT_INFO, "0", "client.a", &client, NULL), OK);
    blob_unref(client);
    redis_stage_strike(&stage);
}

/* The transaction that was on its way when Redis was halted, and the one that takes its place, are one. */
Test(redis_outage, a_halted_server, .timeout = 60)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    stage.options.store.timeout_ms = 200;
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "before"));
    redis_fixture_halt(&stage.redis);
    cr_assert_not(redis_stage_commit(&stage, "s", "during"));
    cr_assert(strstr(stage.reason, "no answer for 0.2 s"), "%s", stage.reason);
    cr_assert_not(redis_stage_commit(&stage, "s", "latest"));
    redis_fixture_go_on(&stage.redis);
    redis_stage_wait_recoveries(&stage, 1);
    redis_stage_expect(&stage, "s", "latest");
    redis_stage_strike(&stage);
}

static void cut(enum redis_proxy_cut how)
{
    struct redis_stage stage;
    struct redis_proxy proxy;
    char score[64];

    redis_stage_set(&stage);
    redis_proxy_start(&proxy, stage.redis.port);
    stage.options.store.port = proxy.port;
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "before"));
    atomic_store(&proxy.cut, how);
    cr_assert_not(redis_stage_commit(&stage, "s", "during"));
    cr_assert_eq(atomic_load(&proxy.cuts), 1);
    redis_stage_wait_recoveries(&stage, 1);
    cr_assert_not(stage.everything);
    redis_fixture_ask(&stage.redis, "HGET training_session_s status", score, sizeof score);
    cr_assert_str_eq(score, "$6\r\nduring\r\n");
    redis_fixture_do(&stage.redis, "SCARD keys_training_session_s", ":1");
    cr_assert(redis_stage_commit(&stage, "s", "after"));
    redis_stage_expect(&stage, "s", "after");
    redis_stage_close(&stage);
    redis_proxy_stop(&proxy);
    redis_stage_strike(&stage);
}

Test(redis_outage, cut_off_within_a_transaction, .timeout = 60)
{
    cut(CUT_BEFORE_EXEC);
}

Test(redis_outage, the_reply_of_a_transaction_is_lost, .timeout = 60)
{
    cut(CUT_AFTER_EXEC);
}

/* ---- refusals that pass ---- */

static void refusing(struct redis_stage *stage, const char *reason)
{
    int outages = stage->outages;

    cr_assert_not(redis_stage_commit(stage, "s", reason));
    cr_assert_eq(stage->outages, outages + 1);
    cr_assert(strstr(stage->reason, reason), "%s", stage->reason);
    cr_assert_not(redis_stage_commit(stage, "s", "trained on"));
}

static void taking_again(struct redis_stage *stage)
{
    redis_stage_wait_recoveries(stage, stage->outages);
    cr_assert(redis_stage_commit(stage, "s", "after"));
    redis_stage_expect(stage, "s", "after");
}

Test(redis_outage, full, .timeout = 60)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    redis_fixture_do(&stage.redis, "CONFIG SET maxmemory 1", "+OK");
    refusing(&stage, "OOM");
    redis_fixture_do(&stage.redis, "CONFIG SET maxmemory 0", "+OK");
    taking_again(&stage);
    redis_stage_strike(&stage);
}

Test(redis_outage, made_a_replica, .timeout = 60)
{
    struct redis_stage stage;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    redis_fixture_do(&stage.redis, "REPLICAOF 127.0.0.1 1", "+OK");
    refusing(&stage, "READONLY");
    redis_fixture_do(&stage.redis, "REPLICAOF NO ONE", "+OK");
    taking_again(&stage);
    redis_stage_strike(&stage);
}

/* A folder where the dump should go lets no dump be made. */
static void save(const struct redis_stage *stage, const char *status)
{
    char info[8192] = "", want[64];

    redis_fixture_do(&stage->redis, "BGSAVE", "+Background saving started");
    snprintf(want, sizeof want, "rdb_last_bgsave_status:%s", status);
    while (!strstr(info, want) || !strstr(info, "rdb_bgsave_in_progress:0"))
        redis_fixture_ask(&stage->redis, "INFO persistence", info, sizeof info);
}

Test(redis_outage, cannot_save_to_its_disk, .timeout = 60)
{
    struct redis_stage stage;
    char dump[128];

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    snprintf(dump, sizeof dump, "%s/dump.rdb", stage.redis.dir);
    cr_assert_eq(mkdir(dump, 0700), 0);
    redis_fixture_do(&stage.redis, "CONFIG SET save \"3600 1\"", "+OK");
    save(&stage, "err");
    refusing(&stage, "MISCONF");
    cr_assert_eq(rmdir(dump), 0);
    save(&stage, "ok");
    taking_again(&stage);
    redis_stage_strike(&stage);
}

/* ---- and one that does not ---- */

Test(redis_outage, a_refusal_for_good_ends_the_writing_and_is_told_once, .timeout = 60)
{
    struct redis_stage stage;
    struct state_health health;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "before"));
    redis_fixture_do(&stage.redis, "SET training_session_t x", "+OK");
    cr_assert_not(redis_stage_commit(&stage, "t", "lost"));
    cr_assert_not(redis_stage_commit(&stage, "s", "in memory"));
    cr_assert_eq(stage.outages, 1);
    cr_assert(strstr(stage.reason, "WRONGTYPE"), "%s", stage.reason);
    cr_assert(redis_stage_logged(&stage, "nothing is written to it any more"));
    state_health(stage.state, &health);
    cr_assert(health.refused && !health.outage && health.backlog_bytes == 0);
    cr_assert(strstr(health.reason, "WRONGTYPE"), "%s", health.reason);
    redis_stage_expect(&stage, "s", "before");
    redis_stage_strike(&stage);
}

/* ---- the backlog ---- */

Test(redis_outage, the_backlog_is_never_larger_than_the_state, .timeout = 60)
{
    enum { SIZE = 2000000 };
    struct redis_stage stage;
    struct blob *model = blob_new(SIZE);
    struct state_health health;

    memset(blob_bytes(model), 7, SIZE);
    redis_stage_set(&stage);
    redis_stage_open(&stage);
    redis_fixture_kill(&stage.redis);
    for (int i = 0; i < 50; i++) {
        struct state_batch *batch = state_batch_new();

        cr_assert_eq(state_batch_put(batch, STORE_TRAINING_SESSION, "s", "global_model", model, NULL), OK);
        cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s", "round", i % 2 ? "1" : "0", NULL), OK);
        cr_assert_not(redis_stage_send(&stage, batch));
        state_health(stage.state, &health);
        cr_assert_leq(health.backlog_bytes, SIZE + 100);
    }
    cr_assert_geq(health.backlog_bytes, SIZE);
    cr_assert(redis_stage_logged(&stage, "is kept in memory (2.0 MB)"));
    redis_fixture_restart(&stage.redis);
    redis_stage_wait_recoveries(&stage, 1);
    cr_assert(redis_stage_logged(&stage, "written (2.0 MB)"));
    blob_unref(model);
    redis_stage_strike(&stage);
}

/* ---- reading ---- */

static int count(void *context, const struct state_session *session)
{
    (void)session;
    ++*(int *)context;
    return OK;
}

Test(redis_outage, a_read_does_not_wait_for_a_server_that_is_known_to_be_away, .timeout = 60)
{
    struct redis_stage stage;
    struct error err = ERROR_INIT;
    int n = 0;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    redis_fixture_kill(&stage.redis);
    cr_assert_not(redis_stage_commit(&stage, "s", "here"));
    cr_assert_eq(state_load(stage.state, "s", &err), OK);
    cr_assert_eq(state_load(stage.state, "t", &err), ERR_UNAVAILABLE);
    cr_assert(strstr(err.message, "the store is away"), "%s", err.message);
    cr_assert_eq(state_sessions(stage.state, count, &n, &err), ERR_UNAVAILABLE);
    redis_stage_strike(&stage);
}

/* An idle leader does not notice that Redis was started anew; and when that has lost data, it is told by the read. */
static void read_after_restart(bool forget)
{
    struct redis_stage stage;
    struct error err = ERROR_INIT;
    int n = 0;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "kept"));
    cr_assert(redis_stage_commit(&stage, "t", "kept"));
    redis_stage_expect(&stage, "s", "kept");
    cr_assert(redis_stage_commit(&stage, "s", "of the second"));
    redis_fixture_kill(&stage.redis);
    if (forget)
        redis_fixture_forget(&stage.redis);
    redis_fixture_restart(&stage.redis);
    cr_assert_eq(state_sessions(stage.state, count, &n, &err), OK, "%s", err.message);
    cr_assert_eq(n, forget ? 1 : 2);
    cr_assert_eq(state_load(stage.state, "t", &err), forget ? ERR_NOT_FOUND : OK, "%s", err.message);
    cr_assert_eq(redis_stage_commit(&stage, "u", "next"), !forget);
    if (forget)
        redis_stage_wait_recoveries(&stage, 1);
    redis_stage_expect(&stage, "u", "next");
    redis_stage_expect(&stage, "s", "of the second");
    redis_stage_strike(&stage);
}

Test(redis_outage, a_read_connects_anew, .timeout = 60)
{
    read_after_restart(false);
}

Test(redis_outage, a_read_that_finds_data_lost_has_all_written_again, .timeout = 60)
{
    read_after_restart(true);
}

/* A leader that was replaced while its connection was dead must not watch its way into the other's state. */
Test(redis_outage, a_read_of_a_replaced_leader_gives_it_no_right_to_write, .timeout = 60)
{
    struct redis_stage stage;
    struct state *second;
    uint64_t term;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "first"));
    redis_fixture_kill(&stage.redis);
    redis_fixture_restart(&stage.redis);
    struct state_options options = stage.options;
    memset(&options.tell, 0, sizeof options.tell);
    cr_assert_eq(state_open(&second, &options, NULL), OK);
    cr_assert_eq(state_take_term(second, 1, &term, NULL), OK);
    cr_assert_eq(state_load(stage.state, "t", NULL), ERR_PRECONDITION);
    redis_stage_commit_unasked(&stage, "s", "late");
    redis_stage_wait_replacements(&stage, 1);
    state_close(second);
    redis_stage_expect(&stage, "s", "first");
    redis_stage_strike(&stage);
}

/* What is looked at before it is decided on. */
Test(redis_outage, a_preview_is_in_memory_only, .timeout = 60)
{
    struct redis_stage stage;
    struct state_batch *batch = state_batch_new();
    struct blob *value;

    redis_stage_set(&stage);
    redis_stage_open(&stage);
    cr_assert(redis_stage_commit(&stage, "s", "before"));
    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s", "status", "looked at", NULL), OK);
    cr_assert_eq(state_preview(stage.state, batch, NULL), OK);
    state_batch_free(batch);
    cr_assert_eq(state_get(stage.state, STORE_TRAINING_SESSION, "s", "status", &value, NULL), OK);
    cr_assert_eq(memcmp(blob_bytes(value), "looked at", 9), 0);
    blob_unref(value);
    cr_assert(redis_stage_commit(&stage, "t", "another"));
    redis_stage_expect(&stage, "s", "before");
    redis_stage_strike(&stage);
}
