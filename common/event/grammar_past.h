/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Of this many identifiers that were closed a run knows that they were. */
#define GRAMMAR_PAST_MAX 256

/* Identifiers that were closed: the newest ones' hashes, in a circle. Zero: none. */
struct grammar_past {
    uint64_t *hashes; /* owned */
    uint32_t room;
    uint32_t count;
    uint32_t next;
};

void grammar_past_deinit(struct grammar_past *past);
/* `kind` keeps identifiers of different things apart. */
bool grammar_past_has(const struct grammar_past *past, unsigned kind, struct span id);
/* Takes the place of the oldest when there is no room. -ENOMEM: the oldest one's before its time,
 * or nothing is kept. */
int grammar_past_add(struct grammar_past *past, unsigned kind, struct span id);
