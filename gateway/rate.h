/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * How fast one connection may speak: a bucket that holds a second's worth of messages and fills
 * evenly. Whoever goes on past it is counted, and after RATE_ABUSE_FACTOR seconds' worth without
 * a pause long enough to fill the bucket is an abuser. Pure.
 */
#define RATE_ABUSE_FACTOR 10

struct rate {
    uint64_t per_second;
    uint64_t tokens; /* in thousandths of a message */
    uint64_t at_ms;
    uint64_t excess;
};

enum rate_verdict {
    RATE_FINE,
    RATE_OVER,
    RATE_ABUSE,
};

void rate_init(struct rate *rate, uint64_t per_second, uint64_t now_ms);
enum rate_verdict rate_take(struct rate *rate, uint64_t now_ms);
