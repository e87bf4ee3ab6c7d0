/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why not leave this to the WebSocket library: it refuses subprotocol lists longer than 126 bytes,
 * and a browser's token travels in that list; it answers an unknown subprotocol by hanging up,
 * where the protocol owes the client a reason; and it spins on some pipelined requests. So the
 * library is given only sockets whose request was read, checked and accepted here.
 *
 * An exchange goes READING → WAITING → WRITING → LINGERING. The last one reads what the peer still
 * sends until it closes: closing a socket with unread bytes resets the connection, and the reset
 * may overtake the answer.
 *
 * When thousands come back at once the kernel's queue of connections must not run over, for who
 * does not fit tries again a second later. So they are taken out of it fast, and wait here, in
 * order, for a turn of their own, a few of them each time round, so that those in front are served
 * meanwhile. A request is there by then as a rule, and its socket need not be waited for.
 */
#include "http_server.h"

#include "tls.h"

#include "listener.h"

#include "base/cleanup.h"
#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define ACCEPTS_PER_TURN 256
#define READS_PER_TURN 32
#define WAIT_SECONDS 15.
#define WRITE_SECONDS 20.
#define LINGER_SECONDS 2.
#define LINGER_BYTES_MAX (1u << 20)
#define ACCEPT_PAUSE_SECONDS .1

struct http_server {
    struct ev_loop *loop;                    /* borrowed */
    const struct http_server_events *events; /* borrowed */
    void *context;
    const struct config *config; /* borrowed */
    struct counters *counters;   /* borrowed */
    struct tls *tls;             /* NULL: plain HTTP */
    int fd;
    uint16_t port;
    ev_io acceptable;
    ev_timer accept_pause;
    ev_timer reading;           /* due at once while some are fresh: once a turn of the loop */
    struct list_link exchanges; /* of struct http_exchange, link */
    struct list_link fresh;     /* of those, fresh_link: accepted, and not yet looked at */
    size_t unread;              /* of those, EXCHANGE_READING */
};

enum exchange_state {
    EXCHANGE_READING,
    EXCHANGE_WAITING,
    EXCHANGE_WRITING,
    EXCHANGE_LINGERING,
};

struct http_exchange {
    struct http_server *server;
    struct list_link link;
    struct list_link fresh_link;
    enum exchange_state state;
    int fd;
    struct address peer;
    bool plain_to_tls; /* plain HTTP where TLS is spoken */
    bool head_only;
    void *owner;
    ev_io io;
    ev_timer deadline;
    struct buffer in;  /* the head so far */
    struct buffer out; /* the answer */
    size_t sent;
    size_t discarded;
};

/* ---- life of an exchange */

static void watch(struct http_exchange *exchange, int events, double seconds)
{
    struct ev_loop *loop = exchange->server->loop;
    ev_io_stop(loop, &exchange->io);
    ev_timer_stop(loop, &exchange->deadline);
    if (events) {
        ev_io_set(&exchange->io, exchange->fd, events);
        ev_io_start(loop, &exchange->io);
    }
    ev_timer_set(&exchange->deadline, seconds, 0.);
    ev_timer_start(loop, &exchange->deadline);
}

static void enter(struct http_exchange *exchange, enum exchange_state state)
{
    exchange->server->unread -= exchange->state == EXCHANGE_READING;
    exchange->state = state;
}

static void exchange_free(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    enter(exchange, EXCHANGE_LINGERING);
    ev_io_stop(server->loop, &exchange->io);
    ev_timer_stop(server->loop, &exchange->deadline);
    list_remove(&exchange->link);
    list_remove(&exchange->fresh_link);
    if (exchange->fd >= 0)
        close(exchange->fd);
    buffer_deinit(&exchange->in);
    buffer_deinit(&exchange->out);
    free(exchange);
}

static void give_up(struct http_exchange *exchange)
{
    if (exchange->owner)
        exchange->server->events->on_gone(exchange->server->context, exchange->owner);
    exchange_free(exchange);
}

static void linger(struct http_exchange *exchange)
{
    if (shutdown(exchange->fd, SHUT_WR) < 0) {
        exchange_free(exchange);
        return;
    }
    enter(exchange, EXCHANGE_LINGERING);
    watch(exchange, EV_READ, LINGER_SECONDS);
}

static void write_more(struct http_exchange *exchange)
{
    while (exchange->sent < exchange->out.len) {
        ssize_t put = send(exchange->fd, exchange->out.data + exchange->sent,
            exchange->out.len - exchange->sent, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0) {
            exchange_free(exchange);
            return;
        }
        exchange->sent += (size_t)put;
    }
    linger(exchange);
}

struct address http_exchange_peer(const struct http_exchange *exchange)
{
    return exchange->peer;
}

