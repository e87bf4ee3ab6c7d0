/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/port.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#define MEMORY_A_CONNECTION (16u << 10)
#define BACKLOG 32

struct metrics_port {
    struct metrics_port_options options;
    struct MHD_Daemon *daemon;
    unsigned number;
    ev_io readable;
    ev_timer due; /* when the library wants its turn for time-outs */
};

/* ---- answering */

static enum MHD_Result answer(
    struct MHD_Connection *connection, unsigned status, const char *type, const struct span body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)(body.data ? body.data : ""), MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_GET);
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result answer_text(
    struct MHD_Connection *connection, unsigned status, const char *text)
{
    return answer(connection, status, "text/plain; charset=utf-8", span_of_string(text));
}

static enum MHD_Result answer_metrics(
    const struct metrics_port *port, struct MHD_Connection *connection)
{
    struct buffer text = BUFFER_INIT;
    port->options.append(port->options.context, &text);
    enum MHD_Result result = MHD_NO;
    if (buffer_error(&text) == 0)
        result = answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
            buffer_span(&text));
    buffer_deinit(&text);
    return result;
}

static enum MHD_Result answer_ready(
    const struct metrics_port *port, struct MHD_Connection *connection)
{
    const char *why = port->options.unready(port->options.context);
    return answer_text(
        connection, why ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, why ? why : "ready\n");
}

/* A body is of no interest here: the request is answered before it has come. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *data, size_t *data_size, void **request)
{
    const struct metrics_port *port = context;
    (void)version, (void)data, (void)data_size, (void)request;
    bool metrics = strcmp(url, "/metrics") == 0, live = strcmp(url, "/health/live") == 0;
    if (!metrics && !live && strcmp(url, "/health/ready") != 0)
        return answer_text(
            connection, MHD_HTTP_NOT_FOUND, "here are /metrics, /health/live and /health/ready\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
    if (metrics)
        return answer_metrics(port, connection);
    return live ? answer_text(connection, MHD_HTTP_OK, "live\n") : answer_ready(port, connection);
}

/* ---- the loop */

static void run(struct metrics_port *port)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(port->daemon);
    ev_timer_stop(port->options.loop, &port->due);
    if (MHD_get_timeout(port->daemon, &ms) != MHD_YES)
        return;
    ev_timer_set(&port->due, (double)ms / 1000., 0.);
    ev_timer_start(port->options.loop, &port->due);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    run(watcher->data);
}

static void on_due(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    run(watcher->data);
}

__attribute__((format(printf, 2, 0))) static void on_log(
    void *context, const char *format, va_list args)
{
    char line[256];
    (void)context;
    vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\n")] = '\0';
    log_debug("metrics", "%s", line);
}

/* ---- life */

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

static bool parse_address(struct address *ret_address, const char *host, unsigned number)
{
    struct address address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address.storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address.storage;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)number);
        address.len = sizeof(*v4);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)number);
        address.len = sizeof(*v6);
    } else {
        return false;
    }
    *ret_address = address;
    return true;
}

/* Listened here, not by the library, which would not say why it could not. */
static int listen_on(int *ret_fd, unsigned *ret_number, struct address *address)
{
    const int on = 1;
    _cleanup_close_ int fd =
        socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr *name = (struct sockaddr *)&address->storage;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, name, address->len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, name, &address->len) < 0)
        return -errno;
    *ret_number =
        ntohs(address->storage.ss_family == AF_INET ? ((struct sockaddr_in *)name)->sin_port
                                                    : ((struct sockaddr_in6 *)name)->sin6_port);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static struct MHD_Daemon *start_daemon(struct metrics_port *port, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, port,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)METRICS_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)METRICS_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_A_CONNECTION,
        MHD_OPTION_END);
}

static void watch(struct metrics_port *port)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    ev_io_init(&port->readable, on_readable, info->epoll_fd, EV_READ);
    ev_timer_init(&port->due, on_due, 0., 0.);
    port->readable.data = port;
    port->due.data = port;
    ev_io_start(port->options.loop, &port->readable);
}

int metrics_port_new(struct metrics_port **ret_port, const struct metrics_port_options *options)
{
    struct address address;
    _cleanup_close_ int fd = -1;
    if (!parse_address(&address, options->host, options->port))
        return -EINVAL;
    struct metrics_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->options = *options;
    int rc = listen_on(&fd, &port->number, &address);
    if (!rc && !(port->daemon = start_daemon(port, fd)))
        rc = -EIO;
    if (rc) {
        free(port);
        return rc;
    }
    (void)steal_fd(&fd); /* the daemon's now */
    watch(port);
    *ret_port = port;
    return 0;
}

void metrics_port_free(struct metrics_port *port)
{
    if (!port)
        return;
    ev_io_stop(port->options.loop, &port->readable);
    ev_timer_stop(port->options.loop, &port->due);
    MHD_stop_daemon(port->daemon);
    free(port);
}

unsigned metrics_port_number(const struct metrics_port *port)
{
    return port->number;
}
