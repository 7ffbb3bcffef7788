/* One blocking HTTP request through libcurl (for `flosim submit`). Not for event loops. */
#ifndef FLOSIM_NET_HTTP_CLIENT_H
#define FLOSIM_NET_HTTP_CLIENT_H

#include <stdbool.h>

#include "util/error.h"
#include "util/span.h"

struct http_reply {
    long status;
    struct blob *body; /* owned; the body is NUL-terminated beyond its size */
};

/* `url` begins with http://. body.data NULL: no body. timeout_s 0: none (a blocking job). `cancel` (may be NULL) is
 * asked about once a second; true breaks off with ERR_CANCELLED. ERR_UNAVAILABLE: nobody there; ERR_IO: the
 * connection broke before the answer was there. */
int http_fetch(const char *method, const char *url, const char *content_type, struct span body,
               const char *bearer_token, double timeout_s, bool (*cancel)(void *context), void *context,
               struct http_reply *out, struct error *err);
void http_reply_fini(struct http_reply *reply);

#endif
