#include "leader/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"

/* The retained advert reaches whoever comes; repeating it only heals what a broker lost. Each repetition makes every
 * client advertise itself again, so it is rare. */
#define REPEAT_S 60.0
/* Our retained advert is gone from the broker (an earlier leader left, or spoke once more): not at once, for two
 * leaders must not drive each other on. */
#define RENEW_S 0.5
/* A broker that does not let us speak on the topic of the question does not answer it. */
#define QUESTION_S 0.5

enum { TOPIC_MAX = 512, LEAVE_TIMEOUT_MS = 2000 };

struct discovery {
    struct discovery_options options;
    struct roster *roster;
    struct loop *loop;
    const struct log *log;
    struct mqtt_client *mqtt;
    struct loop_timer repeat, question;
    bool contacted, stranger_told;
    uint64_t term;       /* 0: does not advertise yet */
    uint64_t heard_term; /* the highest of others */
    char server_topic[TOPIC_MAX], client_topic[TOPIC_MAX], heartbeat_topic[TOPIC_MAX], status_topics[TOPIC_MAX];
    char question_topic[TOPIC_MAX];
    size_t status_prefix; /* length of "<prefix>status/" */
};

static void warn(const struct discovery *self, const char *what, const struct error *err)
{
    log_write(self->log, LOG_WARN, "discovery", "%s: %s", what, err->message);
}

/* ---- our advert ---- */

static void advertise(struct discovery *self)
{
    struct server_advert advert = {
        .timestamp = clock_wall_s(loop_clock(self->loop)),
        .heartbeat_interval_s = self->options.config->mqtt_heartbeat_interval_s,
        .leader_term = self->term,
    };
    struct error err = ERROR_INIT;
    char *text;

    snprintf(advert.leader_id, sizeof advert.leader_id, "%.63s", self->options.leader_id);
    snprintf(advert.cluster, sizeof advert.cluster, "%.255s", self->options.cluster);
    snprintf(advert.client_topic, sizeof advert.client_topic, "%.255s", self->client_topic);
    hw_info_of_this_machine(&advert.hw);
    text = server_advert_encode(&advert);
    if (!text || mqtt_client_publish(self->mqtt, self->server_topic, span_of(text, strlen(text)), true, &err) != OK)
        warn(self, "the advert could not be published", &err);
    free(text);
}

static void set_repeat(struct discovery *self, double seconds)
{
    loop_timer_set(self->loop, &self->repeat, (uint64_t)(seconds * 1e9), NULL);
}

static void repeat(struct loop_timer *timer)
{
    struct discovery *self = CONTAINER_OF(timer, struct discovery, repeat);

    if (self->term && mqtt_client_is_connected(self->mqtt))
        advertise(self);
    set_repeat(self, REPEAT_S);
}

uint64_t discovery_heard_term(const struct discovery *discovery)
{
    return discovery->heard_term;
}

void discovery_advertise(struct discovery *discovery, uint64_t leader_term)
{
    discovery->term = leader_term;
    if (mqtt_client_is_connected(discovery->mqtt))
        advertise(discovery);
}

/* ---- other leaders ---- */

static bool takes_our_place(const struct discovery *self, const struct server_advert *advert)
{
    if (advert->leader_term != self->term)
        return advert->leader_term > self->term;
    return strcmp(advert->leader_id, self->options.leader_id) > 0;
}

/* Leaders of two clusters on one topic: their clients hear both. */
static void hear_stranger(struct discovery *self, const struct server_advert *advert)
{
    if (!self->stranger_told)
        log_write(self->log, LOG_WARN, "discovery",
                  "a leader of another cluster (`%s`, this one's is `%s`) uses the same topics: give one of them a "
                  "comm_config.mqtt.topic_prefix of its own",
                  advert->cluster, self->options.cluster);
    self->stranger_told = true;
}

static void hear_leader(struct discovery *self, const struct server_advert *advert)
{
    if (strcmp(advert->leader_id, self->options.leader_id) == 0 || !advert->leader_term)
        return; /* our own; or a stock leader, which has no terms */
    if (advert->cluster[0] && strcmp(advert->cluster, self->options.cluster) != 0) {
        hear_stranger(self, advert);
        return;
    }
    if (advert->leader_term > self->heard_term)
        self->heard_term = advert->leader_term;
    if (!self->term)
        return;
    if (takes_our_place(self, advert))
        self->options.replaced(self->options.context, advert->leader_term);
    else
        set_repeat(self, RENEW_S);
}

static void take_server_message(struct discovery *self, struct span payload)
{
    struct server_advert advert;
    struct error err = ERROR_INIT;

    if (!payload.size) { /* cleared, by one that left */
        if (self->term)
            set_repeat(self, RENEW_S);
    } else if (server_advert_decode(payload, &advert, &err) != OK) {
        warn(self, "dropped another leader's advert", &err);
    } else {
        hear_leader(self, &advert);
    }
}

/* ---- the connection ---- */

static void first_contact(struct discovery *self, const char *reason)
{
    if (self->contacted)
        return;
    self->contacted = true;
    loop_timer_cancel(self->loop, &self->question);
    self->options.first_contact(self->options.context, reason);
}

static void unanswered(struct loop_timer *timer)
{
    first_contact(CONTAINER_OF(timer, struct discovery, question), NULL);
}

/* A broker does not say that it has no retained advert. But it works in order: once a message of our own has come back
 * whatever it had for the subscription before has come, too. */
