/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/interrupt_past.h"

#include "event/event.h"

#include <stdlib.h>

/* A hash is of user and interrupt but for the two lowest bits, which are the fate: never zero. */
#define FATE_BITS 3u
#define SPREAD 0x9e3779b97f4a7c15u

static uint64_t hash_of(uint64_t user_tag, struct span interrupt_id)
{
    uint64_t hash = (user_tag * SPREAD) ^ event_user_tag(interrupt_id);
    return (hash * SPREAD) & ~(uint64_t)FATE_BITS;
}

void interrupt_past_deinit(struct interrupt_past *past)
{
    free(past->hashes);
    *past = (struct interrupt_past){0};
}

void interrupt_past_add(struct interrupt_past *past, uint64_t user_tag, struct span interrupt_id,
    enum interrupt_fate fate)
{
    if (!past->hashes)
        past->hashes = calloc(INTERRUPT_PAST_MAX, sizeof(uint64_t));
    if (!past->hashes)
        return;
    past->hashes[past->next] = hash_of(user_tag, interrupt_id) | fate;
    past->next = (past->next + 1) % INTERRUPT_PAST_MAX;
}

enum interrupt_fate interrupt_past_find(
    const struct interrupt_past *past, uint64_t user_tag, struct span interrupt_id)
{
    uint64_t wanted = hash_of(user_tag, interrupt_id);
    for (unsigned i = 1; past->hashes && i <= INTERRUPT_PAST_MAX; i++) {
        uint64_t hash = past->hashes[(past->next - i) % INTERRUPT_PAST_MAX];
        if ((hash & FATE_BITS) && (hash & ~(uint64_t)FATE_BITS) == wanted)
            return (enum interrupt_fate)(hash & FATE_BITS);
    }
    return INTERRUPT_UNKNOWN;
}
