/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

void rate_init(struct rate *rate, uint64_t per_second, uint64_t now_ms)
{
    *rate = (struct rate){.per_second = per_second, .tokens = per_second * 1000, .at_ms = now_ms};
}

static void refill(struct rate *rate, uint64_t now_ms)
{
    uint64_t full = rate->per_second * 1000;
    uint64_t passed = now_ms - rate->at_ms;
    rate->at_ms = now_ms;
    if (passed < 1000 && rate->tokens + passed * rate->per_second < full) {
        rate->tokens += passed * rate->per_second;
        return;
    }
    rate->tokens = full;
    rate->excess = 0;
}

enum rate_verdict rate_take(struct rate *rate, uint64_t now_ms)
{
    refill(rate, now_ms);
    if (rate->tokens >= 1000) {
        rate->tokens -= 1000;
        return RATE_FINE;
    }
    rate->excess++;
    return rate->excess > rate->per_second * RATE_ABUSE_FACTOR ? RATE_ABUSE : RATE_OVER;
}
