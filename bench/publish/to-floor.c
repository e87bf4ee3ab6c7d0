/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: no server at all. This process accepts the clients itself and sends each event with
 * one send, those that come one after the other for one user together. Nothing does it with less.
 */
#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 2048

struct connections {
    int *fds;
    size_t count;
};

static struct connections *all; /* by user */
static uint32_t all_count;
static struct buffer waiting; /* frames for `last` */
static uint32_t last;

static void flush_floor(void)
{
    const struct connections *to = &all[last];
    for (size_t i = 0; i < to->count && waiting.len; i++)
        if (write(to->fds[i], waiting.data, waiting.len) != (ssize_t)waiting.len)
            sink_fail("write", strerror(errno));
    buffer_clear(&waiting);
}

static void put_floor(uint32_t user, struct span event)
{
    if (user != last)
        flush_floor();
    last = user;
    buffer_append_char(&waiting, (char)0x81);
    buffer_append_char(&waiting, 126);
    buffer_append_char(&waiting, (char)(event.len >> 8));
    buffer_append_char(&waiting, (char)event.len);
    buffer_append_span(&waiting, event);
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4096) < 0)
        sink_fail("listen", strerror(errno));
    return fd;
}

/* The user that a request, `GET /u<n>[.<m>] …`, names. */
static uint32_t shake_hands(int fd)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n\r\n";
    char request[REQUEST_MAX + 1];
    size_t len = 0;
    do {
        ssize_t got = recv(fd, request + len, REQUEST_MAX - len, 0);
        if (got <= 0)
            sink_fail("handshake", got ? strerror(errno) : "it hung up");
        len += (size_t)got;
        request[len] = '\0';
    } while (!strstr(request, "\r\n\r\n"));
    if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0)
        sink_fail("handshake", strerror(errno));
    return (uint32_t)strtoul(request + sizeof("GET /u") - 1, NULL, 10);
}

static void keep(uint32_t user, int fd)
{
    struct connections *to = &all[user < all_count ? user : 0];
    int *fds = reallocarray(to->fds, to->count + 1, sizeof(*fds));
    if (!fds)
        sink_fail("connections", strerror(ENOMEM));
    to->fds = fds;
    fds[to->count++] = fd;
}

/* $FLOOR_CLIENTS: how many are to come. */
static void open_floor(uint16_t port, uint32_t users)
{
    const char *text = getenv("FLOOR_CLIENTS");
    unsigned long clients = text ? strtoul(text, NULL, 10) : users;
    int yes = 1, listener = listen_on(port);
    all = calloc(users, sizeof(*all));
    all_count = users;
    puts("listening");
    fflush(stdout);
    for (unsigned long i = 0; i < clients; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || !all || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
            sink_fail("accept", strerror(errno));
        keep(shake_hands(fd), fd);
    }
}

const struct sink sink_floor = {
    .name = "floor", .open = open_floor, .put = put_floor, .flush = flush_floor};
