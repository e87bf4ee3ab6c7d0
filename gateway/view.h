/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/identifier.h"

#include <stdint.h>

/*
 * Where one connection stands in its user's stream: the splice of replay and live events, with no
 * socket and no clock in it.
 *
 *   position   every event up to here was sent, or was not for this connection
 *   prev       the last event sent, or where the view began; what the next frame's `prev` says
 *   target     the head when the view began; "caught up" is not said before it is reached
 *
 * One rule splices: a live event is taken iff it is the one behind `position`. A lower number was
 * seen already; a higher one says that something in between is still to be read from history, and
 * the view is replaying until `position` has reached everything known. So it does not matter how
 * pages and live events interleave, what is asked for twice, or what a lost link swallowed.
 */
struct view {
    uint64_t position;
    uint64_t prev;
    uint64_t target;
    bool replaying;
    bool announce; /* "caught up" is owed when replay ends */
};

enum view_verdict {
    VIEW_TAKE,  /* the next one: deliver it and call view_advance */
    VIEW_SEEN,  /* at or before the position */
    VIEW_AHEAD, /* something is missing before it; the view is replaying now */
};

/* Starts behind `start`. `announce`: the client asked for a replay and is told when it is done. */
void view_begin(struct view *view, uint64_t start, uint64_t head, bool announce);
enum view_verdict view_offer_live(struct view *view, uint64_t seq);
/* An event of a page: the store's word is taken for it that nothing lies between. */
enum view_verdict view_offer_page(const struct view *view, uint64_t seq);
/* Moves behind `seq`. `sent`: it goes out, and becomes the next frame's `prev`. */
void view_advance(struct view *view, uint64_t seq, bool sent);
/* What lies up to `to` exists no more and the client was told so. */
void view_skip_gap(struct view *view, uint64_t to);
/*
 * Events up to `newest` are known to exist. Starts a replay when the view is short of it, ends one
 * when it is not. True when the replay ended with this call and "caught up" is to be said now.
 */
bool view_settle(struct view *view, uint64_t newest);
/* Whether something is known to exist that the view has not reached. */
bool view_is_short(const struct view *view, uint64_t newest);
/* The store has nothing behind the position, whatever was announced. The same answer. */
bool view_exhaust(struct view *view);

/* The threads a connection wants to see; none: all of them. */
#define FILTER_THREADS_MAX 32
struct filter {
    size_t count;
    char threads[FILTER_THREADS_MAX][IDENTIFIER_SIZE];
};

bool filter_passes(const struct filter *filter, struct span thread_id);
