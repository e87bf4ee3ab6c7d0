/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why no wake-up is lost. Everything here is sequentially consistent, as is the commit before it.
 *
 * writer: commit; set the ring's bit; set the word's bit; load `sleeping`
 * reader: take the words' bits; take the rings' bits; drain
 *         ... store `sleeping` = 1; load the words' bits; sleep
 *
 * Either the writer sees `sleeping` and wakes, or the reader's second look sees the word's bit. A
 * bit found set already is not set again: the reader's exchange that takes it comes after that
 * look, and its drain sees the commit. Both bits are always looked at, since whoever set the first
 * may have died before the second. A writer that dies between winning `sleeping` and the write to
 * the bell is made good by its death, which reaches the reader's loop by itself (pidfd), and by the
 * slow sweep.
 *
 * The bell is a FIFO: the sleeper's loop waits on descriptors, and the wakers are processes that
 * inherit nothing from it. docs/rings.md has the figures of the alternatives.
 */
#include "ring/doorbell.h"

#include <unistd.h>

#include "ring/mapping.h"
#include "ring/steps.h"

/* Partner: the exchanges in doorbell_take. */
static void doorbell_set(_Atomic uint64_t *word, uint32_t bit)
{
    uint64_t mask = UINT64_C(1) << bit;

    if (!(atomic_load(word) & mask))
        atomic_fetch_or(word, mask);
}

void doorbell_mark(struct arena *arena, uint32_t ring)
{
    uint32_t word = ring / 64;

    if (arena->forked)
        return;
    doorbell_set(&arena->bits[word], ring % 64);
    RING_STEP(one_bit_set);
    doorbell_set(&arena->summary[word / 64], word % 64);
}

void doorbell_wake(struct arena *arena)
{
    /* Partner: the store in doorbell_prepare_sleep. */
    if (arena->forked || !atomic_load(&arena->shared->sleeping) ||
        !atomic_exchange(&arena->shared->sleeping, 0))
        return;
    RING_STEP(wake_won);
    /* A full FIFO is a bell that rings already. */
    ssize_t n = write(arena->bell_fd, "", 1);
    (void)n;
}

void doorbell_ring(struct arena *arena, uint32_t ring)
{
    doorbell_mark(arena, ring);
    RING_STEP(bits_set);
    doorbell_wake(arena);
}

static size_t doorbell_take_word(
    struct arena *arena, uint32_t word, doorbell_ring_fn fn, void *userdata)
{
    size_t count = 0;

    /* Partner: doorbell_set. What was committed before its bit is visible to the drain. */
    for (uint64_t bits = atomic_exchange(&arena->bits[word], 0); bits; bits &= bits - 1) {
        fn(userdata, word * 64 + (uint32_t)__builtin_ctzll(bits));
        count++;
    }
    return count;
}

size_t doorbell_take(struct arena *arena, doorbell_ring_fn fn, void *userdata)
{
    uint32_t words = arena_bit_words(arena);
    size_t count = 0;

    for (uint32_t s = 0; !arena->forked && s < arena_summary_words(arena); s++) {
        if (!atomic_load(&arena->summary[s]))
            continue;
        /* Words before rings: a ring's bit set after its word was taken sets the word again. */
        for (uint64_t set = atomic_exchange(&arena->summary[s], 0); set; set &= set - 1) {
            uint32_t word = s * 64 + (uint32_t)__builtin_ctzll(set);

            if (word < words)
                count += doorbell_take_word(arena, word, fn, userdata);
        }
    }
    return count;
}

bool doorbell_has_news(const struct arena *arena)
{
    if (arena->forked)
        return false;
    if (atomic_load(&arena->shared->process_news))
        return true;
    for (uint32_t s = 0; s < arena_summary_words(arena); s++)
        if (atomic_load(&arena->summary[s]))
            return true;
    return false;
}

bool doorbell_prepare_sleep(struct arena *arena)
{
    if (arena->forked)
        return false;
    /* Partner: the load in doorbell_wake. */
    atomic_store(&arena->shared->sleeping, 1);
    if (!doorbell_has_news(arena))
        return false;
    atomic_store(&arena->shared->sleeping, 0);
    return true;
}

void doorbell_awake(struct arena *arena)
{
    char buffer[64];

    if (arena->forked)
        return;
    atomic_store(&arena->shared->sleeping, 0);
    while (read(arena->bell_fd, buffer, sizeof buffer) == (ssize_t)sizeof buffer)
        ;
}

int doorbell_fd(const struct arena *arena)
{
    return arena->bell_fd;
}
