/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/history.h"

/*
 * A sync that nobody waits for: commits, reads and all else go on while the disk works. What it
 * makes durable are the commits before its begin, and history_synced_count says so at its end. One
 * at a time. history_sync, history_close and whatever else needs the disk for itself wait for it.
 */

/* 0: `notify_fd`, an eventfd, counts up once when history_sync_end need not wait any more; it stays
 * open until then. -EBUSY: one was begun and not ended; -errno: none was begun. */
int history_sync_begin(struct history *history, int notify_fd);
/* After each begin that returned 0. Fails as history_sync does, and for as long. */
int history_sync_end(struct history *history);
