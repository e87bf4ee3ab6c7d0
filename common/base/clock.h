/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <time.h>

/* Monotonic time in nanoseconds: for intervals, never for display. */
static inline uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Monotonic time in milliseconds. */
static inline uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

/* Milliseconds since the Unix epoch: for timestamps, never for intervals. */
static inline uint64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
