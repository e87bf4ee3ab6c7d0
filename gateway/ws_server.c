/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libwebsockets (4.1 to 4.3), by its lower door: sockets, and no frames.
 *
 * - It runs on our libev loop, but its own timers do not fire while that loop is idle, so a timer
 *   of ours wakes it four times a second.
 * - It never listens and sees no HTTP: it adopts a socket as a raw one, watches and reads it, says
 *   when there is room, and ends it. Its own WebSocket takes frames that are not masked and answers
 *   only the first of several pings, so what the bytes say is ws_reader.c's to tell.
 * - Frames are made by others, whole, and go straight to the socket, all that wait with one call at
 *   the end of the loop's turn. Nothing is ever written through the library: while it has a rest
 *   of its own to send it does not read, and spins as long as there is something to be read.
 * - After our Close frame what the peer still sends is read and dropped until its own Close comes:
 *   to close a socket with bytes unread resets it, which takes our last frames and the close code
 *   from the peer. Who is gone is waited for until `linger_until`, which is soon for who was
 * silent.
 *
 * A new connection's socket is corked: the answer to the handshake stays in the kernel until the
 * owner's first frames stand behind it and goes out in one segment with them. What a segment
 * costs, from here to the client's read, is more than all else of a handshake. The kernel keeps
 * nothing for more than 200 ms.
 */
#include "ws_server.h"

#include "frame.h"
#include "ws_reader.h"
#include "ws_writer.h"

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
#define LINGER_SILENT_MS 2000
#define CLOSE_SILENT 4003

struct ws_server {
    struct ev_loop *loop; /* borrowed */
    struct ws_options options;
    struct lws_protocols protocols[2];
    struct lws_context *context;
    struct lws_vhost *vhost;
    ev_timer heartbeat;
    struct ws_connection *adopting; /* during ws_server_adopt */
    struct list_link awake;         /* of struct ws_connection, awake_link: to be written to */
    struct list_link closing;       /* of struct ws_connection, closing_link */
    struct list_link receiving;     /* of struct ws_connection, receiving_link: oldest first */
    ev_prepare turn_end;
    bool adopted; /* one or more in this turn: the library must look at them */
};

