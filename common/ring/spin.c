/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/spin.h"

#include <time.h>

#include "ring/doorbell.h"

/* Looks between two readings of the clock. */
#define LOOKS 32

static uint64_t spin_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void ring_spin_init(struct ring_spin *spin, uint32_t max_us)
{
    *spin = (struct ring_spin){.max_us = max_us, .span_us = max_us};
}

uint32_t ring_spin_next(uint32_t max_us, uint32_t span_us, uint64_t gap_us)
{
    if (gap_us > max_us)
        return span_us / 2;
    /* Room for the next gap to be twice as long. */
    return 2 * gap_us + 1 < max_us ? (uint32_t)(2 * gap_us + 1) : max_us;
}

static void spin_learn(struct ring_spin *spin)
{
    uint64_t gap_us = (spin_now_ns() - spin->since_ns) / 1000;

    spin->span_us = ring_spin_next(spin->max_us, spin->span_us, gap_us);
    spin->since_ns = 0;
}

static inline void spin_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

bool ring_spin_wait(struct ring_spin *spin, struct arena *arena)
{
    if (spin->max_us == 0)
        return false;
    spin->since_ns = spin_now_ns();
    if (spin->span_us == 0)
        return false;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (doorbell_has_news(arena)) {
                spin->won++;
                spin_learn(spin);
                return true;
            }
            spin_relax();
        }
    } while (spin_now_ns() - spin->since_ns < (uint64_t)spin->span_us * 1000);
    spin->lost++;
    return false;
}

void ring_spin_woken(struct ring_spin *spin)
{
    if (spin->since_ns != 0)
        spin_learn(spin);
}
