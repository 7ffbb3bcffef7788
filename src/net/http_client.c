#include "net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_TIMEOUT_S = 10, KEEPALIVE_IDLE_S = 60 };

static const size_t max_reply = (size_t)256 << 20;

struct transfer {
    char *body;
    size_t size, capacity;
    bool too_large;
    bool (*cancel)(void *context);
    void *context;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* One byte more than needed, for the NUL. */
static bool reserve(struct transfer *transfer, size_t size)
{
    size_t capacity = transfer->capacity ? transfer->capacity : 4096;

    while (capacity < size + 1)
        capacity *= 2;
    if (capacity == transfer->capacity)
        return true;
    char *body = realloc(transfer->body, capacity);
    if (!body)
        return false;
    transfer->body = body;
    transfer->capacity = capacity;
    return true;
}

static size_t on_data(char *data, size_t one, size_t size, void *context)
{
    struct transfer *transfer = context;

    (void)one; /* always 1 */
    transfer->too_large = size > max_reply - transfer->size;
    if (transfer->too_large || !reserve(transfer, transfer->size + size))
        return 0;
    memcpy(transfer->body + transfer->size, data, size);
    transfer->size += size;
    return size;
}

static int on_progress(void *context, curl_off_t total_in, curl_off_t in, curl_off_t total_out, curl_off_t out)
{
    struct transfer *transfer = context;

    (void)total_in;
    (void)in;
    (void)total_out;
    (void)out;
    return transfer->cancel && transfer->cancel(transfer->context);
}

static struct curl_slist *make_headers(const char *content_type, const char *bearer_token)
{
    char line[4200];
    struct curl_slist *headers = NULL;

    if (content_type) {
        snprintf(line, sizeof line, "Content-Type: %s", content_type);
        headers = curl_slist_append(headers, line);
    }
    if (bearer_token) {
        snprintf(line, sizeof line, "Authorization: Bearer %s", bearer_token);
        headers = curl_slist_append(headers, line);
    }
    return headers;
}

static void set_options(CURL *curl, const char *method, const char *url, struct span body, double timeout_s,
                        struct transfer *transfer)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* a proxy in the environment is not for talking to one's leader */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(timeout_s * 1000));
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L); /* a blocking job says nothing for hours */
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    if (body.data) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static int status_of(CURLcode code, const struct transfer *transfer)
{
    switch (code) {
    case CURLE_OK:
        return OK;
    case CURLE_ABORTED_BY_CALLBACK:
        return ERR_CANCELLED;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_DEADLINE;
    case CURLE_OUT_OF_MEMORY:
        return ERR_MEMORY;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_INVALID;
    case CURLE_WRITE_ERROR:
        return transfer->too_large ? ERR_TOO_LARGE : ERR_MEMORY;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return ERR_IO;
    default:
        return ERR_UNAVAILABLE;
    }
}

static int take_reply(CURL *curl, struct transfer *transfer, struct http_reply *out, struct error *err)
{
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
    if (!reserve(transfer, transfer->size))
        return FAIL(err, ERR_MEMORY, "out of memory for an answer");
    transfer->body[transfer->size] = '\0';
    out->body = blob_adopt(transfer->body, transfer->size, free, transfer->body);
    if (!out->body)
        return FAIL(err, ERR_MEMORY, "out of memory for an answer");
    transfer->body = NULL;
    return OK;
}

static int perform(CURL *curl, const char *url, struct transfer *transfer, struct http_reply *out, struct error *err)
{
    char text[CURL_ERROR_SIZE] = "";

    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        return take_reply(curl, transfer, out, err);
    return FAIL(err, status_of(code, transfer), "%s: %s", url, text[0] ? text : curl_easy_strerror(code));
}

int http_fetch(const char *method, const char *url, const char *content_type, struct span body,
               const char *bearer_token, double timeout_s, bool (*cancel)(void *context), void *context,
               struct http_reply *out, struct error *err)
{
    struct transfer transfer = {.cancel = cancel, .context = context};

    *out = (struct http_reply){0};
    pthread_once(&curl_once, init_curl);
    CURL *curl = curl_easy_init();
    if (!curl)
        return FAIL(err, ERR_MEMORY, "out of memory for an HTTP request");
    struct curl_slist *headers = make_headers(content_type, bearer_token);
    set_options(curl, method, url, body, timeout_s, &transfer);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    int status = perform(curl, url, &transfer, out, err);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(transfer.body);
    return status;
}

void http_reply_fini(struct http_reply *reply)
{
    blob_unref(reply->body);
    *reply = (struct http_reply){0};
}