struct ws_connection {
    struct ws_server *server;
    struct lws *wsi; /* NULL until it is adopted */
    void *owner;
    struct carrier carrier;
    struct list_link awake_link;
    struct ws_reader reader;
    struct ws_writer writer;
    bool binary;               /* it speaks in binary frames, not in text */
    bool full;                 /* the socket takes nothing more: RAW_WRITEABLE will come */
    bool corked;               /* the socket keeps a last segment that is not full */
    bool closing;              /* nothing of the peer is delivered any more */
    bool ending;               /* the peer's Close was answered: what the writer has is the last */
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

/* Nothing else waits. */
static int put_close(struct ws_connection *connection)
{
    buffer_append_span(&connection->writer.own, buffer_span(&connection->close_frame));
    buffer_deinit(&connection->close_frame);
    return ws_writer_put_own(&connection->writer, lws_get_socket_fd(connection->wsi));
}

/* 1 when all is out, 0 when the socket is full, -EPIPE when it is broken, or done with. */
static int put_all(struct ws_connection *connection)
{
    const struct ws_events *events = connection->server->options.events;
    struct iovec parts[PARTS_MAX];
    int fd = lws_get_socket_fd(connection->wsi);
    int rc = ws_writer_put_own(&connection->writer, fd);
    if (connection->ending)
        return rc > 0 ? -EPIPE : rc;
    while (rc > 0) {
        size_t gone;
        size_t count = events->on_gather(connection->owner, parts, PARTS_MAX);
        if (!count)
            return put_close(connection);
        rc = ws_writer_put(&connection->writer, fd, parts, count, &gone);
        if (rc >= 0)
            events->on_sent(connection->owner, gone, rc == 0);
    }
    return rc;
}

/* Everything that waits, until the socket is full. -EPIPE when it is broken, or done with. */
static int write_out(struct ws_connection *connection)
{
    list_remove(&connection->awake_link);
    int rc = put_all(connection);
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

static void begin_closing(struct ws_connection *connection, unsigned linger_ms)
{
    connection->closing = true;
    connection->linger_until = clock_monotonic_ms() + linger_ms;
    list_append(&connection->server->closing, &connection->closing_link);
    forget_message(connection);
    wake(connection);
}

static void on_close(struct carrier *carrier, int code, const char *reason)
{
    struct ws_connection *connection = connection_of(carrier);
    if (connection->closing)
        return;
    frame_append_close(&connection->close_frame, code, reason);
    begin_closing(connection, code == CLOSE_SILENT ? LINGER_SILENT_MS : LINGER_MS);
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
            continue;
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

static void note_receiving(struct ws_connection *connection)
{
    if (!list_empty(&connection->receiving_link))
        return;
    connection->receiving_since = clock_monotonic_ms();
    list_append(&connection->server->receiving, &connection->receiving_link);
}

static void deliver(struct ws_connection *connection, struct span message)
{
    list_remove(&connection->receiving_link);
    connection->server->options.events->on_message(connection->owner, message);
}

static void take_part(struct ws_connection *connection, const struct ws_read *read)
{
    struct buffer *message = &connection->message;
    size_t max = connection->server->options.config->gateway_max_frame;
    if (read->left > max || message->len + read->payload.len + read->left > max) {
        violation(connection, 1009, "the message is larger than the limit");
        return;
    }
    if (read->last && !message->len) {
        deliver(connection, read->payload);
        return;
    }
    buffer_append_span(message, read->payload);
    if (buffer_error(message)) {
        violation(connection, 1009, "the message does not fit into memory");
    } else if (read->last) {
        struct buffer whole = *message;
        *message = BUFFER_INIT;
        deliver(connection, buffer_span(&whole));
        buffer_deinit(&whole);
    }
}

static void handle_data(struct ws_connection *connection, const struct ws_read *read)
{
    if (read->binary == connection->binary)
        take_part(connection, read);
    else
        violation(connection, 4400,
            connection->binary ? "a text frame where binary is due"
                               : "a binary frame where text is due");
}

static void answer_ping(struct ws_connection *connection, struct span payload)
{
    if (ws_writer_pong(&connection->writer, payload, connection->full))
        connection->server->options.events->on_ping_superseded(connection->owner);
    wake(connection);
}

/* -1: the connection is done with. */
static int handle_peer_close(struct ws_connection *connection, int code)
{
    if (connection->closing)
        return -1; /* the answer to ours */
    ws_writer_close(&connection->writer, code);
    connection->ending = true;
    begin_closing(connection, LINGER_MS);
    return write_out(connection) < 0 ? -1 : 0;
}

static int handle_read(struct ws_connection *connection, const struct ws_read *read)
{
    const struct ws_events *events = connection->server->options.events;
    if (read->kind == WS_READ_CLOSE)
        return handle_peer_close(connection, read->code);
    if (connection->closing || read->kind == WS_READ_MORE)
        return 0;
    if (read->kind == WS_READ_VIOLATION) {
        violation(connection, read->code, read->reason);
        return 0;
    }
    events->on_heard(connection->owner);
    if (read->kind == WS_READ_DATA)
        handle_data(connection, read);
    else if (read->kind == WS_READ_PING)
        answer_ping(connection, read->payload);
    return 0;
}

/* -1: the connection is done with; what the peer sent behind its Close is not looked at. */
static int handle_bytes(struct ws_connection *connection, char *bytes, size_t len)
{
    int rc = 0;
    while (len && !rc && !connection->ending) {
        struct ws_read read;
        size_t used = ws_reader_take(&read, &connection->reader, bytes, len);
        bytes += used;
        len -= used;
        rc = handle_read(connection, &read);
    }
    if (connection->closing)
        return rc;
    if (ws_reader_is_idle(&connection->reader))
        list_remove(&connection->receiving_link);
    else
        note_receiving(connection);
    return 0;
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
    ws_writer_deinit(&connection->writer);
    connection->server->options.events->on_closed(connection->owner);
    free(connection);
}

static int handle_adopted(struct lws *wsi, struct slot *slot)
{
    struct ws_server *server = lws_context_user(lws_get_context(wsi));
    if (!server->adopting)
        return -1;
    slot->connection = STEAL_POINTER(server->adopting);
    slot->connection->wsi = wsi;
    return 0;
}

static int handle_event(
    struct ws_connection *connection, enum lws_callback_reasons reason, void *in, size_t len)
{
    if (!connection)
        return -1;
    return reason == LWS_CALLBACK_RAW_RX ? handle_bytes(connection, in, len)
                                         : handle_writable(connection);
}

static int on_lws(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct slot *slot = user;
    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT: return handle_adopted(wsi, slot);
    case LWS_CALLBACK_RAW_CLOSE: handle_gone(slot); return 0;
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_RAW_WRITEABLE: return handle_event(slot->connection, reason, in, len);
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

/* RFC 6455, section 4.2.2. */
static void append_answer(
    struct buffer *out, const struct ws_options *options, const struct ws_upgrade *upgrade)
{
    _cleanup_(buffer_deinit) struct buffer proof = BUFFER_INIT;
    unsigned char digest[20];
    char accept[32];
    buffer_append_span(&proof, upgrade->key);
    buffer_append_string(&proof, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    if (buffer_error(&proof)) {
        out->broken = true;
        return;
    }
    lws_SHA1((const unsigned char *)proof.data, proof.len, digest);
    lws_b64_encode_string((const char *)digest, sizeof(digest), accept, sizeof(accept));
    buffer_append_string(out,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: ");
    buffer_append_string(out, accept);
    buffer_append_string(out, "\r\nSec-WebSocket-Protocol: ");
    buffer_append_string(out, upgrade->binary ? options->binary_protocol : options->text_protocol);
    buffer_append_string(out, "\r\n\r\n");
}

static struct ws_connection *new_connection(
    struct ws_server *server, const struct ws_upgrade *upgrade)
{
    static const struct carrier_operations operations = {
        .wake = on_wake, .flush = on_flush, .close = on_close};
    struct ws_connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    _cleanup_(buffer_deinit) struct buffer answer = BUFFER_INIT;
    append_answer(&answer, &server->options, upgrade);
    ws_writer_begin(&connection->writer, buffer_span(&answer));
    connection->writer.own.broken |= answer.broken;
    connection->server = server;
    connection->owner = upgrade->owner;
    connection->binary = upgrade->binary;
    connection->carrier.operations = &operations;
    list_init(&connection->awake_link);
    list_init(&connection->closing_link);
    list_init(&connection->receiving_link);
    return connection;
}

static void free_connection(struct ws_connection *connection)
{
    if (connection)
        ws_writer_deinit(&connection->writer);
    free(connection);
}

int ws_server_adopt(struct ws_connection **ret_connection, struct ws_server *server,
    const struct ws_upgrade *upgrade)
{
    struct ws_connection *connection = new_connection(server, upgrade);
    if (!connection || buffer_error(&connection->writer.own)) {
        close(upgrade->fd);
        free_connection(connection);
        return -ENOMEM;
    }
    connection->corked = set_cork(upgrade->fd, 1);
    server->adopting = connection;
    const lws_sock_file_fd_type socket = {.sockfd = upgrade->fd};
    struct lws *wsi = lws_adopt_descriptor_vhost(
        server->vhost, LWS_ADOPT_SOCKET, socket, server->protocols[0].name, NULL);
    struct ws_connection *left = STEAL_POINTER(server->adopting);
    server->adopted = true;
    if (left || !wsi) {
        free_connection(left);
        return -ECONNABORTED;
    }
    wake(connection);
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
        .options = LWS_SERVER_OPTION_LIBEV,
        .pt_serv_buf_size = 16384,
        .retry_and_idle_policy = &no_pings,
        .user = server,
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    server->context = lws_create_context(&info);
    server->vhost = server->context ? lws_get_vhost_by_name(server->context, "default") : NULL;
    return server->vhost ? 0 : -ENOTSUP;
}

int ws_server_new(
    struct ws_server **ret_server, struct ev_loop *loop, const struct ws_options *options)
{
    struct ws_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;
    server->loop = loop;
    server->options = *options;
    server->protocols[0] = (struct lws_protocols){
        .name = "sockets", .callback = on_lws, .per_session_data_size = sizeof(struct slot)};
    list_init(&server->awake);
    list_init(&server->closing);
    list_init(&server->receiving);
    ev_prepare_init(&server->turn_end, on_turn_end);
    server->turn_end.data = server;
    ev_timer_init(&server->heartbeat, on_heartbeat, HEARTBEAT_SECONDS, HEARTBEAT_SECONDS);
    server->heartbeat.data = server;
    int rc = make_context(server);
    if (rc) {
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
    free(server);
}
