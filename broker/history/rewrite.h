/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "history/private.h"
#include "history/section.h"

/*
 * Rewriting: one batch, or several adjacent ones, become one that holds only what is still to be
 * read. A stream that had a section in each has one in the new batch. The new batch has number and
 * time of the last of them, so order by number stays order in time; when nothing is left there is
 * no new batch. Events are copied as they are, with the checksums they have, unless the order has
 * them folded. An order that is only to fold, and finds nothing in its one batch, writes nothing.
 *
 * A rewriting is planned and written inside a transaction of the store, and applied to memory after
 * that succeeded. One may hold several orders, for batches that do not overlap.
 *
 * What leaves a stream is always its oldest: of a section before which others live nothing is let
 * go, whatever the order says.
 */
struct rewrite_order {
    uint64_t first; /* number of the oldest batch */
    uint64_t last;  /* of the newest: all retained ones in between take part */
    /* The first number of the section that stays: `first_seq` or less for all of it, above
     * `last_seq` for none. Numbers below the stream's floor never stay. NULL: the others do. */
    uint64_t (*keep_from)(
        void *context, const struct history_stream *stream, const struct batch_section *section);
    /* Events of the stream below this number may be folded (fold.h). NULL: none. */
    uint64_t (*fold_below)(void *context, const struct history_stream *stream);
    void *context;
    uint64_t max_bytes; /* of the new batch; 0: as many as any may have */
};

struct rewriting {
    struct history *history;
    uint64_t serial;       /* of this plan: which of the streams' planned floors are its own */
    struct buffer moves;   /* struct section_move, of all orders */
    struct buffer results; /* struct batch_result, one an order */
    struct buffer rings;   /* struct ring_move */
    struct buffer changes; /* struct stream_change: what folding saved */
    size_t move_count;
    uint64_t copied;  /* bytes of the new batches */
    uint64_t removed; /* of the old ones */
    /* the order at hand */
    struct buffer copies;           /* struct batch_copy */
    struct buffer sources;          /* struct batch_source */
    struct buffer streams;          /* struct history_stream *, of each source */
    struct buffer positions;        /* struct history_position */
    struct buffer position_batches; /* u64, of each position: the batch that tells it */
    struct buffer folds;            /* struct source_fold, of each source */
    struct buffer blobs;            /* void *: what folded events are made of */
    struct buffer bytes;
    uint64_t folded; /* events that were folded from others */
    uint64_t first;  /* of the batches that they were made of */
    uint64_t time_ms;
};

void rewrite_init(struct rewriting *ret_rewriting, struct history *history);
void rewrite_deinit(struct rewriting *rewriting);
/* How many sections were moved so far: what memory has to do afterwards. */
static inline size_t rewrite_moves(const struct rewriting *rewriting)
{
    return rewriting->move_count;
}
/* Forgets all orders: the transaction begins anew. */
void rewrite_reset(struct rewriting *rewriting);
/* Inside a write. -ENOBUFS: more than one batch may hold; -EBADMSG: a batch cannot be read. After
 * these two it is as if the order had not been given. */
int rewrite_batches(struct rewriting *rewriting, const struct rewrite_order *order);
/* After the transaction succeeded. */
void rewrite_apply(const struct rewriting *rewriting);

/* One order in a transaction of its own. -EIO when a batch cannot be read. */
int history_rewrite(struct history *history, const struct rewrite_order *order);

/* ---- between rewrite.c and rewrite_fold.c */

/* Puts the event behind those of its section. */
int rewrite_put(struct rewriting *rewriting, uint32_t section, const struct section_event *event);
/* The same, but gathers it first with those it can be folded with. */
int rewrite_fold(struct rewriting *rewriting, uint32_t section, const struct section_event *event,
    bool may_fold);
/* Puts what is gathered, and notes what was saved. */
int rewrite_fold_finish(struct rewriting *rewriting);
void rewrite_fold_forget(struct rewriting *rewriting);
void rewrite_fold_apply(const struct rewriting *rewriting);
