/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>

#define TRACES 512u /* positions remembered a ring: the units of the smallest */

/* What was delivered from where, to see that a repeat is one. */
struct trace {
    uint64_t begin;
    uint64_t seq;
    uint32_t writer;
};

struct ledger_ring {
    uint64_t generation;
    uint64_t end;
    struct trace *traces; /* TRACES of them, by position */
};

struct ledger_writer {
    uint32_t next[TORTURE_USERS];   /* user_seq expected */
    uint64_t recent[TORTURE_USERS]; /* bit i: next - 1 - i was delivered */
    uint64_t end;                   /* one past the last seq delivered */
    uint64_t kept;
};

struct ledger {
    struct ledger_counts *counts;
    const struct torture_ack *acks;
    struct ledger_writer writers[TORTURE_WRITERS_MAX];
    uint64_t gaps;
    uint32_t ring_count;
    struct ledger_ring rings[];
};

struct ledger *ledger_new(
    const struct torture_ack *acks, struct ledger_counts *counts, uint32_t ring_count)
{
    struct ledger *ledger = calloc(1, sizeof *ledger + ring_count * sizeof *ledger->rings);

    if (!ledger)
        return NULL;
    ledger->acks = acks;
    ledger->counts = counts;
    ledger->ring_count = ring_count;
    return ledger;
}

struct ledger *ledger_free(struct ledger *ledger)
{
    for (uint32_t i = 0; ledger && i < ledger->ring_count; i++)
        free(ledger->rings[i].traces);
    free(ledger);
    return NULL;
}

static void ledger_complain(
    const struct torture_kept *kept, uint64_t *count, const char *what, uint64_t expected)
{
    if ((*count)++ < 10)
        fprintf(stderr,
            "%s: ring %u generation %llu position %llu+%u: writer %u seq %llu user %u seq %u, "
            "expected %llu\n",
            what, (unsigned)kept->ring, (unsigned long long)kept->generation,
            (unsigned long long)kept->begin, (unsigned)kept->length, (unsigned)kept->writer,
            (unsigned long long)kept->seq, (unsigned)kept->user, (unsigned)kept->user_seq,
            (unsigned long long)expected);
}

static struct trace *ledger_trace(struct ledger_ring *ring, uint64_t begin)
{
    if (!ring->traces)
        ring->traces = calloc(TRACES, sizeof *ring->traces);
    if (!ring->traces)
        abort();
    return &ring->traces[begin % TRACES];
}

/* True: known from before, counted. */
static bool ledger_is_repeat(struct ledger *ledger, const struct torture_kept *kept)
{
    struct ledger_ring *ring = &ledger->rings[kept->ring];
    struct trace *trace = ledger_trace(ring, kept->begin);

    if (kept->begin >= ring->end && kept->generation >= ring->generation) {
        *trace = (struct trace){kept->begin, kept->seq, kept->writer};
        ring->generation = kept->generation;
        ring->end = kept->begin + kept->length;
        return false;
    }
    ledger->counts->repeats++;
    if (kept->generation != ring->generation || kept->begin + kept->length > ring->end ||
        (trace->begin == kept->begin && (trace->seq != kept->seq || trace->writer != kept->writer)))
        ledger_complain(kept, &ledger->counts->corrupt, "a repeat that is none", ring->end);
    return true;
}

static void ledger_expect(
    struct ledger *ledger, const struct torture_kept *kept, uint32_t *next, uint64_t *recent)
{
    uint32_t ahead = kept->user_seq - *next, behind = *next - 1 - kept->user_seq;

    if (kept->user_seq >= *next) {
        if (ahead > 0) /* lost, which is counted at the close, or to come out of order */
            ledger_complain(kept, &ledger->gaps, "missing before", *next);
        *recent = ahead < 63 ? *recent << (ahead + 1) | 1 : 1;
        *next = kept->user_seq + 1;
        return;
    }
    if (behind > 63 || (*recent >> behind & 1)) {
        ledger_complain(kept, &ledger->counts->duplicated, "duplicated", *next);
        return;
    }
    *recent |= UINT64_C(1) << behind;
    ledger_complain(kept, &ledger->counts->disordered, "out of order", *next);
}

void ledger_keep(struct ledger *ledger, const struct torture_kept *kept)
{
    struct ledger_writer *writer;
    uint32_t place;

    if (!kept->intact || kept->ring >= ledger->ring_count || kept->writer >= TORTURE_WRITERS_MAX) {
        ledger_complain(kept, &ledger->counts->corrupt, "corrupt", 0);
        return;
    }
    place = torture_place(kept->writer, kept->user);
    if (place >= TORTURE_USERS) {
        ledger_complain(kept, &ledger->counts->corrupt, "another user's", place);
        return;
    }
    if (ledger_is_repeat(ledger, kept))
        return;
    writer = &ledger->writers[kept->writer];
    ledger_expect(ledger, kept, &writer->next[place], &writer->recent[place]);
    if (kept->seq >= writer->end)
        writer->end = kept->seq + 1;
    writer->kept++;
    ledger->counts->events++;
}

bool ledger_is_even(const struct ledger *ledger)
{
    for (uint32_t i = 0; i < TORTURE_WRITERS_MAX; i++)
        if (ledger->writers[i].end < atomic_load(&ledger->acks[i].next))
            return false;
    return true;
}

/* All of [0, end) is to be there, and end to be what was acknowledged, or one more. */
void ledger_close(struct ledger *ledger)
{
    struct ledger_counts *counts = ledger->counts;

    for (uint32_t i = 0; i < TORTURE_WRITERS_MAX; i++) {
        const struct ledger_writer *writer = &ledger->writers[i];
        uint64_t acked = atomic_load(&ledger->acks[i].next);
        uint64_t end = writer->end > acked ? writer->end : acked;

        if (writer->end > acked + 1)
            counts->corrupt++;
        else if (writer->end == acked + 1)
            counts->unasked++;
        if (writer->kept < end) {
            fprintf(stderr, "writer %u: %llu acknowledged, %llu delivered, the last was %lld\n",
                (unsigned)i, (unsigned long long)acked, (unsigned long long)writer->kept,
                (long long)writer->end - 1);
            counts->lost += end - writer->kept;
        }
    }
}
