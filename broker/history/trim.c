/* SPDX-License-Identifier: Apache-2.0 */
#include "history/trim.h"

#include "history/bytes.h"

#include <errno.h>

/*
 * One call does a share of each, in transactions of their own:
 *
 *   store    batches beyond the limits of age and bytes, oldest first, up to the *horizon*, which
 *            moves on with each. They are rewritten with what is pinned: the events of streams
 *            from their oldest open run's first on. Most have none, and are dropped.
 *   streams  that passed a limit of their own (floors.c)
 *   space    batches of which too little lives are rewritten without the dead
 *   records  closed runs and messages whose time is over
 *   text     that is old enough is folded, if wanted (folding.c)
 *
 * What is carried over the horizon counts against max_bytes, but leaves the others half of it: one
 * run that stays open must not cost everybody else their history. So a store can be above its limit
 * by what the pins hold beyond that half.
 */
#define TRIM_BATCHES 32
#define TRIM_MOVES 8192
#define TRIM_BYTES (8u << 20)
#define TRIM_PAGES 32

/* ---- the store's limits */

static uint64_t limit_beside(const struct history *history, uint64_t carried)
{
    uint64_t half = history->max_bytes / 2;
    return carried < half ? history->max_bytes - carried : history->max_bytes - half;
}

uint64_t trim_excess(const struct history *history)
{
    uint64_t bytes = history->batches.bytes;
    bool over = history->max_bytes && bytes > history->max_bytes &&
                history->batches.carried > history->max_bytes / 2;
    return over ? bytes - history->max_bytes : 0;
}

struct horizon {
    struct rewriting rewriting;
    uint64_t now_ms;
    uint64_t reached;
    uint64_t carried; /* after this call */
    uint64_t beside;  /* bytes beyond the horizon, after this call */
    unsigned batches;
    bool more;
    bool damaged; /* something was passed that could not be read */
};

static bool over_limit(const struct horizon *horizon, const struct retained_batch *batch)
{
    const struct history *history = horizon->rewriting.history;
    if (history->max_bytes && horizon->beside > limit_beside(history, horizon->carried))
        return true;
    return history->max_age_ms && batch->time_ms <= horizon->now_ms &&
           horizon->now_ms - batch->time_ms >= history->max_age_ms;
}

static bool share_done(const struct horizon *horizon)
{
    const struct rewriting *rewriting = &horizon->rewriting;
    return horizon->batches >= TRIM_BATCHES || rewriting->copied >= TRIM_BYTES ||
           rewrite_moves(rewriting) >= TRIM_MOVES;
}

static uint64_t keep_pinned(
    void *context, const struct history_stream *stream, const struct batch_section *section)
{
    uint64_t pin = stream_pin(stream, ((const struct history *)context)->commits);
    return pin <= section->last_seq ? pin : section->last_seq + 1;
}

static int pass_batch(struct horizon *horizon, const struct retained_batch *batch)
{
    const struct rewrite_order order = {.first = batch->number,
        .last = batch->number,
        .keep_from = keep_pinned,
        .context = horizon->rewriting.history};
    uint64_t before = horizon->rewriting.copied;
    int rc = rewrite_batches(&horizon->rewriting, &order);
    if (rc && rc != -EBADMSG)
        return rc;
    horizon->batches++;
    horizon->reached = batch->number;
    horizon->beside -= batch->size;
    horizon->carried += rc ? batch->size : horizon->rewriting.copied - before;
    horizon->damaged |= rc != 0;
    return 0;
}

static int pass_batches(struct horizon *horizon)
{
    const struct batches *batches = &horizon->rewriting.history->batches;
    for (;;) {
        const struct retained_batch *batch = batches_at_least(batches, horizon->reached + 1);
        if (!batch || !over_limit(horizon, batch))
            return 0;
        if (share_done(horizon)) {
            horizon->more = true;
            return 0;
        }
        int rc = pass_batch(horizon, batch);
        if (rc)
            return rc;
    }
}

static void begin_horizon(struct horizon *horizon)
{
    const struct batches *batches = &horizon->rewriting.history->batches;
    rewrite_reset(&horizon->rewriting);
    horizon->reached = batches->horizon;
    horizon->carried = batches->carried;
    horizon->beside = batches->bytes - batches->carried;
    horizon->batches = 0;
    horizon->more = false;
    horizon->damaged = false;
}

static int horizon_work(struct store *store, void *context)
{
    struct horizon *horizon = context;
    begin_horizon(horizon);
    int rc = pass_batches(horizon);
    if (rc)
        return rc;
    char reached[sizeof(uint64_t)];
    put_u64(reached, horizon->reached);
    return store_put(store, STORE_META, META_HORIZON, span_of(reached, sizeof(reached)));
}

/* Most calls find nothing to do and write nothing. */
static bool past_horizon(struct horizon *horizon)
{
    begin_horizon(horizon);
    const struct retained_batch *batch =
        batches_at_least(&horizon->rewriting.history->batches, horizon->reached + 1);
    return batch && over_limit(horizon, batch);
}

