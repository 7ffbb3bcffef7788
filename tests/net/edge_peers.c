/* The real client and the real server under pressure: many replies at once, time, peers that die or fall silent. */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/net/edge_stand.h"

static const struct edge_client_options defaults = {0};

/* --- credits --- */

enum { CREDITS = 4, NUM_REPLIES = 100, REPLY_SIZE = 2 << 20 };

struct merge { /* a body that is being merged for a while */
    struct loop_timer timer;
    struct blob *body;
};

static struct {
    struct stand stand;
    struct merge merges[NUM_REPLIES];
    int begun, over, alive, peak;
} crowd;

static void end_merge(struct loop_timer *timer)
{
    struct merge *merge = CONTAINER_OF(timer, struct merge, timer);

    blob_unref(merge->body);
    crowd.alive--;
    edge_credit_release(crowd.stand.client);
    if (++crowd.over == NUM_REPLIES)
        loop_stop(crowd.stand.loop);
}

static void begin_merge(void *context, struct edge_reply *reply)
{
    struct merge *merge = &crowd.merges[crowd.begun++];
    struct train_response response;

    (void)context;
    CHECK(reply->error.status == OK, "%s", reply->error.message);
    CHECK(edge_decode_train_response(blob_span(reply->body), &response, NULL) == OK, "not a response");
    CHECK(response.weights.size == REPLY_SIZE, "%zu bytes of weights", response.weights.size);
    edge_arena_free(response.arena);
    CHECK(edge_reply_keep_credit(reply) == 1, "no credit");
    CHECK(edge_reply_keep_credit(reply) == 0, "two credits");
    merge->body = blob_ref(reply->body);
    if (++crowd.alive > crowd.peak)
        crowd.peak = crowd.alive;
    loop_timer_init(&merge->timer, end_merge);
    loop_timer_set(crowd.stand.loop, &merge->timer, 20000000, NULL);
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { MEMORY_TELLS = 0 }; /* sanitizers keep what was freed */
#else
enum { MEMORY_TELLS = 1 };
#endif

/* All replies together are 200 MB. */
enum { MEMORY_MAX_KB = 80 * 1024 };

static long peak_memory_kb(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* However many clients answer at once, no more replies than credits are in memory. */
static void case_credits(void)
{
    struct edge_client_options options = {.reply_credits = CREDITS};
    struct train_request request = {.model_id = "big:2097152"};
    struct blob *shared = pattern(100000), *head;
    char endpoint[64];

    long before_kb = peak_memory_kb(), used_kb;

    memset(&crowd, 0, sizeof crowd);
    stand_open(&crowd.stand, &options, 0, 1);
    for (int i = 0; i < NUM_REPLIES; i++) {
        if (i % 50 == 0) { /* a server takes 64 calls on one connection */
            snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", edge_server_port(crowd.stand.toy.server));
            CHECK(edge_channel_open(crowd.stand.client, endpoint, 0, &crowd.stand.channel, NULL) == OK, "no channel");
        }
        CHECK(edge_encode_train_request(&request, blob_size(shared), &head, NULL) == OK, "out of memory");
        CHECK(edge_call_unary(crowd.stand.channel, EDGE_START_TRAINING, head, blob_ref(shared), 60, begin_merge, NULL),
              "no call");
    }
    run(&crowd.stand);
    used_kb = peak_memory_kb() - before_kb;
    CHECK(!MEMORY_TELLS || used_kb < MEMORY_MAX_KB, "the replies took %ld kB", used_kb);
    CHECK(crowd.peak <= CREDITS, "%d bodies at once", crowd.peak);
    CHECK(crowd.peak >= 2, "one at a time: the credits are not used");
    CHECK(atomic_load(&crowd.stand.toy.trains) == NUM_REPLIES, "%d trainings", atomic_load(&crowd.stand.toy.trains));
    blob_unref(shared);
    stand_close(&crowd.stand);
}

struct hoarder { /* keeps its credit until told otherwise */
    struct outcome outcome;
    int kept;
};

static void hoard(void *context, struct edge_reply *reply)
{
    struct hoarder *hoarder = context;

    hoarder->kept = edge_reply_keep_credit(reply);
    keep_outcome(&hoarder->outcome, reply);
}

static bool all_trained(struct stand *stand)
{
    return atomic_load(&stand->toy.trains) == 3;
}

/* Calls that wait for a credit can be cancelled, by themselves or with the client; who waits on gets the credit. */
static void case_waiting_for_credit(void)
{
    struct edge_client_options options = {.reply_credits = 1};
    struct train_request request = {.model_id = "m"};
    struct stand stand;
    struct hoarder hoarder = {.outcome = {.stand = &stand}};
    struct outcome second = {.stand = &stand}, third = {.stand = &stand}, echoed = {.stand = &stand};
    struct edge_request *waiting;
    struct blob *head;

    stand_open(&stand, &options, 0, 1);
    CHECK(edge_encode_train_request(&request, 0, &head, NULL) == OK, "out of memory");
    CHECK(edge_call_unary(stand.channel, EDGE_START_TRAINING, head, NULL, 30, hoard, &hoarder), "no call");
    run(&stand);
    CHECK(hoarder.kept == 1, "no credit");
    waiting = start_train(&second, "m", pattern(100), 30);
    start_train(&third, "m", pattern(100), 30);
    run_until(&stand, all_trained);
    echo(&echoed, "an echo needs no credit");
    blob_unref(echoed.body);
    CHECK(second.calls_back + third.calls_back == 0, "a reply without a credit");
    edge_request_cancel(waiting);
    run(&stand);
    expect_failure(&second, ERR_CANCELLED, "");
    CHECK(third.calls_back == 0, "a reply without a credit");
    edge_credit_release(stand.client);
    run(&stand);
    CHECK(third.calls_back == 1 && third.reply.error.status == OK, "%s", third.reply.error.message);
    blob_unref(third.body);
    blob_unref(hoarder.outcome.body);
    stand_close(&stand);
}

/* --- time --- */

/* gRPC hangs up on the third ping without data unless both sides agree: the call must outlive more than five. */
static void case_keepalive(void)
{
    struct edge_client_options options = {.keepalive_ms = 1000, .keepalive_timeout_ms = 5000};
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    stand_open(&stand, &options, 0, 1);
    start_train(&outcome, "wait:5500", pattern(1000), 30);
    run(&stand);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(outcome.reply.elapsed_s > 5, "%f s", outcome.reply.elapsed_s);
    blob_unref(outcome.body);
    stand_close(&stand);
}

/* --- other processes --- */

struct child {
    pid_t pid;
    int input; /* closing it ends the child */
    int port;
};

static struct child start_child(int port)
{
    const char *builddir = getenv("builddir");
    struct child child;
    int in[2], out[2];
    char path[512], text[16];
    FILE *output;

    snprintf(path, sizeof path, "%s/tests/net/edge_toy_main", builddir ? builddir : ".");
    snprintf(text, sizeof text, "%d", port);
    CHECK(!pipe(in) && !pipe(out), "pipe");
    child.pid = fork();
    if (child.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execl(path, path, text, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    output = fdopen(out[0], "r");
    CHECK(output && fscanf(output, "%d", &child.port) == 1, "%s did not start", path);
    fclose(output);
    child.input = in[1];
    return child;
}

static void end_child(struct child *child, int signal)
{
    int status;

    if (signal)
        kill(child->pid, signal);
    close(child->input);
    CHECK(waitpid(child->pid, &status, 0) == child->pid, "waitpid");
    if (!signal)
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ended with %d", status);
}

/* --- an uploader that dies --- */

/* edge_peers --upload PORT: sends a file that is too long to end before the parent kills us. */
static int upload_for_ever(int port)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    stand_open(&stand, &defaults, port, 0);
    CHECK(edge_call_upload(stand.channel, "m", "f", pattern(64 << 20), 1024, 0, keep_outcome, &outcome), "no call");
    run(&stand);
    return 1;
}

static pid_t start_uploader(int port)
{
    char text[16];
    pid_t pid;

    snprintf(text, sizeof text, "%d", port);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "edge_peers", "--upload", text, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void kill_uploader(struct toy_server *toy)
{
    kill(*(pid_t *)toy->context, SIGKILL);
}

static bool upload_is_over(struct stand *stand)
{
    return atomic_load(&stand->toy.uploads_dropped) + atomic_load(&stand->toy.uploads_stored) > 0;
}

static void case_killed_uploader(void)
{
    struct stand stand;
    pid_t pid;

    stand_open(&stand, &defaults, 0, 0);
    pid = start_uploader(edge_server_port(stand.toy.server));
    stand.toy.context = &pid;
    atomic_store(&stand.toy.chunk_seen, kill_uploader);
    run_until(&stand, upload_is_over);
    CHECK(atomic_load(&stand.toy.uploads_dropped) == 1, "half a file was stored");
    CHECK(waitpid(pid, NULL, 0) == pid, "waitpid");
    stand_close(&stand);
}

/* --- servers that die or fall silent --- */

struct kill_timer {
    struct loop_timer timer;
    pid_t pid;
    int signal;
};

static void send_signal(struct loop_timer *timer)
{
    struct kill_timer *killer = CONTAINER_OF(timer, struct kill_timer, timer);

    kill(killer->pid, killer->signal);
}

static void signal_later(struct stand *stand, struct kill_timer *killer, pid_t pid, int signal, unsigned delay_ms)
{
    killer->pid = pid;
    killer->signal = signal;
    loop_timer_init(&killer->timer, send_signal);
    loop_timer_set(stand->loop, &killer->timer, delay_ms * 1000000ULL, NULL);
}

/* A killed worker is known within a second, and one that comes back is reached again. */
static void case_killed_peer(void)
{
    struct child child = start_child(0);
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct kill_timer killer;
    uint64_t start_ns, waited_ns;

    stand_open(&stand, &defaults, child.port, 1);
    echo(&outcome, "hello");
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    blob_unref(outcome.body);
    outcome = (struct outcome){.stand = &stand};
    start_train(&outcome, "hold", pattern(1000), 30);
    signal_later(&stand, &killer, child.pid, SIGKILL, 300);
    run(&stand);
    CHECK(outcome.reply.elapsed_s < 1.3, "noticed after %f s", outcome.reply.elapsed_s - 0.3);
    expect_failure(&outcome, ERR_UNAVAILABLE, "");
    end_child(&child, SIGKILL);
    echo(&outcome, "anybody?");
    expect_failure(&outcome, ERR_UNAVAILABLE, "");

    child = start_child(child.port);
    start_ns = clock_now_ns(&clock_system);
    do {
        outcome = (struct outcome){.stand = &stand};
        echo(&outcome, "back?");
        blob_unref(outcome.body);
        waited_ns = clock_now_ns(&clock_system) - start_ns;
    } while (outcome.reply.error.status && waited_ns < 10000000000U);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(waited_ns < 3000000000U, "reached again only after %.1f s", (double)waited_ns / 1e9);
    stand_close(&stand);
    end_child(&child, 0);
}

/* A stopped worker does not answer pings; those go on for as long as the call (gRPC's default is two). */
static void case_silent_peer(void)
{
    struct edge_client_options options = {.keepalive_ms = 1000, .keepalive_timeout_ms = 1000};
    struct child child = start_child(0);
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct kill_timer stopper;

    stand_open(&stand, &options, child.port, 1);
    start_train(&outcome, "hold", pattern(1000), 60);
    signal_later(&stand, &stopper, child.pid, SIGSTOP, 4500);
    run(&stand);
    CHECK(outcome.reply.elapsed_s > 4.4 && outcome.reply.elapsed_s < 15, "noticed after %f s", outcome.reply.elapsed_s);
    expect_failure(&outcome, ERR_UNAVAILABLE, "");
    kill(child.pid, SIGCONT);
    stand_close(&stand);
    end_child(&child, 0);
}

/* --- replies that are too large --- */

/* However large a message the client may send: what comes back has a bound of its own. */
static void case_large_replies(void)
{
    struct child child = start_child(0);
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    stand_open(&stand, &defaults, child.port, 1);
    start_train(&outcome, "big:20000000", pattern(1000), 30);
    run(&stand);
    expect_failure(&outcome, ERR_MEMORY, "larger than max");
    start_train(&outcome, "big:20000000", pattern(19500000), 30); /* a model of that size */
    run(&stand);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(outcome.reply.bytes_received > 20000000, "%zu bytes", outcome.reply.bytes_received);
    blob_unref(outcome.body);
    stand_close(&stand);
    end_child(&child, 0);
}

static struct stand *stalling_stand;
static struct child stalling_child;

static void stop_child_and_pass_credit(struct loop_timer *timer)
{
    (void)timer;
    kill(stalling_child.pid, SIGSTOP);
    edge_credit_release(stalling_stand->client);
}

/* A peer that begins a reply and does not go on keeps its credit for a bounded time only. */
static void case_stalled_reply(void)
{
    struct edge_client_options options = {.reply_credits = 1, .receive_timeout_s = 1};
    struct stand stand;
    struct hoarder hoarder = {.outcome = {.stand = &stand}};
    struct outcome stalled = {.stand = &stand}, echoed = {.stand = &stand}, next = {.stand = &stand};
    struct train_request request = {.model_id = "m"};
    struct edge_channel *honest;
    struct child other;
    struct loop_timer timer;
    struct blob *head;
    char endpoint[64];

    stalling_stand = &stand;
    stalling_child = start_child(0);
    other = start_child(0);
    stand_open(&stand, &options, stalling_child.port, 0);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", other.port);
    CHECK(edge_channel_open(stand.client, endpoint, 0, &honest, NULL) == OK, "no channel");
    CHECK(edge_encode_train_request(&request, 0, &head, NULL) == OK, "out of memory");
    CHECK(edge_call_unary(honest, EDGE_START_TRAINING, head, NULL, 30, hoard, &hoarder), "no call");
    run(&stand);
    CHECK(hoarder.kept == 1, "no credit");
    blob_unref(hoarder.outcome.body);
    start_train(&stalled, "big:4000000", pattern(1000), 50);
    echo(&echoed, "one connection: when this is back, the training has been asked for");
    blob_unref(echoed.body);
    loop_timer_init(&timer, stop_child_and_pass_credit);
    loop_timer_set(stand.loop, &timer, 500000000u, NULL); /* the reply's headers come meanwhile */
    run(&stand);
    CHECK(stalled.calls_back == 1, "another call came back");
    CHECK(stalled.reply.elapsed_s < 20, "given up only after %f s", stalled.reply.elapsed_s);
    expect_failure(&stalled, ERR_DEADLINE, "too slowly");
    CHECK(edge_encode_train_request(&request, 0, &head, NULL) == OK, "out of memory");
    CHECK(edge_call_unary(honest, EDGE_START_TRAINING, head, NULL, 30, keep_outcome, &next), "no call");
    run(&stand);
    CHECK(next.reply.error.status == OK, "%s", next.reply.error.message);
    blob_unref(next.body);
    kill(stalling_child.pid, SIGCONT);
    stand_close(&stand);
    end_child(&other, 0); /* first, as it inherited the other's input */
    end_child(&stalling_child, 0);
}

static const struct test_case cases[] = {
    {"credits", case_credits},
    {"waiting_for_credit", case_waiting_for_credit},
    {"keepalive", case_keepalive},
    {"killed_peer", case_killed_peer},
    {"silent_peer", case_silent_peer},
    {"killed_uploader", case_killed_uploader},
    {"large_replies", case_large_replies},
    {"stalled_reply", case_stalled_reply},
};

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--upload"))
        return upload_for_ever(atoi(argv[2]));
    return run_cases(cases, sizeof cases / sizeof *cases, argc, argv);
}
