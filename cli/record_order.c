/* SPDX-License-Identifier: Apache-2.0 */
#include "record_order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

typedef unsigned long long number;

void record_order_init(struct record_order *order, struct record_report *report, bool filtered)
{
    *order = (struct record_order){.report = report, .filtered = filtered};
}

void record_order_deinit(struct record_order *order)
{
    size_t cursor = 0;
    for (void *name; (name = map_next(&order->old_epochs, &cursor));)
        free(name);
    map_deinit(&order->old_epochs);
    seen_table_deinit(&order->seen);
}

static void stand_at(struct record_order *order, uint64_t position)
{
    order->position = position;
    order->positioned = true;
}

static bool hole(struct record_order *order)
{
    order->holes++;
    order->from_start = false;
    return true;
}

/* ---- events */

/* A connection begins behind `prev`, which its welcome did not tell. */
static void begin_behind(struct record_order *order, uint64_t prev, bool *ret_hole)
{
    stand_at(order, prev);
    if (prev <= order->highest || order->highest == 0)
        return;
    *ret_hole = hole(order);
    if (prev + 1 != order->oldest) /* a cursor: everything behind it was owed */
        record_found(order->report, RECORD_GAP,
            "the connection goes on behind %llu, but the record ends at %llu", (number)prev,
            (number)order->highest);
}

/* False: the event is out of place, and the position stays. */
static bool check_chain(
    struct record_order *order, const struct record_frame *frame, bool *ret_hole)
{
    number seq = frame->event.seq, prev = frame->prev, position = order->position;
    if (seq <= prev) {
        record_found(order->report, RECORD_NOT_AFTER_PREV, "seq %llu has prev %llu", seq, prev);
        return false;
    }
    if (!order->positioned) {
        begin_behind(order, prev, ret_hole);
    } else if (seq <= order->last) {
        record_found(
            order->report, RECORD_NOT_INCREASING, "seq %llu after %llu", seq, (number)order->last);
        return false;
    } else if (prev > position) {
        record_found(order->report, RECORD_GAP, "seq %llu has prev %llu after position %llu", seq,
            prev, position);
        *ret_hole = seq > order->highest && hole(order);
    } else if (prev < position) {
        record_found(order->report, RECORD_WRONG_PREV, "seq %llu has prev %llu after position %llu",
            seq, prev, position);
    }
    return true;
}

static void check_fold(const struct record_order *order, const struct record_frame *frame)
{
    number seq = frame->event.seq, first = frame->event.first_seq;
    bool foldable = frame->type == EVENT_NONE || event_type_class(frame->type) != EVENT_CLASS_EDGE;
    if (!foldable)
        record_found(order->report, RECORD_WRONG_FOLD, "seq %llu: %s is never folded", seq,
            event_type_name(frame->type));
    else if (first == 0 || first > seq)
        record_found(order->report, RECORD_WRONG_FOLD, "seq %llu has first_seq %llu", seq, first);
    else if (first <= frame->prev)
        record_found(order->report, RECORD_WRONG_FOLD, "seq %llu has first_seq %llu and prev %llu",
            seq, first, (number)frame->prev);
}

/* The frame's bytes; on a filtered view without the digits of prev, which is a view's own. */
static uint64_t hash_bytes(const struct record_order *order, struct span line)
{
    static const char name[] = "\"prev\":";
    const char *at = order->filtered ? memmem(line.data, line.len, name, sizeof(name) - 1) : NULL;
    if (!at)
        return XXH3_64bits(line.data, line.len);
    const char *rest = at + sizeof(name) - 1, *end = line.data + line.len;
    while (rest < end && *rest >= '0' && *rest <= '9')
        rest++;
    uint64_t head = XXH3_64bits(line.data, (size_t)(at - line.data));
    return XXH3_64bits_withSeed(rest, (size_t)(end - rest), head);
}

static struct seen entry_of(
    const struct record_order *order, const struct record_frame *frame, struct span line)
{
    struct seen entry = {.number = frame->event.seq, .bytes = hash_bytes(order, line)};
    struct text_mark mark = text_mark_of(frame->delta);
    entry.text = mark.hash;
    entry.text_len = (uint32_t)mark.len;
    if (frame->event.first_seq && frame->event.first_seq <= entry.number &&
        entry.number - frame->event.first_seq < UINT32_MAX)
        entry.folds = (uint32_t)(entry.number - frame->event.first_seq);
    return entry;
}

static struct text_mark mark_of(const struct seen *entry)
{
    return (struct text_mark){entry->text, entry->text_len};
}

/* The same number in two forms, once by itself and once with those before it folded in. */
static bool texts_agree(
    const struct record_order *order, const struct seen *single, const struct seen *fold)
{
    struct text_mark before;
    if (!seen_join(&order->seen, fold->number - fold->folds, fold->number - 1, &before))
        return true; /* not all of them were seen one by one */
    struct text_mark joined = text_mark_join(before, mark_of(single));
    return joined.hash == fold->text && (uint32_t)joined.len == fold->text_len;
}

