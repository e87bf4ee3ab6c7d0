/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libwebsockets (4.1 to 4.3), held the way that works:
 *
 * - It runs on our libev loop, but its own timers do not fire while that loop is idle, so a timer
 *   of ours wakes it four times a second.
 * - It never listens and never parses a foreign HTTP request: it adopts a socket together with an
 *   upgrade request that is written here, which it answers. HTTP callbacks other than that hang up.
 * - Frames are made by others, whole, and go straight to the socket, all that wait with one call at
 *   the end of the loop's turn: through the library a frame costs several times as much. Only while
 *   nothing is buffered inside of it, and what the kernel leaves of a frame is given to it to end,
 *   so that its own pongs come between frames.
 * - It gives a connection up as soon as data arrives behind a Close frame it sent, and the reset
 *   that follows takes our last frames and the close code from the peer. So the Close frame is
 *   ours as well: written behind everything that waits, after which what the peer still sends is
 *   read and dropped until its own Close comes, or until `linger_until` for a peer that is gone.
 *
 * A new connection's socket is corked: the library's answer to the handshake stays in the kernel
 * until the owner's first frames stand behind it and goes out in one segment with them. What a
 * segment costs, from here to the client's read, is more than all else of a handshake. The kernel
 * keeps nothing for more than 200 ms.
 */
#include "ws_server.h"

#include "frame.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include <libwebsockets.h>

#define HEARTBEAT_SECONDS .25
#define PARTS_MAX 64
#define LINGER_MS 20000
#define RECEIVE_CHUNK 256
#define SEND_CHUNK (256u << 10)

struct ws_server {
    struct ev_loop *loop; /* borrowed */
    struct ws_options options;
    struct lws_protocols protocols[3];
    struct lws_context *context;
    struct lws_vhost *vhost;
    ev_timer heartbeat;
    struct ws_connection *adopting; /* during ws_server_adopt */
    struct list_link awake;         /* of struct ws_connection, awake_link: to be written to */
    struct list_link closing;       /* of struct ws_connection, closing_link */
    struct list_link receiving;     /* of struct ws_connection, receiving_link: oldest first */
    struct buffer batch;            /* LWS_PRE bytes of room, then frames */
    ev_prepare turn_end;
    bool adopted; /* one or more in this turn: the library must look at them */
};

struct ws_connection {
    struct ws_server *server;
    struct lws *wsi; /* NULL until the upgrade is through */
    void *owner;
    struct carrier carrier;
    struct list_link awake_link;
    bool binary;               /* it speaks in binary frames, not in text */
    bool full;                 /* the socket takes nothing more: SERVER_WRITEABLE will come */
    bool corked;               /* the socket keeps a last segment that is not full */
    bool closing;              /* nothing of the peer is delivered any more */
    struct buffer close_frame; /* to be sent when nothing else waits; empty: sent */
    uint64_t linger_until;     /* monotonic milliseconds */
    struct list_link closing_link;
    struct buffer message; /* fragments so far */
    struct list_link receiving_link;
    uint64_t receiving_since; /* monotonic milliseconds */
};

/* What libwebsockets keeps for us with each socket. */
struct slot {
    struct ws_connection *connection;
};

/* ---- sending */

static struct ws_connection *connection_of(struct carrier *carrier)
{
    return CONTAINER_OF(carrier, struct ws_connection, carrier);
}

static void wake(struct ws_connection *connection)
{
    if (connection->wsi && !connection->full && list_empty(&connection->awake_link))
        list_append(&connection->server->awake, &connection->awake_link);
}

/*
 * By way of libwebsockets, which keeps what the socket does not take and sends it before anything
 * of its own. `bytes` ends with a frame.
 */
static int write_through(struct ws_connection *connection, struct span bytes)
{
    struct buffer *batch = &connection->server->batch;
    batch->len = LWS_PRE;
    buffer_append_span(batch, bytes);
    if (buffer_error(batch))
        return -EPIPE; /* the frame is cut for good */
    unsigned char *at = (unsigned char *)batch->data + LWS_PRE;
    return lws_write(connection->wsi, at, bytes.len, LWS_WRITE_RAW) < (int)bytes.len ? -EPIPE : 0;
}

/* What is missing of the frame that was cut after `put` bytes of the parts. */
static struct span cut_tail(const struct iovec *parts, size_t put)
{
    while (put >= parts->iov_len) {
        put -= parts->iov_len;
        if (!put)
            return SPAN_EMPTY;
        parts++;
    }
    const char *at = parts->iov_base;
    return span_of(at + put, frame_missing(span_of(at, parts->iov_len), put));
}

