#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "worker/beacon.h"

static bool is_ipv6(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET6, host, &address) == 1;
}

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0 ||
           strcmp(host, "*") == 0;
}

/* "host:port" or "[v6]:port": then nothing is to be added. */
static bool has_port(const char *text)
{
    const char *colon = strrchr(text, ':');

    if (!colon || is_ipv6(text))
        return false;
    return colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

int endpoint_text(const char *advertise, const char *bind, const char *local, int port, char text[ENDPOINT_MAX],
                  struct error *err)
{
    const char *host = local;
    int n;

    if (advertise && *advertise)
        host = advertise;
    else if (bind && *bind && !is_wildcard(bind))
        host = bind;
    if (host == advertise && has_port(advertise))
        n = snprintf(text, ENDPOINT_MAX, "%s", advertise);
    else
        n = snprintf(text, ENDPOINT_MAX, is_ipv6(host) ? "[%s]:%d" : "%s:%d", host, port);
    return n > 0 && n < ENDPOINT_MAX ? OK : FAIL(err, ERR_INVALID, "comm_config.grpc.advertise is too long");
}
