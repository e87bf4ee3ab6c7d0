/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * What a user, or a worker process, has had of the broker: how many events and bytes, how many of
 * late, and whether it may have more now. Pure: the time is handed in. O(1) an event.
 *
 * The limit is a token bucket that holds the events of one second. It is kept as the moment up to
 * which what was taken is paid for; taking more than there is makes a debt, which is waited for.
 */
struct account {
    uint64_t events;
    uint64_t bytes;  /* of payloads */
    uint64_t held;   /* how often its ring was left alone until there was room */
    uint64_t second; /* the one `recent` counts */
    uint64_t recent;
    uint64_t before; /* events of the second before that */
    uint64_t paid_ns;
};

/* Notes one event. `rate`: events a second it may have, 0 for any number. */
void account_take(struct account *account, uint64_t now_ns, uint64_t rate, uint64_t bytes);
/* Whether it may have another event now. */
bool account_has_room(const struct account *account, uint64_t now_ns, uint64_t rate);
/* When it may have one again; `now_ns` if it may already. */
uint64_t account_room_at(const struct account *account, uint64_t now_ns, uint64_t rate);
/* Events a second of late: those of the last second, whose beginning counts in part. */
uint64_t account_rate(const struct account *account, uint64_t now_ns);
