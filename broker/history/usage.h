/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/* How much there is of what: the part of history.h that only tells. */
struct history;
struct history_stream;

struct history_usage {
    uint64_t bytes;           /* of the store's file in use */
    uint64_t events;          /* retained */
    uint64_t folded;          /* numbers that have no event of their own any more */
    uint64_t streams;         /* known */
    uint64_t batches;         /* retained, as are those below */
    uint64_t batch_bytes;     /* what max_bytes is compared with */
    uint64_t dead_bytes;      /* of those: trimmed, and not yet put away */
    uint64_t pinned_bytes;    /* of those: beyond the store's limits, kept for open runs */
    uint64_t excess_bytes;    /* above max_bytes because of them */
    uint64_t damaged_batches; /* set aside when the history was opened */
    uint64_t lost;            /* numbers whose events were in such a batch, or may have been */
};
void history_usage(const struct history *history, struct history_usage *ret_usage);

/* What of the stream is retained, without a look into the store. */
struct history_stream_usage {
    uint64_t events; /* committed and retained */
    uint64_t bytes;  /* of those, as event/codec.h writes them */
    uint64_t oldest; /* as history_oldest */
    uint64_t head;   /* as history_committed_head */
};
void history_stream_usage(
    const struct history_stream *stream, struct history_stream_usage *ret_usage);
