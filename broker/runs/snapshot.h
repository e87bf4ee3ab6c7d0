/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "event/event.h"

/*
 * What a client that saw all events of an open run would show of it: its messages' text, the tool
 * calls and questions that are open, the latest status. Kept as the events pass, so that it costs
 * what there is to show and not how long it took. Pure: no clock, no log, no descriptor.
 *
 * Text is kept as it stood in the events' JSON. The pipeline has seen to it that no event holds
 * half a character or half a surrogate pair, so escaped pieces put together are the escaped whole.
 *
 * Memory is bounded. `limit` bytes are for text, tool arguments and what interrupts carry. When
 * that is used up the oldest text goes, a quarter of the limit at once so that it is moved seldom:
 * messages that are final whole, an open one from its front, which is then said with the number of
 * characters missing. Arguments and the like may take half of the limit; what does not fit is left
 * out. Of open tool calls, messages and interrupts SNAPSHOT_ITEMS_MAX each are kept, others
 * counted.
 */
#define SNAPSHOT_ITEMS_MAX 256
/* The longest status, in bytes; a longer one is cut. */
#define SNAPSHOT_STATUS_MAX 1024

struct snapshot_list {
    struct list_link items; /* struct snapshot_item.link, in order of appearance */
    size_t count;
    uint64_t left_out; /* open, and beyond SNAPSHOT_ITEMS_MAX */
};

struct snapshot {
    struct snapshot_list texts;
    struct snapshot_list tools;
    struct snapshot_list interrupts;
    struct snapshot_item *current; /* the text last written to; NULL: none */
    bool has_status;
    struct buffer status; /* what stood between its quotes */
    size_t text_bytes;
    size_t detail_bytes;
    uint64_t gone; /* final messages that had to go */
    uint64_t started_ms;
};

void snapshot_init(struct snapshot *snapshot);
void snapshot_deinit(struct snapshot *snapshot);
/* Takes in the next event of the run. Memory that runs out leaves something out, and is counted. */
void snapshot_fold(struct snapshot *snapshot, const struct event *event, size_t limit);
/* Gets into the cache what the next piece of text needs: first its message, then, some time later,
 * where it will be written. */
void snapshot_fetch(const struct snapshot *snapshot);
void snapshot_fetch_text(const struct snapshot *snapshot);
/* Appends the members of a `snapshot` frame that say all this; errors are the buffer's. */
void snapshot_append(struct buffer *out, const struct snapshot *snapshot);
/* Bytes held for text and details: what `limit` bounds, but for what open messages cannot give. */
size_t snapshot_bytes(const struct snapshot *snapshot);