static int trim_store(struct history *history, uint64_t now_ms)
{
    struct horizon horizon = {.now_ms = now_ms};
    rewrite_init(&horizon.rewriting, history);
    int rc = 0;
    if (past_horizon(&horizon)) {
        rc = store_write(history->store, horizon_work, &horizon);
        if (rc == 0) {
            rewrite_apply(&horizon.rewriting);
            batches_set_horizon(&history->batches, horizon.reached);
        }
    }
    rewrite_deinit(&horizon.rewriting);
    if (rc == 0 && horizon.damaged)
        rc = -EIO; /* told once: it is carried from now on */
    return rc ? rc : horizon.more;
}

/* ---- space of what is dead */

struct reclaim {
    struct rewriting rewriting;
    size_t taken; /* from the queue, in bytes */
    bool damaged; /* one of those batches */
};

static int reclaim_work(struct store *store, void *context)
{
    (void)store;
    struct reclaim *reclaim = context;
    struct rewriting *rewriting = &reclaim->rewriting;
    const struct buffer *queue = &rewriting->history->wasteful;
    rewrite_reset(rewriting);
    reclaim->damaged = false;
    for (reclaim->taken = 0; reclaim->taken < queue->len; reclaim->taken += sizeof(uint64_t)) {
        struct rewrite_order order = {0};
        memcpy(&order.first, queue->data + reclaim->taken, sizeof(uint64_t));
        order.last = order.first;
        const struct retained_batch *batch =
            batches_find(&rewriting->history->batches, order.first);
        if (!batch || batch->dead == 0)
            continue; /* it went, or was rewritten, meanwhile */
        if (rewriting->copied >= TRIM_BYTES || rewrite_moves(rewriting) >= TRIM_MOVES)
            break;
        int rc = rewrite_batches(rewriting, &order);
        if (rc && rc != -EBADMSG)
            return rc;
        reclaim->damaged |= rc != 0;
    }
    return 0;
}

void trim_queue_wasteful(struct history *history, struct retained_batch *batch)
{
    if (batch->queued)
        return;
    buffer_append(&history->wasteful, &batch->number, sizeof(batch->number));
    batch->queued = buffer_error(&history->wasteful) == 0;
    history->wasteful.broken = false; /* out of memory: it is queued when more of it dies */
}

static void leave_queue(struct history *history, size_t taken)
{
    for (size_t at = 0; at < taken; at += sizeof(uint64_t)) {
        uint64_t number;
        memcpy(&number, history->wasteful.data + at, sizeof(number));
        struct retained_batch *batch = batches_find(&history->batches, number);
        if (batch)
            batch->queued = false;
    }
    buffer_consume(&history->wasteful, taken);
}

static int trim_space(struct history *history)
{
    struct reclaim reclaim = {0};
    if (history->wasteful.len == 0)
        return 0;
    rewrite_init(&reclaim.rewriting, history);
    int rc = store_write(history->store, reclaim_work, &reclaim);
    if (rc == 0) {
        rewrite_apply(&reclaim.rewriting);
        leave_queue(history, reclaim.taken);
    }
    rewrite_deinit(&reclaim.rewriting);
    if (rc == 0 && reclaim.damaged)
        rc = -EIO; /* told once: it waits no more */
    return rc ? rc : history->wasteful.len > 0;
}

/* ---- records */

/* Whether the events that were committed with a page of records are within the store's limits. */
static bool still_retained(const struct history *history, uint64_t number)
{
    const struct retained_batch *oldest =
        batches_at_least(&history->batches, history->batches.horizon + 1);
    return oldest && number >= oldest->first;
}

/* 1 when the oldest ledger page is to be dropped, else 0 or -errno. */
static int page_expired(const struct history *history, uint64_t now_ms)
{
    struct ledger_page page;
    int rc = records_oldest_page(&page, history->store);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    if (still_retained(history, page.batch))
        return 0;
    return page.time_ms <= now_ms && now_ms - page.time_ms >= history->keep_records_ms;
}

struct drop {
    const struct history *history;
    uint64_t now_ms;
    bool more;
};

static int drop_work(struct store *store, void *context)
{
    struct drop *drop = context;
    drop->more = false;
    for (int i = 0; i < TRIM_PAGES; i++) {
        int rc = page_expired(drop->history, drop->now_ms);
        if (rc != 1)
            return rc;
        rc = records_drop_oldest_page(store);
        if (rc)
            return rc;
    }
    drop->more = true;
    return 0;
}

static int trim_records(struct history *history, uint64_t now_ms)
{
    struct drop drop = {.history = history, .now_ms = now_ms};
    int rc = store_read_begin(history->store);
    if (rc)
        return rc;
    rc = page_expired(history, now_ms);
    store_read_end(history->store);
    if (rc != 1)
        return rc;
    rc = store_write(history->store, drop_work, &drop);
    return rc ? rc : drop.more;
}

int history_trim(struct history *history, uint64_t now_ms)
{
    int more = 0;
    int rc = trim_store(history, now_ms);
    if (rc >= 0) {
        more |= rc;
        rc = floors_raise(history);
    }
    if (rc >= 0) {
        more |= rc;
        rc = trim_space(history);
    }
    if (rc >= 0) {
        more |= rc;
        rc = trim_records(history, now_ms);
    }
    if (rc >= 0) {
        more |= rc;
        rc = folding_turn(history, now_ms);
    }
    return rc < 0 ? rc : more | rc;
}
