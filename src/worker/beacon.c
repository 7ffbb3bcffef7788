#include "worker/beacon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/mqtt_client.h"
#include "util/fs.h"
#include "util/rng.h"

enum { TOPIC_MAX = 600, FREE_TIMEOUT_MS = 2000 };

/* When a leader (re)appears all workers hear it at once: they spread their answers over this. */
static const double advert_jitter_s = 0.25;
/* Until somebody echoes, the advert is repeated after about so long, then twice that, up to the maximum. */
static const double first_repeat_s = 2, max_repeat_s = 60;

struct beacon {
    struct beacon_options options;
    struct mqtt_client *mqtt;
    char server_topic[TOPIC_MAX], heartbeat_topic[TOPIC_MAX], status_topic[TOPIC_MAX];
    char client_topic[TOPIC_MAX]; /* where the leader wants our advert; "": no leader was heard yet */
    char local_address[64];
    struct hw_info hw;
    double heartbeat_interval_s, repeat_s;
    bool ever_connected, advertised, echoed, left;
    char last_loss[256]; /* why the broker could not be reached */
    struct loop_timer advert_timer, heartbeat_timer, start_timer;
    uint64_t draws; /* of jitter so far */
};

static uint64_t to_ns(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

/* Uniform in [0, 1), different for every worker, and for every draw. */
static double draw(struct beacon *beacon)
{
    struct rng rng;

    rng_init(&rng, 0, "beacon", beacon->options.client_id, beacon->draws++);
    return rng_uniform(&rng);
}

static void set_timer(struct beacon *beacon, struct loop_timer *timer, double delay_s)
{
    struct error error = ERROR_INIT;

    if (loop_timer_set(beacon->options.loop, timer, to_ns(delay_s), &error))
        log_write(beacon->options.log, LOG_ERROR, "beacon", "%s", error.message);
}

static void observe(struct beacon *beacon, const char *event)
{
    beacon->options.observe(beacon->options.context, event);
}

static int publish(struct beacon *beacon, const char *topic, const char *payload, bool retained)
{
    struct error error = ERROR_INIT;
    int status = payload ? mqtt_client_publish(beacon->mqtt, topic, span_of(payload, strlen(payload)), retained, &error)
                         : FAIL(&error, ERR_MEMORY, "out of memory for a message");

    if (status)
        log_write(beacon->options.log, LOG_WARN, "beacon", "cannot publish to %s: %s", topic, error.message);
    return status;
}

/* ---- adverts ---- */

static void fill_name(const char *configured, char name[128])
{
    name[0] = '\0';
    if (configured && *configured)
        snprintf(name, 128, "%s", configured);
    else if (gethostname(name, 128))
        snprintf(name, 128, "worker");
    name[127] = '\0';
}

static int fill_advert(struct beacon *beacon, struct client_advert *advert, struct error *err)
{
    const struct worker_config *config = beacon->options.config;

    int status = endpoint_text(config->comm_config.grpc.advertise, config->comm_config.grpc.bind, beacon->local_address,
                               beacon->options.port, advert->endpoint, err);
    if (status)
        return status;
    snprintf(advert->id, sizeof advert->id, "%s", beacon->options.client_id);
    fill_name(config->comm_config.mqtt.client_name, advert->name);
    advert->timestamp = clock_wall_s(loop_clock(beacon->options.loop));
    advert->hw = beacon->hw;
    advert->speaks_safetensors = true;
    return beacon->options.describe(beacon->options.context, advert, err);
}

static void send_advert(struct beacon *beacon)
{
    struct client_advert *advert = calloc(1, sizeof *advert);
    struct error error = ERROR_INIT;
    int status = advert ? fill_advert(beacon, advert, &error) : FAIL(&error, ERR_MEMORY, "out of memory");

    if (status) {
        log_write(beacon->options.log, LOG_WARN, "beacon", "cannot make an advert: %s", error.message);
    } else {
        char *text = client_advert_encode(advert);
        if (!publish(beacon, beacon->client_topic, text, false)) {
            beacon->advertised = true;
            observe(beacon, "advertised");
        }
        free(text);
    }
    if (advert)
        client_advert_fini(advert);
    free(advert);
}

static void advert_due(struct loop_timer *timer)
{
    struct beacon *beacon = CONTAINER_OF(timer, struct beacon, advert_timer);

    if (beacon->left || !beacon->client_topic[0] || !mqtt_client_is_connected(beacon->mqtt))
        return; /* hearing the leader again after a reconnect sets the timer */
    send_advert(beacon);
    if (beacon->echoed)
        return;
    set_timer(beacon, &beacon->advert_timer, beacon->repeat_s * (0.5 + draw(beacon)));
    beacon->repeat_s = beacon->repeat_s * 2 < max_repeat_s ? beacon->repeat_s * 2 : max_repeat_s;
}

void beacon_advertise_soon(struct beacon *beacon)
{
    if (!beacon->left && beacon->client_topic[0])
        set_timer(beacon, &beacon->advert_timer, advert_jitter_s * draw(beacon));
}

void beacon_echoed(struct beacon *beacon)
{
    beacon->echoed = true;
}

/* ---- heartbeats ---- */

static void heartbeat_due(struct loop_timer *timer)
{
    struct beacon *beacon = CONTAINER_OF(timer, struct beacon, heartbeat_timer);

    if (beacon->left)
        return;
    /* A beat before the first advert would make a leader call whoever had this id before at its old address; one kept
     * for later would tell of a time when nobody heard us. */
    if (beacon->advertised && mqtt_client_is_connected(beacon->mqtt)) {
        char *text = heartbeat_encode(beacon->options.client_id, clock_wall_s(loop_clock(beacon->options.loop)));
        publish(beacon, beacon->heartbeat_topic, text, false);
        free(text);
    }
    set_timer(beacon, &beacon->heartbeat_timer, beacon->heartbeat_interval_s);
}

static void set_interval(struct beacon *beacon, double interval_s)
{
    if (!(interval_s > 0))
        interval_s = beacon->options.config->comm_config.mqtt.heartbeat_timeout_s;
    if (!(interval_s >= 0.05))
        interval_s = 0.05;
    if (interval_s > 3600)
        interval_s = 3600;
    bool first = beacon->heartbeat_timer.heap_index < 0;
    if (!first && !(interval_s < beacon->heartbeat_interval_s) && !(interval_s > beacon->heartbeat_interval_s))
        return;
    beacon->heartbeat_interval_s = interval_s;
    set_timer(beacon, &beacon->heartbeat_timer, interval_s * draw(beacon));
}

/* ---- what MQTT tells ---- */

/* An advert may name its topic with or without our prefix. */
static int set_client_topic(struct beacon *beacon, const char *named)
{
    const char *prefix = beacon->options.config->comm_config.mqtt.topic_prefix;

    if (!prefix || strncmp(named, prefix, strlen(prefix)) == 0)
        prefix = "";
    int n = snprintf(beacon->client_topic, sizeof beacon->client_topic, "%s%s", prefix, named);
    return n > 0 && n < TOPIC_MAX ? OK : ERR_INVALID;
}

static void hear_leader(struct beacon *beacon, const struct server_advert *advert)
{
    const char *topic =
        advert->client_topic[0] ? advert->client_topic : beacon->options.config->comm_config.mqtt.mqtt_client_topic;

    if (set_client_topic(beacon, topic)) {
        beacon->client_topic[0] = '\0';
        log_write(beacon->options.log, LOG_WARN, "beacon", "a leader's advert names a topic that is too long");
        return;
    }
    beacon->options.heard(beacon->options.context, advert);
    beacon->echoed = false;
    beacon->repeat_s = first_repeat_s;
    set_interval(beacon, advert->heartbeat_interval_s);
    beacon_advertise_soon(beacon);
}

static void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct beacon *beacon = context;
    struct server_advert advert;
    struct error error = ERROR_INIT;

    (void)retained;
    if (beacon->left || strcmp(topic, beacon->server_topic) != 0 || !payload.size)
        return; /* empty: a leader that left cleared its advert */
    if (server_advert_decode(payload, &advert, &error)) {
        log_write(beacon->options.log, LOG_WARN, "beacon", "dropped a message on %s: %s", topic, error.message);
        return;
    }
    hear_leader(beacon, &advert);
}

