/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's private view of the rings. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring/mapping.h"
#include "ring/reader.h"
#include "ring/word.h"

/* What each record needs comes first, what a look once a second needs last. */
struct reader_ring {
    uint64_t cursor;
    uint64_t freed;
    uint64_t handed; /* end of the last record handed out */
    uint64_t consumed;
    uint64_t tail_seen; /* saves the writers' cache line */
    uint64_t base_lap;
    const char *damage;
    bool open;     /* everything here is loaded */
    bool finished; /* closed, and handed out to its end: nothing comes any more */
    bool spilled;  /* a record handed out and not released has its payload in the spill area */
    bool punched;  /* finished, and its memory given back */
    bool unlinked; /* of an entry's first ring: the entry is out of its chain */
    uint16_t stuck_owner; /* of the claim below; 0: none */
    uint64_t generation;
    uint64_t user_tag;
    uint64_t durable;
    uint64_t delivered;
    uint64_t idle_tail; /* the tail's word when reclaim last looked, and since when it is that */
    uint64_t idle_since_ms;
    uint64_t stuck_at; /* cursor at a claim in flight, and since when the owner has had it there */
    uint64_t stuck_since_ms;
};

_Static_assert(sizeof(struct reader_ring) == 128, "two cache lines a ring, where they are many");
_Static_assert(RING_OWNER_MAX <= UINT16_MAX, "stuck_owner holds every owner");

struct ring_reader {
    struct arena *arena; /* borrowed */
    struct ring_reader_stats stats;
    uint32_t window_begin; /* the entries that are looked at without being asked for */
    uint32_t window_end;
    uint64_t *named;           /* by reclaim: a bit a ring, set if a slot names it */
    struct reader_ring *rings; /* of all classes */
};

/* 1: the ring can be read, 0: it is nobody's, or not in use, -EUCLEAN, -ECHILD. */
int reader_admit(struct ring_reader *reader, uint32_t ring);
/* Whether the ring is closed and the cursor at its end. */
bool reader_is_finished(struct ring_reader *reader, uint32_t ring);
/* Looks at the claim at the cursor: 1 and its control word if it is settled, 0 if there is none or
 * not yet, -EUCLEAN (quarantined). */
int reader_examine(struct control *ret_control, struct ring_reader *reader, uint32_t ring);
/* The committed record at the cursor: 1, 0 if it is another user's, -EUCLEAN (quarantined). */
int reader_load_record(struct ring_record *ret_record, struct ring_reader *reader, uint32_t ring,
    struct control control);
/* Gives back the places of spilled payloads that nobody needs any more. */
void reader_sweep_spills(struct ring_reader *reader);
/* Returns -EUCLEAN. */
int reader_quarantine(struct ring_reader *reader, uint32_t ring, const char *reason);
