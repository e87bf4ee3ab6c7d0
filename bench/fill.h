/* SPDX-License-Identifier: Apache-2.0 */
/* A history as it is after a while: filled through its own interface, and closed. */
#pragma once

#include "event/event.h"

#define FILL_BURST 4          /* events of a user in a batch, one behind the other */
#define FILL_BATCH_USERS 128u /* users in a batch */
#define FILL_DATA_BYTES 64    /* of an event's JSON */

struct fill {
    const char *directory;
    uint32_t users;  /* user-0, user-1, … */
    uint32_t events; /* of each: a multiple of FILL_BURST */
};

/* Users come in another order each time round, so that what one has lies in as many batches as it
 * had bursts, all over the store. */
void fill_history(const struct fill *fill);
/* What is filled in: FILL_DATA_BYTES of text, with its identifiers; number and user are missing. */
void fill_event(struct event *ret_event);
