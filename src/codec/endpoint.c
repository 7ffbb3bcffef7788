#include "codec/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

/* 0: not a port */
static int read_port(const char *text)
{
    char *end = NULL;
    long port = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;

    return end && !*end && port >= 1 && port <= 65535 ? (int)port : 0;
}

static bool read_host(const char *text, size_t size, struct endpoint *out)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool in_brackets = size > 2 && text[0] == '[' && text[size - 1] == ']';

    text += in_brackets;
    size -= in_brackets ? 2 : 0;
    if (size == 0 || size >= sizeof out->host)
        return false;
    memcpy(out->host, text, size);
    out->host[size] = '\0';
    if (in_brackets) {
        out->kind = HOST_IPV6;
        return inet_pton(AF_INET6, out->host, address) == 1;
    }
    out->kind = inet_pton(AF_INET, out->host, address) == 1 ? HOST_IPV4 : HOST_NAME;
    return strspn(out->host, name_characters) == size;
}

int endpoint_parse(const char *text, struct endpoint *out, struct error *err)
{
    const char *colon = strrchr(text, ':');

    out->port = colon ? read_port(colon + 1) : 0;
    if (!out->port || !read_host(text, (size_t)(colon - text), out))
        return FAIL(err, ERR_INVALID, "\"%.64s\" is not an endpoint: host:port is wanted", text);
    return OK;
}

bool host_is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "[::1]") == 0 ||
           strcmp(host, "localhost") == 0;
}
