/* SPDX-License-Identifier: Apache-2.0 */
/* Where events are published: one of these a server. Errors end the program, with a reason. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

struct sink {
    const char *name;
    bool data_only; /* it takes Ringside's `data`, not a whole event */
    /* `port` of 127.0.0.1, users 0 to `users` - 1. */
    void (*open)(uint16_t port, uint32_t users);
    void (*put)(uint32_t user, struct span event);
    /* What was put is on its way. */
    void (*flush)(void);
    /* It is kept by the server; NULL where nobody could say. */
    void (*settle)(void);
};

extern const struct sink sink_ringside, sink_nats, sink_nchan, sink_ws_redis, sink_socketio_redis,
    sink_floor;

_Noreturn void sink_fail(const char *what, const char *why);
/* A connected socket, which blocks. */
int sink_connect(uint16_t port);
void sink_write(int fd, struct buffer *bytes);
