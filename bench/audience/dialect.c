/* SPDX-License-Identifier: Apache-2.0 */
#include "audience.h"
#include "frames.h"

#include <errno.h>
#include <stdlib.h>

static bool begins(struct span message, const char *with)
{
    size_t len = strlen(with);
    return message.len >= len && memcmp(message.data, with, len) == 0;
}

/* ---- a message is an event: the floor, ws, nchan */

static int plain_message(struct audience *audience, struct client *client, struct span message)
{
    audience_event(audience, client, message);
    return 0;
}

/* ---- ringside.v1 */

/* Where a member's value begins within the first bytes of a frame. */
static const char *member(struct span message, const char *name)
{
    size_t most = message.len < 400 ? message.len : 400;
    const char *at = memmem(message.data, most, name, strlen(name));
    return at ? at + strlen(name) : NULL;
}

static void note_epoch(struct client *client, struct span message)
{
    const char *at = member(message, "\"epoch\":\"");
    const char *end = at ? memchr(at, '"', EPOCH_MAX) : NULL;
    if (end)
        snprintf(client->epoch, sizeof(client->epoch), "%.*s", (int)(end - at), at);
    at = member(message, "\"head\":");
    if (at && !client->seq)
        client->seq = strtoull(at, NULL, 10);
}

static int ringside_message(struct audience *audience, struct client *client, struct span message)
{
    if (begins(message, "{\"type\":\"welcome\"")) {
        note_epoch(client, message);
        if (!audience->resuming)
            audience_ready(audience, client);
    } else if (begins(message, "{\"type\":\"caught_up\"")) {
        if (audience->resuming)
            audience_ready(audience, client);
    } else if (begins(message, "{\"type\":\"gap\"") ||
               begins(message, "{\"type\":\"going_away\"")) {
        return -ENODATA;
    } else {
        const char *seq = member(message, "\"seq\":");
        if (seq)
            client->seq = strtoull(seq, NULL, 10);
        audience_event(audience, client, message);
    }
    return 0;
}

/* ---- NATS: lines and payloads in a stream of bytes that messages cut anywhere */

static void nats_opened(struct audience *audience, struct client *client)
{
    char text[256];
    int len = snprintf(text, sizeof(text),
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\nSUB %s 1\r\nPING\r\n",
        client->word);
    audience_send(audience, client, FRAME_BINARY, span_of(text, (size_t)len));
}

/* The payload of the MSG whose line is `line`; 0 when the line is another. */
static size_t nats_payload(struct span line)
{
    const char *last = memrchr(line.data, ' ', line.len);
    return begins(line, "MSG ") && last ? strtoul(last, NULL, 10) + 2 : 0;
}

/* How many bytes of whole lines and messages were taken. */
static size_t nats_take(struct audience *audience, struct client *client, struct span bytes)
{
    size_t at = 0;
    for (;;) {
        const char *begin = bytes.data + at, *end = memchr(begin, '\n', bytes.len - at);
        if (!end)
            return at;
        struct span line = span_of(begin, (size_t)(end - begin));
        size_t payload = nats_payload(line), whole = line.len + 1 + payload;
        if (whole > bytes.len - at)
            return at;
        if (payload)
            audience_event(audience, client, span_of(end + 1, payload - 2));
        else if (begins(line, "PING"))
            audience_send(audience, client, FRAME_BINARY, SPAN_LITERAL("PONG\r\n"));
        else if (begins(line, "PONG") && client->state == CLIENT_GREETING)
            audience_ready(audience, client);
        at += whole;
    }
}

static int nats_message(struct audience *audience, struct client *client, struct span message)
{
    if (!client->stream.len) {
        size_t taken = nats_take(audience, client, message);
        buffer_append(&client->stream, message.data + taken, message.len - taken);
    } else {
        buffer_append_span(&client->stream, message);
        buffer_consume(&client->stream, nats_take(audience, client, buffer_span(&client->stream)));
    }
    return buffer_error(&client->stream);
}

/* ---- Socket.IO 4, of Engine.IO 4 */

static int socketio_message(struct audience *audience, struct client *client, struct span message)
{
    char text[128];
    if (begins(message, "42")) {
        audience_event(audience, client, message);
    } else if (begins(message, "2")) {
        audience_send(audience, client, FRAME_TEXT, SPAN_LITERAL("3"));
    } else if (begins(message, "0{")) {
        int len = snprintf(text, sizeof(text), "40{\"user\":\"%s\"}", client->word);
        audience_send(audience, client, FRAME_TEXT, span_of(text, (size_t)len));
    } else if (begins(message, "40")) {
        audience_ready(audience, client);
    } else {
        return -EPROTO;
    }
    return 0;
}

static void wait_for_greeting(struct audience *audience, struct client *client)
{
    (void)audience;
    (void)client;
}

const struct dialect *dialect_find(const char *name)
{
    static const struct dialect dialects[] = {
        {.name = "plain", .message = plain_message},
        {.name = "ringside",
            .subprotocol = "ringside.v1",
            .bearer = true,
            .resumes = true,
            .opened = wait_for_greeting,
            .message = ringside_message},
        {.name = "nats", .opened = nats_opened, .message = nats_message},
        {.name = "socketio", .opened = wait_for_greeting, .message = socketio_message},
    };
    for (size_t i = 0; i < sizeof(dialects) / sizeof(*dialects); i++)
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    return NULL;
}
