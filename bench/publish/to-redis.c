/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XADD to the one stream that a server of Node's reads: of `ws`, with the user and the event; of
 * Socket.IO, as its Redis streams adapter writes a broadcast to a room.
 */
#include "sink.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define FLUSH_BYTES (16u << 10)
/* More than is ever unread, and all the history there is. */
#define STREAM_MAX "100000"

static int server;
static struct buffer waiting;

static void flush_redis(void)
{
    char said[65536];
    sink_write(server, &waiting);
    ssize_t got = recv(server, said, sizeof(said), MSG_DONTWAIT);
    if (got == 0 || (got > 0 && memmem(said, (size_t)got, "\r\n-", 3)))
        sink_fail("redis", got ? "it says an error" : "it hung up");
}

static void open_redis(uint16_t port, uint32_t users)
{
    (void)users;
    server = sink_connect(port);
}

static void append_bulk(struct span text)
{
    buffer_append_char(&waiting, '$');
    buffer_append_uint(&waiting, text.len);
    buffer_append_string(&waiting, "\r\n");
    buffer_append_span(&waiting, text);
    buffer_append_string(&waiting, "\r\n");
}

static void append_command(const char *stream, const char *arguments)
{
    buffer_append_string(&waiting, arguments);
    append_bulk(SPAN_LITERAL("XADD"));
    append_bulk(span_of_string(stream));
    append_bulk(SPAN_LITERAL("MAXLEN"));
    append_bulk(SPAN_LITERAL("~"));
    append_bulk(SPAN_LITERAL(STREAM_MAX));
    append_bulk(SPAN_LITERAL("*"));
}

static void flush_when_much(void)
{
    if (waiting.len >= FLUSH_BYTES)
        flush_redis();
}

static void put_ws_redis(uint32_t user, struct span event)
{
    char name[16];
    int len = snprintf(name, sizeof(name), "u%u", user);
    append_command("events", "*10\r\n");
    append_bulk(SPAN_LITERAL("user"));
    append_bulk(span_of(name, (size_t)len));
    append_bulk(SPAN_LITERAL("event"));
    append_bulk(event);
    flush_when_much();
}

static void put_socketio_redis(uint32_t user, struct span event)
{
    char data[1024];
    int len = snprintf(data, sizeof(data),
        "{\"packet\":{\"type\":2,\"data\":[\"e\",%.*s],\"nsp\":\"/\"},"
        "\"opts\":{\"rooms\":[\"u%u\"],\"except\":[],\"flags\":{}}}",
        SPAN_ARG(event), user);
    append_command("socket.io", "*14\r\n");
    append_bulk(SPAN_LITERAL("uid"));
    append_bulk(SPAN_LITERAL("publisher"));
    append_bulk(SPAN_LITERAL("nsp"));
    append_bulk(SPAN_LITERAL("/"));
    append_bulk(SPAN_LITERAL("type"));
    append_bulk(SPAN_LITERAL("3"));
    append_bulk(SPAN_LITERAL("data"));
    append_bulk(span_of(data, (size_t)len));
    flush_when_much();
}

const struct sink sink_ws_redis = {
    .name = "ws_redis", .open = open_redis, .put = put_ws_redis, .flush = flush_redis};
const struct sink sink_socketio_redis = {
    .name = "socketio_redis", .open = open_redis, .put = put_socketio_redis, .flush = flush_redis};
