/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/history.h"

/* The journal of a broker: a batch of this size, or of a sync's interval, is for one transaction.
 */
#define HISTORY_JOURNAL_BYTES (128u << 10)
/* Writes what only the journal has into the store, where other processes find it; each sync does.
 * -EAGAIN: a commit that failed is to be tried again first. */
int history_settle(struct history *history);

/*
 * A sync that nobody waits for: commits, reads and all else go on while the disk works. What it
 * makes durable are the commits before its begin, and history_synced_count says so at its end. One
 * at a time. history_sync, history_close and whatever else needs the disk for itself wait for it.
 */

/* 0, or 1 when the newest commits could not be written into the store (it is full) and are in the
 * next sync: `notify_fd`, an eventfd, counts up once when history_sync_end need not wait any more;
 * it stays open until then. -EBUSY: one was begun and not ended; -errno: none was begun. */
int history_sync_begin(struct history *history, int notify_fd);
/* After each begin that returned 0. Fails as history_sync does, and for as long. */
int history_sync_end(struct history *history);
