/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words: the *socket* is the client's, encrypted; the *inner* end is ours of a pair whose other end
 * the rest of the gateway has, in clear.
 *
 *   GREETING    the handshake; no pair yet
 *   CARRYING    bytes go both ways; each way ends on its own, as a half-closed TCP connection does
 *   DISCARDING  the handshake failed: what the client still sends is read, so that the alert that
 *               told it why is not overtaken by a reset
 *
 * Memory: what the receiver of one way does not take waits in `pending`, at most one record; only
 * then is anything kept, and while it is, nothing more is read. So a slow client's bytes wait in
 * the gateway's own queue, whose limits count, plus what two kernel buffers hold.
 *
 * An end is passed on as what it was: the client's close_notify or end of stream as the end of the
 * inner stream, the inner end as close_notify and the end of the TCP stream. A client that has not
 * taken what was left for it within FLUSH_SECONDS, or does not answer our end within
 * LINGER_SECONDS, is cut off.
 */
#include "tls.h"

#include "base/cleanup.h"
#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define RECORD_BYTES 16384
#define RECORDS_PER_TURN 16
#define FLUSH_SECONDS 10.
#define LINGER_SECONDS 3.
#define DISCARD_SECONDS 2.
/* An event stream has no pongs: its socket is the only one to notice that nobody is there. */
#define UNACKNOWLEDGED_MS 60000u
#define HANDSHAKE_RECORD 0x16

enum tls_state {
    TLS_GREETING,
    TLS_CARRYING,
    TLS_DISCARDING,
};

struct tls {
    struct ev_loop *loop; /* borrowed */
    struct tls_options options;
    struct list_link greeting;  /* of struct tls_connection, link; oldest first */
    size_t greeting_count;      /* of those */
    struct list_link connected; /* the others */
    char scratch[RECORD_BYTES];
};

/* What one way's receiver did not take. */
struct pending {
    char *bytes;
    size_t at;
    size_t len;
};

struct tls_connection {
    struct tls *tls;
    struct list_link link;
    enum tls_state state;
    SSL *ssl;
    int socket;
    int inner; /* -1 before CARRYING */
    struct address peer;
    ev_io socket_io;
    ev_io inner_io;
    ev_timer deadline;
    struct pending to_inner;
    struct pending to_socket;
    bool socket_ended;  /* nothing more comes from the client */
    bool inner_ended;   /* nothing more comes from the gateway */
    bool notified;      /* and the client has been told */
    bool inner_broken;  /* the gateway takes nothing more: what comes is dropped */
    bool wants_writing; /* OpenSSL waits for room in the socket */
};

/* ---- life */

static void connection_free(struct tls_connection *connection)
{
    struct tls *tls = connection->tls;
    ev_io_stop(tls->loop, &connection->socket_io);
    ev_io_stop(tls->loop, &connection->inner_io);
    ev_timer_stop(tls->loop, &connection->deadline);
    list_remove(&connection->link);
    tls->greeting_count -= connection->state == TLS_GREETING;
    SSL_free(connection->ssl);
    if (connection->socket >= 0)
        close(connection->socket);
    if (connection->inner >= 0)
        close(connection->inner);
    free(connection->to_inner.bytes);
    free(connection->to_socket.bytes);
    free(connection);
}

