/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include <assert.h>

void view_begin(struct view *view, uint64_t start, uint64_t head, bool announce)
{
    *view = (struct view){
        .position = start,
        .prev = start,
        .target = head,
        .replaying = true,
        .announce = announce,
    };
}

enum view_verdict view_offer_live(struct view *view, uint64_t seq)
{
    if (seq <= view->position)
        return VIEW_SEEN;
    if (seq == view->position + 1)
        return VIEW_TAKE;
    view->replaying = true;
    return VIEW_AHEAD;
}

enum view_verdict view_offer_page(const struct view *view, uint64_t seq)
{
    return seq <= view->position ? VIEW_SEEN : VIEW_TAKE;
}

void view_advance(struct view *view, uint64_t seq, bool sent)
{
    assert(seq > view->position);
    view->position = seq;
    if (sent)
        view->prev = seq;
}

void view_skip_gap(struct view *view, uint64_t to)
{
    if (to <= view->position)
        return;
    view->position = to;
    view->prev = to;
}

bool view_is_short(const struct view *view, uint64_t newest)
{
    return view->position < newest || view->position < view->target;
}

bool view_settle(struct view *view, uint64_t newest)
{
    view->replaying = view_is_short(view, newest);
    if (view->replaying || !view->announce)
        return false;
    view->announce = false;
    return true;
}

bool view_exhaust(struct view *view)
{
    view->target = view->position;
    return view_settle(view, view->position);
}

bool filter_passes(const struct filter *filter, struct span thread_id)
{
    if (filter->count == 0)
        return true;
    for (size_t i = 0; i < filter->count; i++) {
        if (span_is(thread_id, filter->threads[i]))
            return true;
    }
    return false;
}
