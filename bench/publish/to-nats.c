/* SPDX-License-Identifier: Apache-2.0 */
/* NATS' text protocol: PUB, and an answer to its PING. */
#include "sink.h"

#include <errno.h>
#include <sys/socket.h>

#define FLUSH_BYTES (32u << 10)

static int server;
static struct buffer waiting;

static void flush_nats(void)
{
    char said[4096];
    ssize_t got = recv(server, said, sizeof(said), MSG_DONTWAIT);
    if (got == 0 || (got > 0 && memmem(said, (size_t)got, "-ERR", 4)))
        sink_fail("nats", got ? "it says -ERR" : "it hung up");
    if (got > 0 && memmem(said, (size_t)got, "PING", 4))
        buffer_append_string(&waiting, "PONG\r\n");
    sink_write(server, &waiting);
}

static void open_nats(uint16_t port, uint32_t users)
{
    (void)users;
    server = sink_connect(port);
    buffer_append_string(&waiting, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    flush_nats();
}

static void put_nats(uint32_t user, struct span event)
{
    buffer_append_string(&waiting, "PUB u");
    buffer_append_uint(&waiting, user);
    buffer_append_char(&waiting, ' ');
    buffer_append_uint(&waiting, event.len);
    buffer_append_string(&waiting, "\r\n");
    buffer_append_span(&waiting, event);
    buffer_append_string(&waiting, "\r\n");
    if (waiting.len >= FLUSH_BYTES)
        flush_nats();
}

const struct sink sink_nats = {
    .name = "nats", .open = open_nats, .put = put_nats, .flush = flush_nats};
