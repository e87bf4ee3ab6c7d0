/* SPDX-License-Identifier: Apache-2.0 */
#include "http_probe.h"

#include "base/cleanup.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define PATIENCE_SECONDS 3
#define ANSWER_SIZE 4096
/* "HTTP/1.1 200 OK" */
#define STATUS_LINE "HTTP/1."

static int reach(const char *host, unsigned port)
{
    char service[8];
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    struct addrinfo *found;
    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static void read_server(struct http_probe *probe, const char *answer)
{
    const char *header = strcasestr(answer, "\r\nserver:");
    if (!header)
        return;
    header += strlen("\r\nserver:");
    header += strspn(header, " ");
    snprintf(probe->server, sizeof(probe->server), "%.*s", (int)strcspn(header, "\r\n"), header);
}

/* Reads until the headers are complete, the end, or the time limit. */
static size_t read_headers(int fd, char *ret_answer, size_t size)
{
    size_t len = 0;
    ret_answer[0] = '\0';
    while (len < size - 1 && !strstr(ret_answer, "\r\n\r\n")) {
        ssize_t got = recv(fd, ret_answer + len, size - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        ret_answer[len] = '\0';
    }
    return len;
}

enum http_probe_result http_probe(
    struct http_probe *ret_probe, const char *host, unsigned port, const char *path)
{
    char request[256], answer[ANSWER_SIZE];
    *ret_probe = (struct http_probe){0};
    _cleanup_close_ int fd = reach(host, port);
    if (fd < 0)
        return HTTP_PROBE_NOBODY;
    int len = snprintf(request, sizeof(request),
        "GET %s HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n\r\n", path, host, port);
    if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        return HTTP_PROBE_SILENT;
    read_headers(fd, answer, sizeof(answer));
    if (strncmp(answer, STATUS_LINE, strlen(STATUS_LINE)) != 0)
        return HTTP_PROBE_SILENT;
    ret_probe->status = (int)strtol(answer + strlen(STATUS_LINE) + strlen("1 "), NULL, 10);
    read_server(ret_probe, answer);
    return HTTP_PROBE_ANSWERED;
}
