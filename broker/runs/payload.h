/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/identifier.h"

/*
 * The few places where the broker looks into an event's data: it never does on the way of a normal
 * event, but must name a tool that it has to close itself.
 */

/* The longest beginning of `text` that is UTF-8 and no longer than `max` bytes. */
struct span payload_cut(struct span text, size_t max);
/* Copies the string member `name` of the JSON object `data`; "" when there is none that fits. */
void payload_string(char ret_text[IDENTIFIER_SIZE], struct span data, const char *name);
