/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* As many as the system allows: net.core.somaxconn bounds it. */
#define BACKLOG 65535

static bool switch_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/*
 * Whether IPv6 takes IPv4 in as well is the system's to choose unless it is said. What is accepted
 * has TCP_NODELAY from here.
 */
static int listen_on(const struct addrinfo *address, bool shared)
{
    _cleanup_close_ int fd =
        socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !switch_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
        (shared && !switch_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) ||
        (address->ai_family == AF_INET6 && !switch_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) ||
        !switch_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int open_one(const char *host, uint16_t port, bool shared)
{
    char service[8];
    struct addrinfo *addresses = NULL;
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (getaddrinfo(host, service, &hints, &addresses) != 0)
        return -EINVAL;
    int fd = listen_on(addresses, shared);
    freeaddrinfo(addresses);
    return fd;
}

int listener_open(const char *host, uint16_t port, bool shared)
{
    bool every = !*host || strcmp(host, "::") == 0;
    int fd = open_one(every ? "::" : host, port, shared);
    if (every && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL || fd == -EINVAL))
        fd = open_one("0.0.0.0", port, shared);
    return fd;
}

int listener_probe(const char *host, uint16_t port)
{
    _cleanup_close_ int fd = listener_open(host, port, false);
    return fd < 0 ? fd : 0;
}

uint16_t listener_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t len = sizeof(address);
    if (getsockname(fd, &address.any, &len) < 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
