/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packed 64-bit words of the rings, as pure functions.
 *
 *   tail    = { position:41 | length:11 | owner:12 }        the end and shape of the LAST claim;
 *                                                           owner CLOSED: length is a tail_closing
 *   control = { state:3 | owner:12 | length:11 | lap:32 }   first word of every record
 *   origin  = { incarnation:20 | process:12 }               32 bits: one process of all there were
 *   holder  = { fenced:1 | origin:32 | taken:1 }            one word a slot: which process it is
 *
 * Owner and length live in the same word as the claim, so that space claimed by a writer that dies
 * at once can still be identified. Positions and lengths count units of RING_UNIT bytes. A position
 * never goes back, not even when a ring is given to another user.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RING_UNIT 32u
#define RING_POSITION_BITS 41
#define RING_LENGTH_MAX 2047u /* units: what eleven bits hold */
#define RING_POSITION_END (UINT64_C(1) << RING_POSITION_BITS)
#define RING_OWNER_NONE 0u
#define RING_OWNER_CLOSED 4095u /* in a tail: the ring takes no more claims */
#define RING_OWNER_MAX 4094u
#define ORIGIN_INCARNATION_MAX 0xfffffu

enum control_state {
    CONTROL_FREE = 0, /* of lap 0 it is all zeroes: fresh pages need no touch */
    CONTROL_BUSY,
    CONTROL_COMMITTED,
    CONTROL_PADDING,
    CONTROL_DISCARDED,
};

/* Why a ring takes no more claims: in the length of a closed tail. */
enum tail_closing {
    CLOSED_RETIRED = 0, /* idle: the user's next ring is found in the directory */
    CLOSED_GROWN = 1,   /* the user's ring of the next class goes on */
};

struct tail {
    uint64_t position; /* where the last claim ends and the next begins */
    uint32_t length;   /* of the last claim, 0: there was none */
    uint32_t owner;
};

struct control {
    enum control_state state;
    uint32_t owner;
    uint32_t length;
    uint32_t lap;
};

static inline uint64_t tail_pack(uint64_t position, uint32_t length, uint32_t owner)
{
    return (position << 23) | ((uint64_t)(length & 2047u) << 12) | (owner & 4095u);
}

static inline struct tail tail_unpack(uint64_t word)
{
    return (struct tail){word >> 23, (uint32_t)(word >> 12) & 2047u, (uint32_t)word & 4095u};
}

static inline uint64_t control_pack(
    enum control_state state, uint32_t owner, uint32_t length, uint32_t lap)
{
    return ((uint64_t)state << 55) | ((uint64_t)(owner & 4095u) << 43) |
           ((uint64_t)(length & 2047u) << 32) | lap;
}

static inline struct control control_unpack(uint64_t word)
{
    /* The six bits above the state are part of it here: set ones make a state nobody knows. */
    return (struct control){(enum control_state)(word >> 55), (uint32_t)(word >> 43) & 4095u,
        (uint32_t)(word >> 32) & 2047u, (uint32_t)word};
}

static inline uint64_t control_free(uint32_t lap)
{
    return control_pack(CONTROL_FREE, RING_OWNER_NONE, 0, lap);
}

static inline uint64_t tail_close(uint64_t position, enum tail_closing why)
{
    return tail_pack(position, why, RING_OWNER_CLOSED);
}

static inline bool tail_is_closed(uint64_t word, enum tail_closing why)
{
    struct tail tail = tail_unpack(word);

    return tail.owner == RING_OWNER_CLOSED && tail.length == (uint32_t)why;
}

static inline uint32_t origin_pack(uint32_t incarnation, uint32_t process)
{
    return (incarnation << 12) | (process & 4095u);
}

static inline uint32_t origin_process(uint32_t origin)
{
    return origin & 4095u;
}

static inline uint32_t origin_incarnation(uint32_t origin)
{
    return origin >> 12;
}

static inline uint64_t holder_pack(uint32_t origin)
{
    return ((uint64_t)origin << 1) | 1;
}

/* The owner gave the process up: its writers find their word changed. */
static inline uint64_t holder_fence(uint64_t word)
{
    return word | (UINT64_C(1) << 33);
}

static inline uint32_t holder_origin(uint64_t word)
{
    return (uint32_t)(word >> 1);
}

/* The process index of a slot's holder word, or -1 for a free slot. */
static inline int32_t holder_process(uint64_t word)
{
    return word & 1 ? (int32_t)origin_process(holder_origin(word)) : -1;
}