static size_t size_of(const struct iovec *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/*
 * Straight to the socket. A frame that the kernel took in part must be ended before libwebsockets
 * answers a ping, so its rest is handed to the library. 1 when all was taken, 0 when the socket is
 * full, -EPIPE when it is broken.
 */
static int put_parts(struct ws_connection *connection, struct iovec *parts, size_t count)
{
    const struct ws_events *events = connection->server->options.events;
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    int fd = lws_get_socket_fd(connection->wsi);
    ssize_t put = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        return -EPIPE;
    size_t taken = put < 0 ? 0 : (size_t)put;
    bool all = taken == size_of(parts, count);
    struct span tail = all || !taken ? SPAN_EMPTY : cut_tail(parts, taken);
    if (tail.len && write_through(connection, tail) < 0)
        return -EPIPE;
    events->on_sent(connection->owner, taken + tail.len, !all);
    return all;
}

static int put_close(struct ws_connection *connection)
{
    if (!connection->close_frame.len)
        return 0;
    int rc = write_through(connection, buffer_span(&connection->close_frame));
    buffer_deinit(&connection->close_frame);
    return rc;
}

/* Refused by what is no TCP socket, as a TLS connection's is not. */
static bool set_cork(int fd, int on)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)) == 0;
}

static void uncork(struct ws_connection *connection)
{
    if (!connection->corked ||
        (!connection->closing && connection->server->options.events->on_more(connection->owner)))
        return;
    connection->corked = false;
    set_cork(lws_get_socket_fd(connection->wsi), 0);
}

/* 1 when all is out, 0 when the socket is full, -EPIPE when it is broken. */
static int put_all(struct ws_connection *connection)
{
    const struct ws_events *events = connection->server->options.events;
    struct iovec parts[PARTS_MAX];
    int rc = 1;
    while (rc > 0) {
        size_t count = events->on_gather(connection->owner, parts, PARTS_MAX);
        if (!count)
            return put_close(connection) < 0 ? -EPIPE : 1;
        rc = put_parts(connection, parts, count);
    }
    return rc;
}

/* Everything that waits, until the socket is full. -EPIPE when it is broken. */
static int write_out(struct ws_connection *connection)
{
    list_remove(&connection->awake_link);
    int rc = lws_partial_buffered(connection->wsi) ? 0 : put_all(connection);
    uncork(connection);
    connection->full = rc == 0;
    if (connection->full)
        lws_callback_on_writable(connection->wsi);
    return rc;
}

static void give_up(struct ws_connection *connection)
{
    lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

/* Right before the loop waits: one write a connection, for all that happened in this turn. */
static void on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct ws_server *server = watcher->data;
    struct ws_connection *connection;
    if (server->adopted)
        lws_cancel_service(server->context);
    server->adopted = false;
    while ((connection = LIST_FIRST(struct ws_connection, &server->awake, awake_link))) {
        if (write_out(connection) < 0)
            give_up(connection);
    }
}

/* -1 tells libwebsockets to give the connection up. */
static int handle_writable(struct ws_connection *connection)
{
    connection->full = false;
    return write_out(connection) < 0 ? -1 : 0;
}

/* ---- as a carrier */

static void on_wake(struct carrier *carrier)
{
    wake(connection_of(carrier));
}

static bool on_flush(struct carrier *carrier)
{
    struct ws_connection *connection = connection_of(carrier);
    if (!connection->wsi || connection->full)
        return false;
    if (write_out(connection) < 0) {
        connection->full = true; /* nothing is sent any more */
        give_up(connection);
    }
    return !connection->full;
}

static void forget_message(struct ws_connection *connection)
{
    list_remove(&connection->receiving_link);
    buffer_deinit(&connection->message);
}

static void on_close(struct carrier *carrier, int code, const char *reason)
{
    struct ws_connection *connection = connection_of(carrier);
    if (connection->closing)
        return;
    connection->closing = true;
    frame_append_close(&connection->close_frame, code, reason);
    connection->linger_until = clock_monotonic_ms() + LINGER_MS;
    list_append(&connection->server->closing, &connection->closing_link);
    forget_message(connection);
    wake(connection);
}

struct carrier *ws_connection_carrier(struct ws_connection *connection)
{
    return &connection->carrier;
}

/* ---- time */

static void cut_off_lingerers(struct ws_server *server)
{
    uint64_t now = clock_monotonic_ms();
    LIST_FOR_EACH(struct ws_connection, connection, &server->closing, closing_link)
    {
        if (now < connection->linger_until)
            return;
        list_remove(&connection->closing_link);
        give_up(connection);
    }
}