static void check_repeat(
    const struct record_order *order, const struct seen *had, const struct seen *again)
{
    number seq = again->number;
    if (had->folds == again->folds) {
        if (had->bytes != again->bytes)
            record_found(order->report, RECORD_BYTES_CHANGED, "seq %llu", seq);
    } else if (had->folds == 0 || again->folds == 0) {
        const struct seen *fold = had->folds ? had : again;
        if (!texts_agree(order, had->folds ? again : had, fold))
            record_found(order->report, RECORD_FOLD_TEXT, "seq %llu to %llu",
                (number)(seq - fold->folds), seq);
    }
}

int record_order_event(struct record_order *order, const struct record_frame *frame,
    struct span line, enum record_news *ret_news, bool *ret_hole)
{
    bool first = order->highest == 0;
    uint64_t seq = frame->event.seq;
    order->events++;
    *ret_hole = false;
    *ret_news = RECORD_ILLEGAL;
    if (!check_chain(order, frame, ret_hole))
        return 0;
    if (frame->event.first_seq) {
        order->folded++;
        check_fold(order, frame);
    }
    if (first)
        order->from_start = frame->prev == 0;
    order->position = order->last = seq;
    const struct seen entry = entry_of(order, frame, line);
    const struct seen *had = seen_get(&order->seen, seq);
    *ret_news = seq > order->highest ? RECORD_NEW : RECORD_REPEAT;
    order->repeats += had ? 1 : 0;
    if (seq > order->highest)
        order->highest = seq;
    if (!had)
        return seen_put(&order->seen, &entry);
    check_repeat(order, had, &entry);
    return 0;
}

/* ---- control frames */

static int leave_epoch(struct record_order *order, const char *epoch)
{
    char *left = strdup(order->epoch);
    if (!left)
        return -ENOMEM;
    if (map_get(&order->old_epochs, span_of_string(epoch)))
        record_found(order->report, RECORD_OLD_EPOCH, "%s, after %s", epoch, order->epoch);
    char *same = map_remove(&order->old_epochs, span_of_string(left));
    free(same);
    if (map_put(&order->old_epochs, span_of_string(left), left) < 0) {
        free(left);
        return -ENOMEM;
    }
    seen_table_deinit(&order->seen);
    order->highest = 0;
    return 0;
}

static void check_user(struct record_order *order, const char *user)
{
    if (order->user[0] && strcmp(order->user, user) != 0)
        record_found(order->report, RECORD_FOREIGN_USER, "%s, after %s", user, order->user);
    snprintf(order->user, sizeof(order->user), "%s", user);
}

static bool begin_connection(struct record_order *order, const struct record_frame *frame)
{
    uint64_t head = frame->welcome.head;
    order->connections++;
    order->last = 0;
    order->positioned = false;
    order->oldest = frame->welcome.oldest;
    if (head < order->highest)
        record_found(order->report, RECORD_HEAD_WENT_BACK, "head %llu, but the record has %llu",
            (number)head, (number)order->highest);
    if (strcmp(frame->welcome.resume, "live") != 0)
        return false;
    stand_at(order, head);
    return order->highest && head > order->highest && hole(order);
}

int record_order_welcome(
    struct record_order *order, const struct record_frame *frame, bool *ret_hole, bool *ret_anew)
{
    bool known = order->epoch[0];
    *ret_anew = known && strcmp(order->epoch, frame->welcome.epoch) != 0;
    if (*ret_anew && leave_epoch(order, frame->welcome.epoch) < 0)
        return -ENOMEM;
    order->epochs += !known || *ret_anew;
    snprintf(order->epoch, sizeof(order->epoch), "%s", frame->welcome.epoch);
    check_user(order, frame->welcome.user);
    *ret_hole = begin_connection(order, frame);
    return 0;
}

void record_order_gap(struct record_order *order, const struct record_frame *frame, bool *ret_hole)
{
    number from = frame->gap.from, to = frame->gap.to;
    order->gaps++;
    *ret_hole = false;
    if (frame->gap.epoch_changed) { /* numbers of an epoch that is gone */
        order->positioned = false;
        *ret_hole = order->highest && hole(order);
        return;
    }
    bool begins = order->positioned
                      ? (order->filtered ? from > order->position : from == order->position + 1)
                      : order->highest == 0 || from <= order->highest + 1;
    if (from == 0 || to < from || !begins)
        record_found(order->report, RECORD_WRONG_GAP, "from %llu to %llu after position %llu", from,
            to, (number)(order->positioned ? order->position : order->highest));
    stand_at(order, to);
    *ret_hole = to > order->highest && hole(order);
}

void record_order_caught_up(struct record_order *order, const struct record_frame *frame)
{
    uint64_t at = frame->position, least = order->positioned ? order->position : order->highest;
    bool exact = order->positioned && !order->filtered;
    if (at < least || (exact && at != least))
        record_found(order->report, RECORD_WRONG_CAUGHT_UP, "caught_up at %llu, position %llu",
            (number)at, (number)least);
    if (!order->filtered)
        stand_at(order, at);
}

/* It comes behind the event that it stands for; on a filtered view that need not be shown. */
void record_order_snapshot(struct record_order *order, const struct record_frame *frame)
{
    uint64_t at = frame->position;
    bool fits = order->filtered ? at >= order->position : at == order->position;
    if (order->positioned && !fits)
        record_found(order->report, RECORD_WRONG_SNAPSHOT,
            "snapshot of run %.*s at %llu, position %llu", SPAN_ARG(frame->event.run_id),
            (number)at, (number)order->position);
}
