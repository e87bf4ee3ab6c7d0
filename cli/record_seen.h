/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdint.h>

/*
 * What is remembered of each event of an epoch: its number, a hash of its bytes and, for texts, a
 * hash of the text that can be put together from those of its parts. 32 bytes an event, in a table
 * with open addressing.
 */

/* The hash of a text and its length. A concatenation's mark follows from its parts' marks. */
struct text_mark {
    uint64_t hash;
    uint64_t len;
};

struct text_mark text_mark_of(struct span text);
struct text_mark text_mark_join(struct text_mark head, struct text_mark tail);

struct seen {
    uint64_t number; /* 0: a free slot */
    uint64_t bytes;  /* hash */
    uint64_t text;   /* of its text: text_mark.hash */
    uint32_t text_len;
    uint32_t folds; /* how many numbers before its own it stands for as well */
};

struct seen_table {
    struct seen *slots;
    size_t cap; /* a power of two, or 0 */
    size_t count;
};

void seen_table_deinit(struct seen_table *table);
/* NULL when the number is not there. Valid until the next seen_put. */
struct seen *seen_get(const struct seen_table *table, uint64_t number);
/* The number is not there yet and not 0. -ENOMEM. */
int seen_put(struct seen_table *table, const struct seen *entry);
/*
 * The mark of the texts of `first` to `last` together, if all of them are there and none is
 * folded; at most SEEN_JOIN_MAX of them, so that a hostile record costs no more than its size.
 */
#define SEEN_JOIN_MAX 65536
bool seen_join(
    const struct seen_table *table, uint64_t first, uint64_t last, struct text_mark *ret_mark);