static void on_connected(void *context)
{
    struct beacon *beacon = context;
    const struct mqtt_config *config = &beacon->options.config->comm_config.mqtt;
    struct error error = ERROR_INIT;

    if (beacon->left)
        return;
    beacon->ever_connected = true;
    loop_timer_cancel(beacon->options.loop, &beacon->start_timer);
    if (mqtt_local_address(config->mqtt_broker, (int)config->mqtt_broker_port, beacon->local_address, &error)) {
        snprintf(beacon->local_address, sizeof beacon->local_address, "127.0.0.1");
        log_write(beacon->options.log, LOG_WARN, "beacon", "%s; advertising 127.0.0.1 (set comm_config.grpc.advertise)",
                  error.message);
    }
    publish(beacon, beacon->status_topic, "online", true);
    if (mqtt_client_subscribe(beacon->mqtt, beacon->server_topic, &error))
        log_write(beacon->options.log, LOG_WARN, "beacon", "cannot subscribe to %s: %s", beacon->server_topic,
                  error.message);
    observe(beacon, "connected");
}

static void on_lost(void *context, const char *reason)
{
    struct beacon *beacon = context;

    snprintf(beacon->last_loss, sizeof beacon->last_loss, "%s", reason ? reason : "connection lost");
    if (beacon->left)
        return;
    log_write(beacon->options.log, beacon->ever_connected ? LOG_WARN : LOG_DEBUG, "beacon",
              "no connection to the MQTT broker (%s); trying again", beacon->last_loss);
    observe(beacon, "lost");
}