void http_exchange_respond(struct http_exchange *exchange, const struct http_response *response)
{
    exchange->owner = NULL;
    http_response_append(&exchange->out, response, exchange->head_only);
    if (buffer_error(&exchange->out)) {
        exchange_free(exchange);
        return;
    }
    enter(exchange, EXCHANGE_WRITING);
    watch(exchange, EV_WRITE, WRITE_SECONDS);
    write_more(exchange);
}

void http_exchange_hold(struct http_exchange *exchange, void *owner)
{
    exchange->owner = owner;
}

int http_exchange_take_socket(struct http_exchange *exchange)
{
    int fd = steal_fd(&exchange->fd);
    exchange_free(exchange);
    return fd;
}

/* ---- reading the head */

static void respond_error(struct http_exchange *exchange, int status, const char *message)
{
    struct http_response response;
    http_response_error(&response, status, "invalid_argument", message);
    http_exchange_respond(exchange, &response);
    http_response_deinit(&response);
}

static void handle_head(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct http_request request;
    if (exchange->plain_to_tls) {
        respond_error(exchange, 400, "this port speaks TLS: use https:// or wss://");
        return;
    }
    if (http_request_parse(&request, buffer_span(&exchange->in)) < 0) {
        respond_error(exchange, 400, "the request is malformed");
        return;
    }
    exchange->head_only = request.method == HTTP_HEAD;
    if (request.method == HTTP_OTHER) {
        respond_error(exchange, 405, "only GET and HEAD are answered here");
        return;
    }
    if (request.has_body) {
        respond_error(exchange, 413, "requests here have no body");
        return;
    }
    enter(exchange, EXCHANGE_WAITING);
    watch(exchange, 0, WAIT_SECONDS);
    server->events->on_request(server->context, exchange, &request);
}

static size_t head_max(const struct http_exchange *exchange)
{
    return exchange->server->config->gateway_max_head;
}

/*
 * Looks before it takes, so that not one byte behind the head leaves the socket: what follows an
 * upgrade belongs to whoever gets the socket. Returns how many bytes were taken, 0 when the peer
 * has closed, -errno.
 */
static ssize_t take_head_bytes(struct http_exchange *exchange)
{
    struct buffer *in = &exchange->in;
    size_t room = head_max(exchange) - in->len;
    char *place = buffer_reserve(in, room);
    if (!place)
        return -ENOMEM;
    ssize_t seen = recv(exchange->fd, place, room, MSG_PEEK);
    if (seen <= 0)
        return seen < 0 ? -errno : 0;
    size_t head = http_request_head_length(span_of(in->data, in->len + (size_t)seen));
    size_t take = head ? head - in->len : (size_t)seen;
    ssize_t got = recv(exchange->fd, place, take, 0);
    if (got > 0)
        in->len += (size_t)got;
    return got < 0 ? -errno : got;
}

static void refuse_length(struct http_exchange *exchange)
{
    exchange->server->counters->requests_too_large++;
    respond_error(exchange, 431, "the request's head is too long");
}

/* Until the deadline that it has. */
static void await_head(struct http_exchange *exchange)
{
    ev_io_start(exchange->server->loop, &exchange->io);
}

static void read_head(struct http_exchange *exchange)
{
    if (exchange->in.len >= head_max(exchange)) { /* the limit has become lower */
        refuse_length(exchange);
        return;
    }
    ssize_t got = take_head_bytes(exchange);
    if (got == -EAGAIN || got == -EINTR) {
        await_head(exchange);
        return;
    }
    if (got <= 0)
        exchange_free(exchange);
    else if (http_request_head_length(buffer_span(&exchange->in)))
        handle_head(exchange);
    else if (exchange->in.len >= head_max(exchange))
        refuse_length(exchange);
    else
        await_head(exchange);
}

