/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * What carries a session's frames to its client: a WebSocket, or an HTTP answer that goes on. It
 * asks the session for them (session_gather) when something waits and the socket has room, at the
 * latest at the end of the loop's turn. It begins its owner's memory, so that it can be told from
 * others by what it does.
 */
struct carrier;

struct carrier_operations {
    void (*wake)(struct carrier *carrier);
    bool (*flush)(struct carrier *carrier);
    void (*close)(struct carrier *carrier, int code, const char *reason);
};

struct carrier {
    const struct carrier_operations *operations;
};

/* Something waits. Cheap when it was said already. */
static inline void carrier_wake(struct carrier *carrier)
{
    carrier->operations->wake(carrier);
}

/* Writes at once, to make room. False when the socket takes nothing more. */
static inline bool carrier_flush(struct carrier *carrier)
{
    return carrier->operations->flush(carrier);
}

/*
 * Sends what still waits, then says why, as far as its protocol can, and ends. Nothing of the
 * client is delivered any more; repeated calls do nothing.
 */
static inline void carrier_close(struct carrier *carrier, int code, const char *reason)
{
    carrier->operations->close(carrier, code, reason);
}