static void ask_for_leaders(struct discovery *self)
{
    struct error err = ERROR_INIT;
    int status = mqtt_client_subscribe(self->mqtt, self->server_topic, &err);

    if (status == OK && !self->contacted) {
        status = mqtt_client_subscribe(self->mqtt, self->question_topic, &err);
        if (status == OK)
            status = mqtt_client_publish(self->mqtt, self->question_topic, span_of("?", 1), false, &err);
        loop_timer_set(self->loop, &self->question, (uint64_t)(QUESTION_S * 1e9), NULL);
    }
    if (status != OK)
        warn(self, "cannot ask for other leaders", &err);
}

static void connected(void *context)
{
    struct discovery *self = context;
    const char *topics[] = {self->client_topic, self->heartbeat_topic, self->status_topics};
    struct error err = ERROR_INIT;

    ask_for_leaders(self);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (mqtt_client_subscribe(self->mqtt, topics[i], &err) != OK)
            warn(self, "cannot subscribe", &err);
    if (self->term)
        advertise(self);
    roster_set_hearing(self->roster, true);
}

static void lost(void *context, const char *reason)
{
    struct discovery *self = context;

    roster_set_hearing(self->roster, false);
    if (self->contacted)
        log_write(self->log, LOG_WARN, "discovery", "the broker is gone: %s; trying again", reason);
    first_contact(self, reason);
}

static void message(void *context, const char *topic, struct span payload, bool retained)
{
    struct discovery *self = context;

    if (strcmp(topic, self->heartbeat_topic) == 0)
        roster_take_heartbeat(self->roster, payload);
    else if (strcmp(topic, self->client_topic) == 0)
        roster_take_advert(self->roster, payload);
    else if (strcmp(topic, self->server_topic) == 0)
        take_server_message(self, payload);
    else if (strcmp(topic, self->question_topic) == 0)
        first_contact(self, NULL);
    else if (strncmp(topic, self->status_topics, self->status_prefix) == 0)
        roster_take_status(self->roster, topic + self->status_prefix, payload, retained);
}

/* ---- life ---- */

static int make_topics(struct discovery *self, struct error *err)
{
    const struct mqtt_config *config = self->options.config;
    const char *prefix = config->topic_prefix ? config->topic_prefix : "";

    /* The advert carries the client topic in a field of 255 bytes. */
    if (strlen(prefix) + strlen(config->mqtt_server_topic) + strlen(config->mqtt_client_topic) > 250)
        return FAIL(err, ERR_INVALID, "comm_config.mqtt: topic_prefix and topics are longer than 250 bytes");
    snprintf(self->server_topic, TOPIC_MAX, "%s%s", prefix, config->mqtt_server_topic);
    snprintf(self->client_topic, TOPIC_MAX, "%s%s", prefix, config->mqtt_client_topic);
    snprintf(self->heartbeat_topic, TOPIC_MAX, "%sheartbeat", prefix);
    snprintf(self->question_topic, TOPIC_MAX, "%sleader/%s", prefix, self->options.leader_id);
    snprintf(self->status_topics, TOPIC_MAX, "%sstatus/+", prefix);
    self->status_prefix = strlen(self->status_topics) - 1;
    return OK;
}

static int connect_mqtt(struct discovery *self, struct error *err)
{
    const struct mqtt_config *config = self->options.config;
    struct mqtt_handlers handlers = {self, connected, lost, message};
    char client_id[TOPIC_MAX];
    char *password;
    int status = fs_read_secret(config->password_file, &password, err);
    struct mqtt_options options = {.host = config->mqtt_broker,
                                   .port = (int)config->mqtt_broker_port,
                                   .client_id = client_id,
                                   .username = config->username};

    if (status != OK)
        return error_context(err, ERR_SETUP, "comm_config.mqtt.password_file");
    options.password = password;
    snprintf(client_id, sizeof client_id, "%.200sflosim-leader-%s", config->topic_prefix ? config->topic_prefix : "",
             self->options.leader_id);
    status = mqtt_client_new(&self->mqtt, &options, &handlers, self->loop, self->log, err);
    free(password);
    return status;
}

int discovery_new(struct discovery **out, const struct discovery_options *options, struct roster *roster,
                  struct loop *loop, const struct log *log, struct error *err)
{
    struct discovery *self = calloc(1, sizeof *self);
    int status;

    *out = NULL;
    if (!self)
        return FAIL(err, ERR_MEMORY, "no memory for discovery");
    self->options = *options;
    self->roster = roster;
    self->loop = loop;
    self->log = log;
    loop_timer_init(&self->repeat, repeat);
    loop_timer_init(&self->question, unanswered);
    status = make_topics(self, err);
    if (status == OK)
        status = connect_mqtt(self, err);
    if (status == OK)
        status = loop_timer_set(loop, &self->repeat, (uint64_t)(REPEAT_S * 1e9), err);
    if (status != OK) {
        discovery_free(self, false);
        return status;
    }
    *out = self;
    return OK;
}

bool discovery_is_connected(const struct discovery *discovery)
{
    return mqtt_client_is_connected(discovery->mqtt);
}

void discovery_free(struct discovery *discovery, bool replaced)
{
    if (!discovery)
        return;
    loop_timer_cancel(discovery->loop, &discovery->repeat);
    loop_timer_cancel(discovery->loop, &discovery->question);
    /* An empty retained message takes the old one away. */
    if (discovery->term && !replaced && mqtt_client_is_connected(discovery->mqtt))
        mqtt_client_publish(discovery->mqtt, discovery->server_topic, span_of("", 0), true, NULL);
    mqtt_client_free(discovery->mqtt, LEAVE_TIMEOUT_MS);
    free(discovery);
}