static void watch(struct tls_connection *connection, ev_io *io, int fd, int events)
{
    struct ev_loop *loop = connection->tls->loop;
    if (ev_is_active(io) && (io->events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(loop, io);
    ev_io_set(io, fd, events);
    if (events)
        ev_io_start(loop, io);
}

static void limit_time(struct tls_connection *connection, double seconds)
{
    ev_timer_stop(connection->tls->loop, &connection->deadline);
    ev_timer_set(&connection->deadline, seconds, 0.);
    ev_timer_start(connection->tls->loop, &connection->deadline);
}

static void leave_greeting(struct tls_connection *connection, enum tls_state state)
{
    struct tls *tls = connection->tls;
    tls->greeting_count--;
    list_remove(&connection->link);
    list_append(&tls->connected, &connection->link);
    ev_timer_stop(tls->loop, &connection->deadline);
    connection->state = state;
}

/* ---- carrying */

/* False when there is no memory for it. */
static bool keep(struct pending *pending, const char *bytes, size_t len)
{
    pending->bytes = malloc(len);
    if (!pending->bytes)
        return false;
    memcpy(pending->bytes, bytes, len);
    pending->at = 0;
    pending->len = len;
    return true;
}

static void took(struct pending *pending, size_t count)
{
    pending->at += count;
    if (pending->at < pending->len)
        return;
    free(pending->bytes);
    *pending = (struct pending){0};
}

/* What SSL_read and SSL_write say beside their bytes. False: the connection is broken: a reset, or
 * bytes that are none of TLS. */
static bool take_verdict(struct tls_connection *connection, int rc)
{
    int error = SSL_get_error(connection->ssl, rc);
    connection->wants_writing |= error == SSL_ERROR_WANT_WRITE;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* How many bytes the gateway's end took; the rest of them is to be kept. */
static size_t give_inner(struct tls_connection *connection, const char *bytes, size_t len)
{
    if (connection->inner_broken)
        return len;
    ssize_t put = send(connection->inner, bytes, len, MSG_NOSIGNAL);
    if (put >= 0)
        return (size_t)put;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    connection->inner_broken = true;
    return len;
}

/* From the client to the gateway. False: the connection is broken. */
static bool carry_in(struct tls_connection *connection)
{
    struct pending *pending = &connection->to_inner;
    char *scratch = connection->tls->scratch;
    if (pending->bytes)
        took(pending,
            give_inner(connection, pending->bytes + pending->at, pending->len - pending->at));
    for (int i = 0; i < RECORDS_PER_TURN && !pending->bytes && !connection->socket_ended; i++) {
        ERR_clear_error();
        int got = SSL_read(connection->ssl, scratch, RECORD_BYTES);
        connection->socket_ended =
            got <= 0 && SSL_get_error(connection->ssl, got) == SSL_ERROR_ZERO_RETURN;
        if (got <= 0)
            return connection->socket_ended || take_verdict(connection, got);
        size_t given = give_inner(connection, scratch, (size_t)got);
        if (given < (size_t)got && !keep(pending, scratch + given, (size_t)got - given))
            return false;
    }
    return true;
}

/* How many bytes the socket took; the rest is to be kept. -EPIPE: the connection is broken. */
static ssize_t give_socket(struct tls_connection *connection, const char *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ERR_clear_error();
        int put = SSL_write(connection->ssl, bytes + done, (int)(len - done));
        if (put <= 0)
            return take_verdict(connection, put) ? (ssize_t)done : -EPIPE;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

/* 1: there may be more; 0: not now; -EPIPE. */
static int carry_out_once(struct tls_connection *connection)
{
    char *scratch = connection->tls->scratch;
    ssize_t got = recv(connection->inner, scratch, RECORD_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) {
        connection->inner_ended = true;
        limit_time(connection, FLUSH_SECONDS);
        return 0;
    }
    ssize_t put = give_socket(connection, scratch, (size_t)got);
    if (put < 0)
        return -EPIPE;
    if (put < got && !keep(&connection->to_socket, scratch + put, (size_t)(got - put)))
        return -EPIPE;
    return put == got;
}

/* From the gateway to the client. False: the connection is broken. */
static bool carry_out(struct tls_connection *connection)
{
    struct pending *pending = &connection->to_socket;
    connection->wants_writing = false;
    if (pending->bytes) {
        ssize_t put =
            give_socket(connection, pending->bytes + pending->at, pending->len - pending->at);
        if (put < 0)
            return false;
        took(pending, (size_t)put);
    }
    for (int i = 0; i < RECORDS_PER_TURN && !pending->bytes && !connection->inner_ended; i++) {
        int rc = carry_out_once(connection);
        if (rc <= 0)
            return rc == 0;
    }
    return true;
}

/* Tells each side that the other has ended, once all before it has been handed over. */
static bool pass_ends(struct tls_connection *connection)
{
    if (connection->socket_ended && !connection->to_inner.bytes && !connection->inner_broken) {
        shutdown(connection->inner, SHUT_WR);
        connection->inner_broken = true;
    }
    if (connection->inner_ended && !connection->to_socket.bytes && !connection->notified) {
        ERR_clear_error();
        int rc = SSL_shutdown(connection->ssl);
        if (rc < 0)
            return take_verdict(connection, rc) && connection->wants_writing;
        connection->notified = true;
        shutdown(connection->socket, SHUT_WR);
        limit_time(connection, LINGER_SECONDS);
    }
    return true;
}

static void watch_both(struct tls_connection *connection)
{
    bool reads = !connection->socket_ended && !connection->to_inner.bytes;
    bool writes = connection->wants_writing;
    bool listens = !connection->inner_ended && !connection->to_socket.bytes;
    watch(connection, &connection->socket_io, connection->socket,
        (reads ? EV_READ : 0) | (writes ? EV_WRITE : 0));
    watch(connection, &connection->inner_io, connection->inner,
        (listens ? EV_READ : 0) | (connection->to_inner.bytes ? EV_WRITE : 0));
    if (reads && SSL_pending(connection->ssl)) /* nothing that the kernel would report */
        ev_feed_event(connection->tls->loop, &connection->socket_io, EV_READ);
}

/* Out first: writing may be what reading has waited for. */
static void carry(struct tls_connection *connection)
{
    if (!carry_out(connection) || !carry_in(connection) || !pass_ends(connection) ||
        (connection->notified && connection->socket_ended))
        connection_free(connection);
    else
        watch_both(connection);
}

/* ---- the handshake */

static void count_failure(struct counters *counters)
{
    switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_VERSION_TOO_LOW: counters->tls_nothing_in_common++; break;
    default: counters->tls_failed++;
    }
}

static void fail(struct tls_connection *connection)
{
    char peer[ADDRESS_TEXT_SIZE];
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    address_format(peer, &connection->peer);
    log_debug("tls", "handshake with %s failed: %s", peer, why ? why : "the client hung up");
    count_failure(connection->tls->options.counters);
    ERR_clear_error();
    leave_greeting(connection, TLS_DISCARDING);
    shutdown(connection->socket, SHUT_WR);
    limit_time(connection, DISCARD_SECONDS);
    watch(connection, &connection->socket_io, connection->socket, EV_READ);
}

static bool make_pair(struct tls_connection *connection, int *ret_fd)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
        log_warn("tls", "a connection is given up: %s", strerror(errno));
        return false;
    }
    connection->inner = ends[0];
    *ret_fd = ends[1];
    return true;
}

static void open_inner(struct tls_connection *connection)
{
    struct tls *tls = connection->tls;
    struct address peer = connection->peer;
    int fd;
    if (!make_pair(connection, &fd)) {
        tls->options.counters->tls_failed++;
        connection_free(connection);
        return;
    }
    tls->options.counters->tls_handshakes++;
    leave_greeting(connection, TLS_CARRYING);
    carry(connection); /* may be the end of it */
    tls->options.on_open(tls->options.context, fd, &peer);
}

static void hand_over_plain(struct tls_connection *connection)
{
    struct tls *tls = connection->tls;
    struct address peer = connection->peer;
    int fd = steal_fd(&connection->socket);
    ev_io_stop(tls->loop, &connection->socket_io);
    connection_free(connection);
    tls->options.counters->tls_plain++;
    tls->options.on_plain(tls->options.context, fd, &peer);
}

/* Methods begin with a letter; the first record of a handshake with a number of its own. */
static bool speaks_http(const struct tls_connection *connection)
{
    char first;
    return SSL_in_before(connection->ssl) && recv(connection->socket, &first, 1, MSG_PEEK) == 1 &&
           first >= 'A' && first <= 'Z';
}

static void greet(struct tls_connection *connection)
{
    if (speaks_http(connection)) {
        hand_over_plain(connection);
        return;
    }
    ERR_clear_error();
    int rc = SSL_accept(connection->ssl);
    if (rc == 1) {
        open_inner(connection);
        return;
    }
    switch (SSL_get_error(connection->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        watch(connection, &connection->socket_io, connection->socket, EV_READ);
        break;
    case SSL_ERROR_WANT_WRITE:
        watch(connection, &connection->socket_io, connection->socket, EV_WRITE);
        break;
    default: fail(connection);
    }
}

static void discard(struct tls_connection *connection)
{
    ssize_t got = recv(connection->socket, connection->tls->scratch, RECORD_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        connection_free(connection);
}

/* ---- watchers */

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct tls_connection *connection = watcher->data;
    switch (connection->state) {
    case TLS_GREETING: greet(connection); break;
    case TLS_CARRYING: carry(connection); break;
    case TLS_DISCARDING: discard(connection); break;
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct tls_connection *connection = watcher->data;
    if (connection->state == TLS_GREETING)
        connection->tls->options.counters->tls_late++;
    connection_free(connection);
}

/* As with requests: who holds many handshakes open crowds out himself. */
static void make_room(struct tls *tls)
{
    if (tls->greeting_count < tls->options.config->gateway_max_unread_requests)
        return;
    struct tls_connection *oldest = LIST_FIRST(struct tls_connection, &tls->greeting, link);
    tls->options.counters->tls_displaced++;
    connection_free(oldest);
}

static struct tls_connection *connection_new(struct tls *tls, int fd)
{
    struct tls_connection *connection = calloc(1, sizeof(*connection));
    SSL *ssl = connection ? SSL_new(tls_keys_current(tls->options.keys)) : NULL;
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        free(connection);
        return NULL;
    }
    connection->tls = tls;
    connection->ssl = ssl;
    connection->socket = fd;
    connection->inner = -1;
    ev_init(&connection->socket_io, on_io);
    ev_init(&connection->inner_io, on_io);
    ev_init(&connection->deadline, on_deadline);
    connection->socket_io.data = connection;
    connection->inner_io.data = connection;
    connection->deadline.data = connection;
    return connection;
}

void tls_accept(struct tls *tls, int fd, const struct address *peer)
{
    int yes = 1;
    unsigned patience = UNACKNOWLEDGED_MS;
    make_room(tls);
    struct tls_connection *connection = connection_new(tls, fd);
    if (!connection) {
        tls->options.counters->tls_failed++;
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
    connection->peer = *peer;
    list_append(&tls->greeting, &connection->link);
    tls->greeting_count++;
    limit_time(connection, (double)tls->options.config->gateway_handshake_timeout / 1000);
    watch(connection, &connection->socket_io, fd, EV_READ);
}

int tls_new(struct tls **ret_tls, struct ev_loop *loop, const struct tls_options *options)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (!tls)
        return -ENOMEM;
    tls->loop = loop;
    tls->options = *options;
    list_init(&tls->greeting);
    list_init(&tls->connected);
    *ret_tls = tls;
    return 0;
}

bool tls_is_flushing(const struct tls *tls)
{
    LIST_FOR_EACH(struct tls_connection, connection, &tls->connected, link)
    {
        if (connection->state == TLS_CARRYING &&
            (connection->to_socket.bytes || (connection->inner_ended && !connection->notified)))
            return true;
    }
    return false;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    LIST_FOR_EACH(struct tls_connection, greeting, &tls->greeting, link)
    {
        connection_free(greeting);
    }
    LIST_FOR_EACH(struct tls_connection, connected, &tls->connected, link)
    {
        connection_free(connected);
    }
    free(tls);
}