static void discard(struct http_exchange *exchange)
{
    char bytes[4096];
    ssize_t got = recv(exchange->fd, bytes, sizeof(bytes), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    exchange->discarded += got > 0 ? (size_t)got : 0;
    if (got <= 0 || exchange->discarded > LINGER_BYTES_MAX)
        exchange_free(exchange);
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct http_exchange *exchange = watcher->data;
    switch (exchange->state) {
    case EXCHANGE_READING: read_head(exchange); break;
    case EXCHANGE_WAITING: break;
    case EXCHANGE_WRITING: write_more(exchange); break;
    case EXCHANGE_LINGERING: discard(exchange); break;
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct http_exchange *exchange = watcher->data;
    exchange->server->counters->requests_late += exchange->state == EXCHANGE_READING;
    if (exchange->state == EXCHANGE_READING && exchange->in.len)
        respond_error(exchange, 408, "the request did not come in time");
    else
        give_up(exchange);
}

/* ---- accepting */

static void start_exchange(
    struct http_server *server, int fd, const struct address *peer, bool plain_to_tls)
{
    struct http_exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange) {
        close(fd);
        return;
    }
    exchange->server = server;
    exchange->fd = fd;
    exchange->peer = *peer;
    exchange->plain_to_tls = plain_to_tls;
    ev_io_init(&exchange->io, on_io, fd, EV_READ);
    ev_init(&exchange->deadline, on_deadline);
    exchange->io.data = exchange;
    exchange->deadline.data = exchange;
    list_append(&server->exchanges, &exchange->link);
    list_append(&server->fresh, &exchange->fresh_link);
    server->unread++;
    watch(exchange, 0, (double)server->config->gateway_handshake_timeout / 1000);
    ev_timer_start(server->loop, &server->reading);
}

static void on_reading(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    struct http_server *server = watcher->data;
    struct http_exchange *exchange;
    for (int i = 0; i < READS_PER_TURN; i++) {
        exchange = LIST_FIRST(struct http_exchange, &server->fresh, fresh_link);
        if (!exchange)
            return;
        list_remove(&exchange->fresh_link);
        read_head(exchange);
    }
    ev_timer_start(loop, watcher);
}

/*
 * Whoever sends a request does it at once; who holds many connections open without one is to crowd
 * out himself rather than newcomers. So the one that has been waited for the longest goes.
 */
static void make_room(struct http_server *server)
{
    if (server->unread < server->config->gateway_max_unread_requests)
        return;
    LIST_FOR_EACH(struct http_exchange, exchange, &server->exchanges, link)
    {
        if (exchange->state != EXCHANGE_READING)
            continue;
        server->counters->requests_displaced++;
        exchange_free(exchange);
        return;
    }
}

static void on_tls_open(void *context, int fd, const struct address *peer)
{
    make_room(context);
    start_exchange(context, fd, peer, false);
}

static void on_tls_plain(void *context, int fd, const struct address *peer)
{
    make_room(context);
    start_exchange(context, fd, peer, true);
}

static int make_tls(struct http_server *server, const struct http_server_options *options)
{
    const struct tls_options tls_options = {.config = options->config,
        .keys = options->keys,
        .counters = options->counters,
        .on_open = on_tls_open,
        .on_plain = on_tls_plain,
        .context = server};
    if (!tls_keys_current(options->keys))
        return 0;
    return tls_new(&server->tls, server->loop, &tls_options);
}

/* Out of descriptors: the connection stays in the backlog, and trying at once would spin. */
static void pause_accepting(struct http_server *server)
{
    ev_io_stop(server->loop, &server->acceptable);
    ev_timer_set(&server->accept_pause, ACCEPT_PAUSE_SECONDS, 0.);
    ev_timer_start(server->loop, &server->accept_pause);
}

static void on_accept_pause(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    struct http_server *server = watcher->data;
    ev_io_start(loop, &server->acceptable);
}

static int accept_one(struct http_server *server, struct address *ret_peer)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    const void *any = &from;
    int fd = accept4(server->fd, (void *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && !address_of(ret_peer, any))
        *ret_peer = (struct address){0};
    return fd;
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct http_server *server = watcher->data;
    struct address peer;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept_one(server, &peer);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            pause_accepting(server);
        if (fd < 0)
            return;
        if (server->tls) {
            tls_accept(server->tls, fd, &peer);
            continue;
        }
        make_room(server);
        start_exchange(server, fd, &peer, false);
    }
}

/* ---- life */

int http_server_new(struct http_server **ret_server, struct ev_loop *loop,
    const struct http_server_options *options)
{
    int fd = listener_open(options->host, options->port, true);
    if (fd < 0)
        return fd;
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server) {
        close(fd);
        return -ENOMEM;
    }
    *server = (struct http_server){.loop = loop,
        .events = options->events,
        .context = options->context,
        .config = options->config,
        .counters = options->counters,
        .fd = fd,
        .port = listener_port(fd)};
    list_init(&server->exchanges);
    list_init(&server->fresh);
    int rc = make_tls(server, options);
    if (rc) {
        close(fd);
        free(server);
        return rc;
    }
    ev_io_init(&server->acceptable, on_acceptable, fd, EV_READ);
    ev_timer_init(&server->accept_pause, on_accept_pause, ACCEPT_PAUSE_SECONDS, 0.);
    ev_timer_init(&server->reading, on_reading, 0., 0.);
    server->reading.data = server;
    server->acceptable.data = server;
    server->accept_pause.data = server;
    ev_io_start(loop, &server->acceptable);
    *ret_server = server;
    return 0;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    LIST_FOR_EACH(struct http_exchange, exchange, &server->exchanges, link)
    {
        give_up(exchange);
    }
    ev_io_stop(server->loop, &server->acceptable);
    ev_timer_stop(server->loop, &server->accept_pause);
    ev_timer_stop(server->loop, &server->reading);
    close(server->fd);
    tls_free(server->tls);
    free(server);
}

bool http_server_is_flushing(const struct http_server *server)
{
    return server->tls && tls_is_flushing(server->tls);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}
