/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

/*
 * Appends the JSON of one event as clients see it (`ringside.v1`):
 *   {"type":…,"seq":…,"prev":…,"timestamp":…,"thread_id":…,…,"data":{…}}
 * A folded event has "first_seq" behind "prev". `prev` is the position before it on the view it is
 * sent on.
 */
void event_frame_append(struct buffer *out, const struct event *event, uint64_t prev);
