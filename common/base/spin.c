/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spin.h"

#include "base/clock.h"

#include <sched.h>

/* Somebody else had the processor for that long: about a scheduler's slice. */
#define LATE_NS 1000000u
#define SLEEP_NS 10000000u

void spin_init(struct spin *spin, uint32_t max_us)
{
    *spin = (struct spin){.max_us = max_us, .span_us = max_us};
}

uint32_t spin_next(uint32_t max_us, uint32_t span_us, uint64_t gap_us)
{
    if (gap_us > max_us)
        return span_us / 2;
    /* Room for the next gap to be twice as long. */
    return 2 * gap_us + 1 < max_us ? (uint32_t)(2 * gap_us + 1) : max_us;
}

bool spin_look(struct spin *spin, uint64_t now_ns)
{
    if (spin->since_ns == 0) {
        spin->since_ns = now_ns;
        spin->looking = spin->span_us && now_ns >= spin->sleep_until_ns;
    } else if (spin->looking) {
        bool late = now_ns - spin->looked_ns >= LATE_NS;
        if (late)
            spin->sleep_until_ns = now_ns + SLEEP_NS;
        spin->looking = !late && now_ns - spin->since_ns < spin->span_us * UINT64_C(1000);
    }
    spin->looked_ns = now_ns;
    return spin->looking;
}

bool spin_again(struct spin *spin)
{
    if (spin->max_us == 0)
        return false;
    if (spin->looking)
        sched_yield();
    return spin_look(spin, clock_monotonic_ns());
}

void spin_news(struct spin *spin)
{
    if (spin->since_ns == 0)
        return;
    uint64_t gap_us = (clock_monotonic_ns() - spin->since_ns) / 1000;
    spin->span_us = spin_next(spin->max_us, spin->span_us, gap_us);
    spin->looking = false;
    spin->since_ns = 0;
}
