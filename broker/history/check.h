/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/history.h"

/*
 * Looks at all there is in the store in `directory`: the front of each batch and each event's
 * checksum, as one moment has them. Changes nothing; the store may be closed, open in another
 * process, or a copy. Reads all of it.
 */
struct history_check {
    uint64_t batches;
    uint64_t sections;
    uint64_t events;
    uint64_t damaged_batches;
    uint64_t damaged_events; /* numbers, in batches whose front is sound */
    /* Called with a sentence for each; may be NULL. */
    void (*tell)(void *context, const char *sentence);
    void *context;
};

/* 0, also when damage was found; -errno with a sentence when the store cannot be read at all. */
int history_check(
    struct history_check *check, const char *directory, char ret_reason[HISTORY_REASON_SIZE]);