static void violation(struct ws_connection *connection, int code, const char *reason)
{
    connection->server->options.events->on_violation(connection->owner, code, reason);
}

/* A message that never ends would keep what has come of it for ever, and count as life. */
static void end_slow_messages(struct ws_server *server)
{
    uint64_t now = clock_monotonic_ms();
    LIST_FOR_EACH(struct ws_connection, connection, &server->receiving, receiving_link)
    {
        if (now - connection->receiving_since < server->options.config->gateway_message_timeout)
            return;
        violation(connection, 4408, "a message did not come whole in time");
    }
}

static void on_heartbeat(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct ws_server *server = watcher->data;
    cut_off_lingerers(server);
    end_slow_messages(server);
    lws_cancel_service(server->context);
}

/* ---- receiving */

static void keep_fragment(struct ws_connection *connection, struct span bytes)
{
    if (list_empty(&connection->receiving_link)) {
        connection->receiving_since = clock_monotonic_ms();
        list_append(&connection->server->receiving, &connection->receiving_link);
    }
    buffer_append_span(&connection->message, bytes);
}

static void handle_fragment(struct ws_connection *connection, struct span bytes, bool last)
{
    struct buffer *message = &connection->message;
    const struct ws_options *options = &connection->server->options;
    if (message->len + bytes.len > options->config->gateway_max_frame) {
        violation(connection, 1009, "the message is larger than the limit");
        return;
    }
    if (last && !message->len) {
        list_remove(&connection->receiving_link); /* of empty parts */
        options->events->on_message(connection->owner, bytes);
        return;
    }
    keep_fragment(connection, bytes);
    if (buffer_error(message)) {
        violation(connection, 1009, "the message does not fit into memory");
    } else if (last) {
        struct buffer whole = *message;
        *message = BUFFER_INIT;
        list_remove(&connection->receiving_link);
        options->events->on_message(connection->owner, buffer_span(&whole));
        buffer_deinit(&whole);
    }
}

static void handle_receive(struct ws_connection *connection, struct span bytes)
{
    if (connection->closing)
        return;
    connection->server->options.events->on_heard(connection->owner);
    if ((lws_frame_is_binary(connection->wsi) != 0) != connection->binary) {
        violation(connection, 4400,
            connection->binary ? "a text frame where binary is due"
                               : "a binary frame where text is due");
        return;
    }
    bool last = lws_is_final_fragment(connection->wsi) &&
                lws_remaining_packet_payload(connection->wsi) == 0;
    handle_fragment(connection, bytes, last);
}

/* ---- libwebsockets' callbacks */

static void handle_gone(struct slot *slot)
{
    struct ws_connection *connection = STEAL_POINTER(slot->connection);
    if (!connection)
        return;
    list_remove(&connection->closing_link);
    list_remove(&connection->awake_link);
    forget_message(connection);
    buffer_deinit(&connection->close_frame);
    connection->server->options.events->on_closed(connection->owner);
    free(connection);
}

static int handle_established(struct lws *wsi, struct slot *slot)
{
    struct ws_server *server = lws_context_user(lws_get_context(wsi));
    if (!server->adopting)
        return -1;
    slot->connection = STEAL_POINTER(server->adopting);
    slot->connection->wsi = wsi;
    return 0;
}

/* Theirs is answered for us, but half a code would be given back as it came. */
static int handle_peer_close(struct ws_connection *connection, struct span payload)
{
    if (connection->closing)
        return -1; /* the answer to ours */
    if (payload.len != 1)
        return 0;
    violation(connection, 1002, "a Close frame has a whole code or none");
    (void)write_out(connection);
    return -1;
}

static int handle_event(
    struct ws_connection *connection, enum lws_callback_reasons reason, struct span bytes)
{
    switch (reason) {
    case LWS_CALLBACK_SERVER_WRITEABLE: return handle_writable(connection);
    case LWS_CALLBACK_RECEIVE: handle_receive(connection, bytes); return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return handle_peer_close(connection, bytes);
    default: connection->server->options.events->on_heard(connection->owner); return 0;
    }
}

static int on_lws(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct slot *slot = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return strcasecmp(in, "websocket") ? -1 : 0;
    case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
    case LWS_CALLBACK_HTTP: return -1;
    case LWS_CALLBACK_ESTABLISHED: return handle_established(wsi, slot);
    case LWS_CALLBACK_CLOSED: handle_gone(slot); return 0;
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return slot->connection ? handle_event(slot->connection, reason, span_of(in, len)) : -1;
    default: return 0;
    }
}

