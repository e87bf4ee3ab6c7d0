/* SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

_Noreturn void sink_fail(const char *what, const char *why)
{
    fprintf(stderr, "publish: %s: %s\n", what, why);
    exit(1);
}

int sink_connect(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
        sink_fail("connect", strerror(errno));
    return fd;
}

void sink_write(int fd, struct buffer *bytes)
{
    if (buffer_error(bytes))
        sink_fail("memory", strerror(ENOMEM));
    for (size_t at = 0; at < bytes->len;) {
        ssize_t put = send(fd, bytes->data + at, bytes->len - at, MSG_NOSIGNAL);
        if (put < 0 && errno != EINTR)
            sink_fail("send", strerror(errno));
        at += put > 0 ? (size_t)put : 0;
    }
    buffer_clear(bytes);
}
