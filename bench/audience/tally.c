/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 1u << HISTOGRAM_FINE)
        return (unsigned)ns;
    unsigned top = 63 - (unsigned)__builtin_clzll(ns);
    unsigned fine = (unsigned)(ns >> (top - HISTOGRAM_FINE)) & ((1u << HISTOGRAM_FINE) - 1);
    return ((top - HISTOGRAM_FINE + 1) << HISTOGRAM_FINE) + fine;
}

/* The middle of a bucket. */
static double value_of(unsigned bucket)
{
    if (bucket < 1u << HISTOGRAM_FINE)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_FINE) - 1;
    double fine = (bucket & ((1u << HISTOGRAM_FINE) - 1)) + (1u << HISTOGRAM_FINE) + .5;
    return fine * (double)(UINT64_C(1) << shift);
}

void histogram_add(struct histogram *histogram, int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    unsigned bucket = bucket_of(value);
    histogram->counts[bucket < HISTOGRAM_SIZE ? bucket : HISTOGRAM_SIZE - 1]++;
    histogram->total++;
    if (ns > histogram->max)
        histogram->max = ns;
}

double histogram_percentile(const struct histogram *histogram, double share)
{
    double wanted = (double)histogram->total * share;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_SIZE && histogram->total; i++) {
        seen += histogram->counts[i];
        if ((double)seen >= wanted && histogram->counts[i])
            return value_of(i);
    }
    return (double)histogram->max;
}

#define TAIL_BYTES 96

static uint64_t digits(const char *at, const char *end)
{
    uint64_t number = 0;
    while (at < end && *at >= '0' && *at <= '9')
        number = number * 10 + (uint64_t)(*at++ - '0');
    return number;
}

bool tally_find(struct span message, int64_t *ret_stamp, uint64_t *ret_number)
{
    static const char stamp[] = "\"t\":", number[] = ",\"n\":";
    const char *end = message.data + message.len;
    size_t tail = message.len < TAIL_BYTES ? message.len : TAIL_BYTES;
    const char *at = tail ? memmem(end - tail, tail, stamp, sizeof(stamp) - 1) : NULL;
    if (!at || end - at < 4 + 19 + 5 + 10)
        return false;
    at += sizeof(stamp) - 1;
    if (memcmp(at + 19, number, sizeof(number) - 1) != 0)
        return false;
    *ret_stamp = (int64_t)digits(at, at + 19);
    *ret_number = digits(at + 19 + 5, end);
    return true;
}

void tally_event(struct tally *tally, uint64_t *expected, struct span message, int64_t now)
{
    int64_t stamp;
    uint64_t number;
    if (!tally_find(message, &stamp, &number))
        return;
    if (*expected && number < *expected) {
        tally->repeated++;
        return;
    }
    if (*expected)
        tally->lost += number - *expected;
    *expected = number + 1;
    tally->events++;
    tally->bytes += message.len;
    tally->last_ns = now;
    if (!tally->first_ns)
        tally->first_ns = now;
    histogram_add(&tally->ages, now - stamp);
}
