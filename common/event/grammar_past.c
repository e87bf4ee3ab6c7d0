/* SPDX-License-Identifier: Apache-2.0 */
#include "event/grammar_past.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define FIRST_ROOM 16

void grammar_past_deinit(struct grammar_past *past)
{
    free(past->hashes);
    *past = (struct grammar_past){0};
}

static uint64_t hash_of(unsigned kind, struct span id)
{
    return XXH3_64bits_withSeed(id.data, id.len, kind);
}

bool grammar_past_has(const struct grammar_past *past, unsigned kind, struct span id)
{
    uint64_t hash = past->count ? hash_of(kind, id) : 0;
    for (uint32_t i = 0; i < past->count; i++) {
        if (past->hashes[i] == hash)
            return true;
    }
    return false;
}

static int make_room(struct grammar_past *past)
{
    if (past->count < past->room || past->room == GRAMMAR_PAST_MAX)
        return 0;
    uint32_t room = past->room ? past->room * 2 : FIRST_ROOM;
    uint64_t *hashes = realloc(past->hashes, room * sizeof(*hashes));
    if (!hashes)
        return -ENOMEM;
    past->hashes = hashes;
    past->room = room;
    past->next = past->count;
    return 0;
}

int grammar_past_add(struct grammar_past *past, unsigned kind, struct span id)
{
    int rc = make_room(past);
    if (past->room == 0)
        return rc;
    if (past->next == past->room)
        past->next = 0;
    past->hashes[past->next++] = hash_of(kind, id);
    if (past->count < past->room)
        past->count++;
    return rc;
}
