/* SPDX-License-Identifier: Apache-2.0 */
#include "audience.h"
#include "frames.h"

#include "publish/shared-count.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READ_BYTES (256u << 10)

static char read_bytes[READ_BYTES]; /* of the one thread */

static _Noreturn void fail(const struct client *client, const char *what, int error)
{
    fprintf(stderr, "a client of %s: %s: %s\n", client->path, what, strerror(error));
    exit(1);
}

/* ---- connecting */

static void append_request(
    struct buffer *out, const struct audience *audience, const struct client *client)
{
    const struct dialect *dialect = audience->dialect;
    buffer_printf(out, "GET %s", client->path);
    if (dialect->resumes && client->epoch[0])
        buffer_printf(out, "?cursor=%s.%llu", client->epoch, (unsigned long long)client->seq);
    buffer_printf(out,
        " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        audience->port);
    if (dialect->subprotocol)
        buffer_printf(out, "Sec-WebSocket-Protocol: %s\r\n", dialect->subprotocol);
    if (dialect->bearer)
        buffer_printf(out, "Authorization: Bearer %s\r\n", client->word);
    buffer_append_string(out, "\r\n");
}

static void write_all(struct client *client, const struct buffer *bytes)
{
    if (buffer_error(bytes))
        fail(client, "memory", ENOMEM);
    if (send(client->fd, bytes->data, bytes->len, MSG_NOSIGNAL) != (ssize_t)bytes->len)
        fail(client, "send", errno);
}

static void watch(struct audience *audience, struct client *client, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(audience->epoll, how, client->fd, &event) < 0)
        fail(client, "epoll_ctl", errno);
}

static int open_socket(const struct audience *audience, size_t index)
{
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)(index % audience->sources))};
    if (fd < 0 || setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0 ||
        bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
        return -errno;
    return fd;
}

/* False while the connection is not there, which within one machine it is at once. */
static bool ask(struct audience *audience, struct client *client)
{
    struct buffer *request = &audience->request;
    buffer_clear(request);
    append_request(request, audience, client);
    if (buffer_error(request))
        fail(client, "memory", ENOMEM);
    if (send(client->fd, request->data, request->len, MSG_NOSIGNAL) != (ssize_t)request->len)
        return false;
    client->state = CLIENT_SHAKING;
    return true;
}

