#include "cli/submit_leader.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_client.h"
#include "util/fs.h"

static volatile sig_atomic_t signal_came;

static void on_signal(int number)
{
    (void)number;
    signal_came = 1;
}

void interrupts_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: a sleep ends at once */

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void)
{
    return signal_came != 0;
}

static bool interrupted_request(void *context)
{
    (void)context;
    return interrupted();
}

int leader_address_parse(const char *text, struct leader_address *out, struct error *err)
{
    const char *host = strncmp(text, "http://", 7) ? text : text + 7;
    size_t length = strlen(host);
    char *end = NULL;

    if (length && host[length - 1] == '/')
        length--;
    const char *colon = memrchr(host, ':', length);
    long port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &end, 10) : 0;
    bool plain = colon && colon > host && !memchr(host, '/', length) && !memchr(host, ' ', length) &&
                 (host[0] == '[' ? colon[-1] == ']' : memchr(host, ':', length) == colon);
    if (!plain || end != host + length || port < 1 || port > 65535 || length > 280)
        return FAIL(err, ERR_INVALID, "--leader %.100s: expected HOST:PORT, such as 127.0.0.1:12345 or [::1]:12345",
                    text);
    snprintf(out->base, sizeof out->base, "http://%.*s", (int)length, host);
    return OK;
}

int leader_token_read(const char *path, char **out, struct error *err)
{
    int status = fs_read_secret(path, out, err);

    if (status)
        return status;
    for (const char *c = *out; c && *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f) {
            free(*out);
            *out = NULL;
            return FAIL(err, ERR_INVALID, "%s: a bearer token has visible ASCII characters only", path);
        }
    return OK;
}

void leader_session_path(const char *id, char path[SESSION_PATH_MAX])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
    size_t used = (size_t)snprintf(path, SESSION_PATH_MAX, "/v1/sessions/");

    for (const char *c = id; *c && used + 4 <= SESSION_PATH_MAX; c++)
        used += (size_t)snprintf(path + used, SESSION_PATH_MAX - used, strchr(plain, *c) ? "%c" : "%%%02X",
                                 (unsigned char)*c);
}

int leader_request(const struct leader_address *leader, const char *method, const char *path, const char *body,
                   double timeout_s, struct leader_answer *out, struct error *err)
{
    char url[640];
    struct http_reply reply;

    *out = (struct leader_answer){0};
    snprintf(url, sizeof url, "%s%s", leader->base, path);
    int status = http_fetch(method, url, body ? "application/json" : NULL, span_of(body, body ? strlen(body) : 0),
                            leader->token, timeout_s, interrupted_request, NULL, &reply, err);
    if (status == ERR_UNAVAILABLE)
        return error_context(err, status,
                             "no leader answers at %s: start one with `flosim leader -c leader.yaml`, or correct "
                             "--leader",
                             leader->base);
    if (status)
        return status;
    out->http_status = reply.status;
    out->json = json_loadb(blob_bytes(reply.body), blob_size(reply.body), 0, NULL);
    http_reply_fini(&reply);
    return OK;
}

void leader_answer_fini(struct leader_answer *answer)
{
    json_decref(answer->json);
    *answer = (struct leader_answer){0};
}

const char *leader_answer_message(const struct leader_answer *answer)
{
    const char *message = json_string_value(json_object_get(answer->json, "message"));

    return message ? message : "";
}

int leader_answer_status(const struct leader_answer *answer)
{
    if (answer->http_status >= 200 && answer->http_status < 300)
        return OK;
    if (answer->http_status >= 400 && answer->http_status < 500)
        return ERR_INVALID;
    if (answer->http_status == 501)
        return ERR_UNIMPLEMENTED;
    return answer->http_status == 503 ? ERR_CANCELLED : ERR_UNAVAILABLE;
}