static void start_timed_out(struct loop_timer *timer)
{
    struct beacon *beacon = CONTAINER_OF(timer, struct beacon, start_timer);
    const struct mqtt_config *config = &beacon->options.config->comm_config.mqtt;
    char sentence[560];

    snprintf(sentence, sizeof sentence,
             "no MQTT broker at %.128s:%d after %g s%s%.200s: start one (mosquitto -p %d), or set "
             "comm_config.mqtt.mqtt_broker and mqtt_broker_port",
             config->mqtt_broker, (int)config->mqtt_broker_port, config->mqtt_sub_timeout_s,
             beacon->last_loss[0] ? ": " : "", beacon->last_loss, (int)config->mqtt_broker_port);
    beacon->options.unreachable(beacon->options.context, sentence);
}

/* ---- life ---- */

static int make_topics(struct beacon *beacon, struct error *err)
{
    const struct mqtt_config *config = &beacon->options.config->comm_config.mqtt;
    const char *prefix = config->topic_prefix ? config->topic_prefix : "";
    int a = snprintf(beacon->server_topic, TOPIC_MAX, "%s%s", prefix, config->mqtt_server_topic);
    int b = snprintf(beacon->heartbeat_topic, TOPIC_MAX, "%sheartbeat", prefix);
    int c = snprintf(beacon->status_topic, TOPIC_MAX, "%sstatus/%s", prefix, beacon->options.client_id);

    if (a < 0 || a >= TOPIC_MAX || b < 0 || b >= TOPIC_MAX || c < 0 || c >= TOPIC_MAX)
        return FAIL(err, ERR_INVALID, "comm_config.mqtt: topic_prefix and topic are longer than %d bytes",
                    TOPIC_MAX - 1);
    return OK;
}

static int connect_broker(struct beacon *beacon, struct error *err)
{
    const struct mqtt_config *config = &beacon->options.config->comm_config.mqtt;
    const struct mqtt_handlers handlers = {beacon, on_connected, on_lost, on_message};
    char client_id[TOPIC_MAX + CLIENT_ID_MAX];
    char *password;

    if (fs_read_secret(config->password_file, &password, err)) {
        error_context(err, ERR_SETUP, "comm_config.mqtt.password_file");
        return ERR_SETUP;
    }
    /* The prefix keeps equal ids of two simulations on one broker from throwing each other out. */
    snprintf(client_id, sizeof client_id, "%s%s", config->topic_prefix ? config->topic_prefix : "",
             beacon->options.client_id);
    const struct mqtt_options options = {
        .host = config->mqtt_broker,
        .port = (int)config->mqtt_broker_port,
        .client_id = client_id,
        .username = config->username && *config->username ? config->username : NULL,
        .password = password,
        .will_topic = beacon->status_topic,
        .will_payload = "offline",
    };
    int status = mqtt_client_new(&beacon->mqtt, &options, &handlers, beacon->options.loop, beacon->options.log, err);
    free(password);
    return status;
}

int beacon_new(struct beacon **out, const struct beacon_options *options, struct error *err)
{
    struct beacon *beacon = calloc(1, sizeof *beacon);

    *out = NULL;
    if (!beacon)
        return FAIL(err, ERR_MEMORY, "out of memory for a worker");
    beacon->options = *options;
    hw_info_of_this_machine(&beacon->hw);
    loop_timer_init(&beacon->advert_timer, advert_due);
    loop_timer_init(&beacon->heartbeat_timer, heartbeat_due);
    loop_timer_init(&beacon->start_timer, start_timed_out);
    int status = make_topics(beacon, err);
    if (!status)
        status = loop_timer_set(options->loop, &beacon->start_timer,
                                to_ns(options->config->comm_config.mqtt.mqtt_sub_timeout_s), err);
    if (!status)
        status = connect_broker(beacon, err);
    if (status)
        beacon_free(beacon);
    else
        *out = beacon;
    return status;
}

void beacon_leave(struct beacon *beacon)
{
    if (beacon->left)
        return;
    beacon->left = true;
    loop_timer_cancel(beacon->options.loop, &beacon->advert_timer);
    loop_timer_cancel(beacon->options.loop, &beacon->heartbeat_timer);
    loop_timer_cancel(beacon->options.loop, &beacon->start_timer);
    if (!beacon->ever_connected)
        return;
    /* Those who listen hear it; nothing stays on the broker. */
    publish(beacon, beacon->status_topic, "offline", false);
    publish(beacon, beacon->status_topic, "", true);
}

void beacon_free(struct beacon *beacon)
{
    if (!beacon)
        return;
    loop_timer_cancel(beacon->options.loop, &beacon->advert_timer);
    loop_timer_cancel(beacon->options.loop, &beacon->heartbeat_timer);
    loop_timer_cancel(beacon->options.loop, &beacon->start_timer);
    if (beacon->mqtt)
        mqtt_client_free(beacon->mqtt, FREE_TIMEOUT_MS);
    free(beacon);
}