static void begin(struct audience *audience, struct client *client)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(audience->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->begun_ns = stamp_now();
    client->fd = open_socket(audience, (size_t)(client - audience->clients));
    if (client->fd < 0)
        fail(client, "socket", -client->fd);
    if (connect(client->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        fail(client, "connect", errno);
    audience->under_way++;
    if (ask(audience, client)) {
        watch(audience, client, EPOLL_CTL_ADD, EPOLLIN);
        return;
    }
    client->state = CLIENT_CONNECTING;
    watch(audience, client, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Whether the next one's turn has come. */
static bool is_due(const struct audience *audience)
{
    double share = (double)audience->next / (double)audience->count;
    return audience->spread_ns == 0 ||
           stamp_now() >= audience->since_ns + (int64_t)(share * (double)audience->spread_ns);
}

void audience_connect(struct audience *audience)
{
    for (; audience->next < audience->count; audience->next++) {
        struct client *client = &audience->clients[audience->next];
        if (client->state != CLIENT_AWAY)
            continue;
        if (audience->under_way >= audience->pace || !is_due(audience))
            return;
        begin(audience, client);
    }
}

static void handle_connected(struct audience *audience, struct client *client)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error || !ask(audience, client))
        fail(client, "connect", error ? error : errno);
    watch(audience, client, EPOLL_CTL_MOD, EPOLLIN);
}

/* ---- what dialects do */

void audience_send(struct audience *audience, struct client *client, int kind, struct span payload)
{
    struct buffer frame = BUFFER_INIT;
    (void)audience;
    frames_append(&frame, (enum frame_kind)kind, payload);
    write_all(client, &frame);
    buffer_deinit(&frame);
}

void audience_ready(struct audience *audience, struct client *client)
{
    if (client->state == CLIENT_READY)
        return;
    client->state = CLIENT_READY;
    audience->under_way--;
    audience->ready++;
    histogram_add(&audience->readiness, stamp_now() - client->begun_ns);
    audience_connect(audience);
}

void audience_event(struct audience *audience, struct client *client, struct span message)
{
    uint64_t before = audience->tally.events;
    tally_event(&audience->tally, &client->expected, message, audience->now);
    audience->events += audience->tally.events - before;
}

/* ---- reading */

static void end(struct audience *audience, struct client *client)
{
    close(client->fd);
    buffer_deinit(&client->rest);
    buffer_deinit(&client->stream);
    client->rest = client->stream = BUFFER_INIT;
    if (client->state == CLIENT_READY)
        audience->ready--;
    else
        audience->under_way--;
    client->state = CLIENT_AWAY;
    client->fd = -1;
}

static void handle_frame(
    struct audience *audience, struct client *client, const struct ws_frame *frame)
{
    int rc;
    switch (frame->kind) {
    case FRAME_PING: audience_send(audience, client, FRAME_PONG, frame->payload); return;
    case FRAME_PONG: return;
    case FRAME_CLOSE:
        fprintf(stderr, "a client of %s was sent away: %.*s\n", client->path,
            frame->payload.len > 2 ? (int)frame->payload.len - 2 : 0, frame->payload.data + 2);
        return;
    default: break;
    }
    rc = audience->dialect->message(audience, client, frame->payload);
    if (rc < 0)
        fail(client, "message", -rc);
}

/* How many bytes were whole frames. */
static size_t take_frames(struct audience *audience, struct client *client, struct span bytes)
{
    struct ws_frame frame;
    size_t at = 0;
    int rc;
    while ((rc = frames_next(&frame, bytes, &at)) == 1)
        handle_frame(audience, client, &frame);
    if (rc < 0)
        fail(client, "frame", -rc);
    return at;
}

/* The answer to the request; 0 while it is not all there. */
static size_t take_upgrade(struct audience *audience, struct client *client, struct span bytes)
{
    const char *end = memmem(bytes.data, bytes.len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (!memmem(bytes.data, 16, " 101 ", 5)) {
        fprintf(stderr, "%.*s\n", (int)bytes.len, bytes.data);
        fail(client, "refused", EPROTO);
    }
    client->state = CLIENT_GREETING;
    if (!audience->dialect->opened)
        audience_ready(audience, client);
    else
        audience->dialect->opened(audience, client);
    return (size_t)(end + 4 - bytes.data);
}

static size_t take(struct audience *audience, struct client *client, struct span bytes)
{
    size_t at = 0;
    if (client->state == CLIENT_SHAKING)
        at = take_upgrade(audience, client, bytes);
    if (client->state == CLIENT_SHAKING)
        return at;
    return at + take_frames(audience, client, span_of(bytes.data + at, bytes.len - at));
}

static void handle_readable(struct audience *audience, struct client *client)
{
    size_t kept = client->rest.len, taken;
    if (kept)
        memcpy(read_bytes, client->rest.data, kept);
    ssize_t got = recv(client->fd, read_bytes + kept, READ_BYTES - kept, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        audience->dropped++;
        end(audience, client);
        return;
    }
    audience->now = stamp_now();
    audience->tally.reads++;
    taken = take(audience, client, span_of(read_bytes, kept + (size_t)got));
    buffer_clear(&client->rest);
    buffer_append(&client->rest, read_bytes + taken, kept + (size_t)got - taken);
    if (buffer_error(&client->rest))
        fail(client, "memory", ENOMEM);
}

void audience_handle(struct audience *audience, struct client *client, uint32_t events)
{
    (void)events;
    if (client->state == CLIENT_CONNECTING)
        handle_connected(audience, client);
    else if (client->state != CLIENT_AWAY)
        handle_readable(audience, client);
}

void audience_drop(struct audience *audience)
{
    struct linger reset = {.l_onoff = 1};
    for (size_t i = 0; i < audience->count; i++) {
        struct client *client = &audience->clients[i];
        if (client->state == CLIENT_AWAY)
            continue;
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        end(audience, client);
    }
    audience->next = audience->count;
}
