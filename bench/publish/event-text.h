/* SPDX-License-Identifier: Apache-2.0 */
/* The event that everybody publishes: JSON of EVENT_BYTES bytes when a client receives it, which
 * ends with the time it was published and its number among its user's. */
#pragma once

#include <stdint.h>

#include "base/span.h"

#define EVENT_BYTES 240

struct event_text {
    char bytes[EVENT_BYTES + 1];
    size_t len;
    size_t stamp; /* where its digits are */
    size_t number;
};

/* A whole event, with the members that Ringside's have. */
void event_text_init(struct event_text *ret_text);
/* What is Ringside's `data` in it: as much shorter as a frame's other members are long. */
void event_text_init_data(struct event_text *ret_text);
/* The bytes, with the time of now and this number; valid until the next call. */
struct span event_text_fill(struct event_text *text, uint64_t number);
