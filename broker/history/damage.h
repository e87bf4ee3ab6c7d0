/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "history/store.h"

/*
 * Batches whose front is not what was written. They are set aside when the store is opened: they
 * stay in it, for whoever can make something of them, until they are beyond its limits, and no
 * number that was in them is given again.
 *
 * What was in one is known from what comes after: a stream's next section says where its numbers go
 * on. A stream without a next section may have had its newest events there; it goes on behind as
 * many numbers as the batch has bytes, which is more than it can have held. That is *settled* once,
 * with rows that say where those streams are, and noted in the table `meta`. A stream that is new
 * afterwards may have had all of its events there: it begins behind as many numbers, too.
 */
struct damaged_batch {
    uint64_t number;
    uint64_t size;
};

struct damage {
    struct buffer batches; /* struct damaged_batch, those in the store, in order */
    struct buffer settled; /* u64: numbers of such batches, some of them gone by now */
    uint64_t bytes;        /* of all such batches there ever were, once settled */
    uint64_t lost;         /* numbers that are gone, of retained streams */
};

struct history;

void damage_deinit(struct damage *damage);
/* Reads which are settled. */
int damage_load(struct damage *damage, struct store *store);
int damage_note(struct damage *damage, const struct damaged_batch *batch);
size_t damage_count(const struct damage *damage);
/* Whether streams may have holes. */
bool damage_any(const struct damage *damage);
/* At opening, when streams know their newest sections: moves heads and makes that durable; drops
 * what is beyond the store's limits. */
int damage_settle(struct history *history);
