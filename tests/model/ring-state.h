/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the ring's model. All bytes: a state is compared as such. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RING_CAPACITY 4u /* units of a lap */
#define RING_WRITERS 3
#define RING_EMITS 2                              /* of one writer, at most */
#define RING_MESSAGES (RING_WRITERS * RING_EMITS) /* a bit each in a byte */
#define OWNER_CLOSED 15u

enum control_kind { UNIT_FREE, UNIT_BUSY, UNIT_COMMITTED, UNIT_PADDING, UNIT_DISCARDED };

struct control {
    uint8_t kind;
    uint8_t owner;
    uint8_t length;
    uint8_t lap;
};

struct tail {
    uint8_t position;
    uint8_t length;
    uint8_t owner; /* 1 + writer, 0: no claim yet, OWNER_CLOSED */
};

enum entry { ENTRY_FREE, ENTRY_READY, ENTRY_RETIRING };

enum slot { SLOT_LIVE, SLOT_DEAD, SLOT_FREE /* until the next one takes it */ };

struct writer {
    uint8_t at; /* its next step */
    uint8_t slot;
    uint8_t emit; /* how many of its messages are behind it */
    uint8_t current_ring;
    uint8_t lease; /* generation */
    uint8_t owed;  /* in a batch: commits whose bell has not rung */
    /* private, of one emit */
    struct tail seen;
    uint8_t base_lap;
    uint8_t freed;
    uint8_t begin;
    uint8_t length; /* of the claim */
    uint8_t padding;
};

struct reader {
    uint8_t at;
    uint8_t then;    /* after giving back: */
    uint8_t index;   /* a writer's, while reaping or closing */
    uint8_t closing; /* the tail is closed and the ring not fresh yet */
    uint8_t cursor;
    uint8_t consumed;
    uint8_t freed;
    uint8_t base_lap;
    uint8_t generation;
    uint8_t user;
    uint8_t walk; /* a position, while stamping or reaping */
    struct control seen;
    struct tail tail;
};

struct ring_state {
    /* shared */
    struct tail tail;
    uint8_t free_seen;
    uint8_t consumed;
    uint8_t freed;
    uint8_t entry; /* of the directory: its state, generation and user */
    uint8_t generation;
    uint8_t user;
    uint8_t base_lap;
    uint8_t bell;
    struct control control[RING_CAPACITY];
    uint8_t payload[RING_CAPACITY]; /* 1 + message */
    struct writer writers[RING_WRITERS];
    struct reader reader;
    /* what an observer knows */
    uint8_t committed;  /* a bit a message */
    uint8_t delivered;  /* ever */
    uint8_t by_reader;  /* delivered by this very reader */
    uint8_t last_ended; /* where the furthest record delivered ends */
    uint8_t delivered_at[RING_MESSAGES];
    uint8_t writer_deaths_left;
    uint8_t reader_deaths_left;
    uint8_t reclaims_left;
};

static inline bool control_is(struct control c, struct control other)
{
    return c.kind == other.kind && c.owner == other.owner && c.length == other.length &&
           c.lap == other.lap;
}

static inline bool tail_is(struct tail t, struct tail other)
{
    return t.position == other.position && t.length == other.length && t.owner == other.owner;
}
