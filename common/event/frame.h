/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

/*
 * The JSON of one event as clients see it (`ringside.v1`):
 *   {"type":…,"seq":…,"prev":…,"timestamp":…,"thread_id":…,…,"data":{…}}
 * A folded event has "first_seq" behind "prev".
 */
struct event_frame_span {
    size_t prev_start; /* where the digits of "prev" begin, from the start of this frame */
    size_t prev_end;
};

/*
 * Appends the frame; `prev` is the position before it on the view it is sent on. `ret_span`, when
 * not NULL, tells where the digits of `prev` stand, for views on which it differs.
 */
void event_frame_append(struct buffer *out, const struct event *event, uint64_t prev,
    struct event_frame_span *ret_span);
