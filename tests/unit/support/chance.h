/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Repeatable chance for tests: xorshift64, seeded from RINGSIDE_TEST_SEED, else a fixed number, so
 * that a failure found with another seed can be shown again.
 */
struct chance {
    uint64_t state;
};

static inline struct chance chance_make(void)
{
    const char *text = getenv("RINGSIDE_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240131;
    return (struct chance){seed ? seed : 1};
}

static inline uint64_t chance_next(struct chance *chance)
{
    chance->state ^= chance->state << 13;
    chance->state ^= chance->state >> 7;
    chance->state ^= chance->state << 17;
    return chance->state;
}

/* 0 … below - 1 */
static inline size_t chance_below(struct chance *chance, size_t below)
{
    return (size_t)(chance_next(chance) % below);
}

/*
 * Changes a few bytes of `data`, which has room for `cap`, in place: overwrites, inserts from
 * `spice`, removes, repeats, cuts. Returns the new length.
 */
static inline size_t chance_mutate(
    struct chance *chance, char *data, size_t len, size_t cap, const char *spice)
{
    size_t rounds = 1 + chance_below(chance, 4);
    for (size_t i = 0; i < rounds; i++) {
        size_t at = len ? chance_below(chance, len) : 0;
        char byte = chance_below(chance, 4) == 0 ? (char)chance_next(chance)
                                                 : spice[chance_below(chance, strlen(spice))];
        switch (chance_below(chance, 4)) {
        case 0:
            if (len)
                data[at] = byte;
            break;
        case 1:
            if (len < cap) {
                memmove(data + at + 1, data + at, len - at);
                data[at] = byte;
                len++;
            }
            break;
        case 2:
            if (len) {
                memmove(data + at, data + at + 1, len - at - 1);
                len--;
            }
            break;
        default: len = chance_below(chance, 16) == 0 ? at : len;
        }
    }
    return len;
}
