/* "host:port" and "[ipv6]:port", as adverts tell it and connections are made to it. Untrusted text. Pure functions. */
#ifndef FLOSIM_CODEC_ENDPOINT_H
#define FLOSIM_CODEC_ENDPOINT_H

#include <stdbool.h>

#include "util/error.h"

enum { ENDPOINT_HOST_MAX = 256 };

enum host_kind { HOST_NAME, HOST_IPV4, HOST_IPV6 };

struct endpoint {
    enum host_kind kind;
    char host[ENDPOINT_HOST_MAX]; /* without brackets */
    int port;                     /* 1 to 65535 */
};

/* A name has letters, digits, '-', '_' and '.' only, so that nothing but a host and a port can come through. A port
 * alone, white space and other schemes (unix:, xds:) are ERR_INVALID. */
int endpoint_parse(const char *text, struct endpoint *out, struct error *err);

/* Can only this machine reach what listens there? Names, addresses and addresses in brackets. */
bool host_is_loopback(const char *host);

#endif
