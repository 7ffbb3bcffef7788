#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/mqtt_client.h"

/* The address from which the kernel would send to `peer`; a UDP "connection" sends nothing. */
static int source_address(const struct addrinfo *peer, char text[64])
{
    struct sockaddr_storage local;
    socklen_t size = sizeof local;
    int fd = socket(peer->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return ERR_UNAVAILABLE;
    int failed = connect(fd, peer->ai_addr, peer->ai_addrlen) || getsockname(fd, (struct sockaddr *)&local, &size) ||
                 getnameinfo((struct sockaddr *)&local, size, text, 64, NULL, 0, NI_NUMERICHOST);
    close(fd);
    return failed ? ERR_UNAVAILABLE : OK;
}

int mqtt_local_address(const char *host, int port, char text[64], struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found = NULL;
    char service[16];
    int status = ERR_UNAVAILABLE;

    snprintf(service, sizeof service, "%d", port);
    int code = getaddrinfo(host, service, &hints, &found);
    if (code)
        return FAIL(err, ERR_UNAVAILABLE, "cannot find the address of '%s': %s", host, gai_strerror(code));
    for (const struct addrinfo *peer = found; peer && status; peer = peer->ai_next)
        status = source_address(peer, text);
    freeaddrinfo(found);
    return status ? FAIL(err, status, "no network reaches '%s'", host) : OK;
}
