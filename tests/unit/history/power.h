/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history-test.h"

#include "chance.h"

/* What a store's files held at some moment, and what "ann" had then. */
struct disk {
    char *data;
    size_t size;
    char *state;
    size_t state_size;
    uint64_t oldest;
    uint64_t head;
    char epoch[HISTORY_EPOCH_SIZE];
};

struct disk disk_now(struct fixture *fixture);
void disk_free(struct disk *disk);

/* Events of many users, trimmed as they come, so that pages are freed and used again. */
void churn(struct fixture *fixture, struct chance *chance);

/* The host goes down: each page of the data is `now`'s or what the last sync had there. */
struct loss {
    const struct disk *now;
    const struct disk *synced;
    const struct disk *state; /* whose state file is there */
    const struct disk *found; /* what the store must be, in a new epoch */
};

/* The history is closed, and open again when it returns. */
void assert_found_after_power_loss(
    struct fixture *fixture, struct chance *chance, const struct loss *loss);
