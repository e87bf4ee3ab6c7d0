/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's private view of the rings. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring/mapping.h"
#include "ring/reader.h"
#include "ring/word.h"

struct reader_ring {
    uint64_t freed;
    uint64_t consumed;
    uint64_t cursor;
    uint64_t handed; /* end of the last record handed out */
    uint64_t durable;
    uint64_t tail_seen; /* saves the writers' cache line */
    uint64_t generation;
    uint64_t base_lap;
    uint64_t user_tag;
    const char *damage;
    bool open; /* everything above is loaded */
};

struct ring_reader {
    struct arena *arena; /* borrowed */
    struct ring_reader_stats stats;
    struct reader_ring rings[];
};

/* Looks at the claim at the cursor: 1 and its control word if it is settled, 0 if there is none or
 * not yet, -EUCLEAN (quarantined). */
int reader_examine(struct control *ret_control, struct ring_reader *reader, uint32_t ring);
/* The committed record at the cursor: 1, 0 if it is another user's, -EUCLEAN (quarantined). */
int reader_load_record(struct ring_record *ret_record, struct ring_reader *reader, uint32_t ring,
    struct control control);
/* Returns -EUCLEAN. */
int reader_quarantine(struct ring_reader *reader, uint32_t ring, const char *reason);
