/* SPDX-License-Identifier: Apache-2.0 */
#include "history/bytes.h"
#include "history/trim.h"

#include <errno.h>

/*
 * Folding of what is old enough: adjacent batches are made one, some at a time and oldest first,
 * and in it the text of runs that have ended is folded. How far this has come is kept, so that no
 * batch is met twice. An event is of a run that has ended when it is below its stream's pin. What
 * is pinned when its batch is met stays as it is.
 *
 * Batches are left until there are enough for one of good size, or they have waited for an eighth
 * of the time more: text that is spread over many turns is folded only when their batches meet.
 */
#define FOLD_BATCH_BYTES (1u << 20)
#define FOLD_BATCHES 1024

struct folding {
    struct rewriting rewriting;
    struct rewrite_order order;
    bool damaged;
};

static bool is_older(const struct retained_batch *batch, uint64_t now_ms, uint64_t age_ms)
{
    return batch->time_ms <= now_ms && now_ms - batch->time_ms >= age_ms;
}

/* Finds the next batches to be folded together. */
static bool find_range(struct rewrite_order *order, const struct history *history, uint64_t now_ms)
{
    const struct batches *batches = &history->batches;
    uint64_t behind = history->folded_to > batches->horizon ? history->folded_to : batches->horizon;
    uint64_t age_ms = history->fold_after_ms;
    const struct retained_batch *each = batches_at_least(batches, behind + 1);
    bool full = each && is_older(each, now_ms, age_ms + age_ms / 8);
    uint64_t bytes = 0;
    *order = (struct rewrite_order){0};
    for (int i = 0; each && is_older(each, now_ms, age_ms); i++) {
        if (order->first && (bytes + each->size > FOLD_BATCH_BYTES || i == FOLD_BATCHES)) {
            full = true;
            break;
        }
        order->first = order->first ? order->first : each->number;
        order->last = each->number;
        bytes += each->size;
        each = batches_at_least(batches, each->number + 1);
    }
    return order->first && full;
}

static uint64_t fold_below_pin(void *context, const struct history_stream *stream)
{
    return stream_pin(stream, ((const struct history *)context)->commits);
}

static int fold_work(struct store *store, void *context)
{
    struct folding *folding = context;
    char reached[sizeof(uint64_t)];
    put_u64(reached, folding->order.last);
    rewrite_reset(&folding->rewriting);
    int rc = rewrite_batches(&folding->rewriting, &folding->order);
    folding->damaged = rc == -EBADMSG;
    if (folding->damaged || rc == -ENOBUFS)
        rc = 0; /* what cannot be read, or has a hole that damage left, is passed over */
    return rc ? rc : store_put(store, STORE_META, META_FOLDED, span_of(reached, sizeof(reached)));
}

int folding_turn(struct history *history, uint64_t now_ms)
{
    struct folding folding;
    if (history->fold_after_ms == 0 || !find_range(&folding.order, history, now_ms))
        return 0;
    folding.order.fold_below = fold_below_pin;
    folding.order.context = history;
    rewrite_init(&folding.rewriting, history);
    int rc = store_write(history->store, fold_work, &folding);
    if (rc == 0) {
        rewrite_apply(&folding.rewriting);
        history->folded_to = folding.order.last;
    }
    rewrite_deinit(&folding.rewriting);
    return rc ? rc : folding.damaged ? -EIO : 1;
}