/* Its words about single connections are no news to an operator. */
static void on_log(int level, const char *line)
{
    (void)level;
    log_debug("websocket", "%.*s", (int)strcspn(line, "\n"), line);
}

/* ---- adopting */

/* As short as the library takes it: it looks at each byte several times. */
static void append_upgrade(
    struct buffer *out, const struct ws_options *options, const struct ws_upgrade *upgrade)
{
    buffer_append_string(out,
        "GET / HTTP/1.1\r\nHost: r\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ");
    buffer_append_string(out, upgrade->binary ? options->binary_protocol : options->text_protocol);
    buffer_append_string(out, "\r\nSec-WebSocket-Key: ");
    buffer_append_span(out, upgrade->key);
    buffer_append_string(out, "\r\n\r\n");
}

int ws_server_adopt(struct ws_connection **ret_connection, struct ws_server *server,
    const struct ws_upgrade *upgrade)
{
    static const struct carrier_operations operations = {
        .wake = on_wake, .flush = on_flush, .close = on_close};
    _cleanup_(buffer_deinit) struct buffer request = BUFFER_INIT;
    struct ws_connection *connection = calloc(1, sizeof(*connection));
    append_upgrade(&request, &server->options, upgrade);
    if (!connection || buffer_error(&request)) {
        close(upgrade->fd);
        free(connection);
        return -ENOMEM;
    }
    connection->server = server;
    connection->owner = upgrade->owner;
    connection->binary = upgrade->binary;
    connection->carrier.operations = &operations;
    list_init(&connection->awake_link);
    list_init(&connection->closing_link);
    list_init(&connection->receiving_link);
    connection->corked = set_cork(upgrade->fd, 1);
    server->adopting = connection;
    struct lws *wsi =
        lws_adopt_socket_vhost_readbuf(server->vhost, upgrade->fd, request.data, request.len);
    struct ws_connection *left = STEAL_POINTER(server->adopting);
    server->adopted = true;
    if (left || !wsi) {
        free(left);
        return -ECONNABORTED;
    }
    *ret_connection = connection;
    return 0;
}

/* ---- life */

static int make_context(struct ws_server *server)
{
    /* Pings are ours: the library's timer for each connection stands in a list that it walks. */
    static const lws_retry_bo_t no_pings = {0};
    void *loops[1] = {server->loop};
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = server->protocols,
        .foreign_loops = loops,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_VALIDATE_UTF8,
        .pt_serv_buf_size = 16384,
        .retry_and_idle_policy = &no_pings,
        .user = server,
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    server->context = lws_create_context(&info);
    server->vhost = server->context ? lws_get_vhost_by_name(server->context, "default") : NULL;
    return server->vhost ? 0 : -ENOTSUP;
}

static struct lws_protocols protocol_named(const char *name)
{
    return (struct lws_protocols){
        .name = name,
        .callback = on_lws,
        .per_session_data_size = sizeof(struct slot),
        .rx_buffer_size = RECEIVE_CHUNK,
        .tx_packet_size = SEND_CHUNK,
    };
}

int ws_server_new(
    struct ws_server **ret_server, struct ev_loop *loop, const struct ws_options *options)
{
    struct ws_server *server = calloc(1, sizeof(*server));
    if (!server || !buffer_reserve(&server->batch, LWS_PRE)) {
        free(server);
        return -ENOMEM;
    }
    server->loop = loop;
    server->options = *options;
    server->protocols[0] = protocol_named(options->text_protocol);
    server->protocols[1] = protocol_named(options->binary_protocol);
    list_init(&server->awake);
    list_init(&server->closing);
    list_init(&server->receiving);
    ev_prepare_init(&server->turn_end, on_turn_end);
    server->turn_end.data = server;
    ev_timer_init(&server->heartbeat, on_heartbeat, HEARTBEAT_SECONDS, HEARTBEAT_SECONDS);
    server->heartbeat.data = server;
    int rc = make_context(server);
    if (rc) {
        buffer_deinit(&server->batch);
        free(server);
        return rc;
    }
    ev_timer_start(loop, &server->heartbeat);
    ev_prepare_start(loop, &server->turn_end);
    *ret_server = server;
    return 0;
}

void ws_server_free(struct ws_server *server)
{
    if (!server)
        return;
    ev_timer_stop(server->loop, &server->heartbeat);
    ev_prepare_stop(server->loop, &server->turn_end);
    lws_context_destroy(server->context);
    buffer_deinit(&server->batch);
    free(server);
}
