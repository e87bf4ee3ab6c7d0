/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The orders of the rings' atomics in the C11 memory model, with Relacy: every interleaving of a
 * few accesses, and at each load every value the model allows it to return. Each test is one pair
 * (or chain) of docs/rings.md's table. It must hold with the orders of orders.def, which are those
 * of the code (check-orders.py), and must fail when one of its orders is weakened: so the order is
 * needed, and the test would see it missing.
 *
 * Words have as few values as the test needs. A failing CAS has the order of its success.
 */
#include <relacy/relacy.hpp>

#include <cstdio>
#include <cstring>
#include <iostream>

namespace {

enum order_name {
#define ORDER(name, order, file, function, text) name,
#include "orders.def"
#undef ORDER
    ORDER_COUNT
};

const rl::memory_order code_orders[] = {
#define ORDER(name, order, file, function, text) rl::mo_##order,
#include "orders.def"
#undef ORDER
};

const char *const order_names[] = {
#define ORDER(name, order, file, function, text) #name,
#include "orders.def"
#undef ORDER
};

rl::memory_order mo[ORDER_COUNT];

typedef rl::atomic<unsigned> word;

/* Before the threads begin, and in the order they agree on. */
void set(word &w, unsigned value)
{
    w.store(value, rl::mo_relaxed, $);
}

unsigned get(word &w, order_name order)
{
    return w.load(mo[order], $);
}

bool cas(word &w, unsigned expected, unsigned desired, order_name order)
{
    return w.compare_exchange_strong(expected, desired, mo[order], $);
}

/* doorbell_ring, with one bit in each word. Returns whether it woke. */
bool ring_bell(word &bit, word &summary, word &sleeping)
{
    if (!get(bit, BIT_LOOK))
        bit.fetch_or(1, mo[BIT_SET], $);
    if (!get(summary, BIT_LOOK))
        summary.fetch_or(1, mo[BIT_SET], $);
    return get(sleeping, SLEEPING_LOAD) && sleeping.exchange(0, mo[SLEEPING_WIN], $);
}

/* doorbell_prepare_sleep. Whether the reader goes to sleep. */
bool prepare_sleep(word &summary, word &sleeping)
{
    sleeping.store(1, mo[SLEEPING_SET], $);
    return !get(summary, NEWS_LOOK);
}

/* Store and load on both sides: either the writer sees that the reader sleeps, or the reader sees
 * that there is news. */
struct doorbell_sleeping : rl::test_suite<doorbell_sleeping, 2> {
    word bit, summary, sleeping;
    bool asleep, woken;

    void before()
    {
        set(bit, 0);
        set(summary, 0);
        set(sleeping, 0);
        asleep = woken = false;
    }

    void thread(unsigned index)
    {
        if (index == 0)
            woken = ring_bell(bit, summary, sleeping);
        else
            asleep = prepare_sleep(summary, sleeping);
    }

    void after()
    {
        RL_ASSERT(!asleep || woken);
    }
};

/* A bit that is found set is not set again: then the drain of whoever takes it sees the commit. */
struct doorbell_set_already : rl::test_suite<doorbell_set_already, 2> {
    enum { FREE, COMMITTED };
    word bit, summary, sleeping, control;
    bool drained;

    void before()
    {
        set(bit, 1);
        set(summary, 1);
        set(sleeping, 0);
        set(control, FREE);
        drained = false;
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            cas(control, FREE, COMMITTED, SETTLE);
            ring_bell(bit, summary, sleeping);
        } else {
            if (summary.exchange(0, mo[WORDS_TAKE], $) && bit.exchange(0, mo[RINGS_TAKE], $))
                drained = get(control, EXAMINE) == COMMITTED;
        }
    }

    void after()
    {
        /* Not drained: then it is marked, in both words. */
        RL_ASSERT(drained || (bit.load(rl::mo_seq_cst, $) && summary.load(rl::mo_seq_cst, $)));
    }
};

/* A ring whose tail is no further than its reader is not marked again: whoever claims later sets
 * the bit later, though it was set before. */
struct left_at_the_tail : rl::test_suite<left_at_the_tail, 2> {
    enum { FREE, COMMITTED };
    word bit, summary, sleeping, tail, control;
    bool taken, more;

    void before()
    {
        set(bit, 1);
        set(summary, 1);
        set(sleeping, 0);
        set(tail, 0);
        set(control, FREE);
        taken = more = false;
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            cas(tail, 0, 1, TAIL_CLAIM);
            cas(control, FREE, COMMITTED, SETTLE);
            ring_bell(bit, summary, sleeping);
        } else {
            taken = summary.exchange(0, mo[WORDS_TAKE], $) && bit.exchange(0, mo[RINGS_TAKE], $);
            more = get(tail, MORE_LOOK) != 0;
        }
    }

    void after()
    {
        RL_ASSERT(
            !taken || more || (bit.load(rl::mo_seq_cst, $) && summary.load(rl::mo_seq_cst, $)));
    }
};

/* The commit publishes the payload. */
struct commit_publishes : rl::test_suite<commit_publishes, 2> {
    enum { FREE, COMMITTED };
    word control;
    rl::var<unsigned> payload;

    void before()
    {
        set(control, FREE);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            payload($) = 1;
            cas(control, FREE, COMMITTED, SETTLE);
        } else if (get(control, EXAMINE) == COMMITTED) {
            RL_ASSERT(payload($) == 1);
        }
    }
};

/* Who sees the tail moved on sees the header the claim before got: "a claim without a header before
 * the last one" is damage and nothing else. */
struct help_before_claim : rl::test_suite<help_before_claim, 2> {
    enum { FREE, BUSY };
    word tail, control;

    void before()
    {
        set(tail, 1); /* a claim of someone who died at once */
        set(control, FREE);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            unsigned last = get(tail, TAIL_LOAD);
            if (get(control, HELP_LOOK) == FREE)
                cas(control, FREE, BUSY, HELP);
            cas(tail, last, 2, TAIL_CLAIM);
        } else if (get(control, EXAMINE) == FREE && get(tail, EXAMINE_TAIL) == 2) {
            RL_ASSERT(get(control, EXAMINE_AGAIN) != FREE);
        }
    }
};

/* What the reader stamped and was done with, before `freed`, is so for the writer that saw `freed`,
 * and for the one that saw `free_seen` only. */
struct freed_through_free_seen : rl::test_suite<freed_through_free_seen, 3> {
    enum { COMMITTED, FREE, COMMITTED_AGAIN };
    word freed, free_seen, control;
    rl::var<unsigned> payload;

    void before()
    {
        set(freed, 0);
        set(free_seen, 0);
        set(control, COMMITTED);
        payload($) = 1;
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            RL_ASSERT(payload($) == 1);
            control.store(FREE, mo[STAMP], $);
            freed.store(1, mo[FREED_STORE], $);
        } else if (index == 1) {
            free_seen.store(get(freed, FREED_LOAD), mo[FREE_SEEN_STORE], $);
        } else if (get(free_seen, FREE_SEEN_LOAD) == 1) {
            payload($) = 2;
            RL_ASSERT(cas(control, FREE, COMMITTED_AGAIN, SETTLE));
        }
    }
};

/* A helper knows the claim from the tail only; it must see the stamp that the claimer saw, or it
 * would take the last lap's word for a header. */
struct stamp_through_tail : rl::test_suite<stamp_through_tail, 3> {
    enum { COMMITTED, FREE };
    word freed, tail, control;

    void before()
    {
        set(freed, 0);
        set(tail, 0);
        set(control, COMMITTED);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            control.store(FREE, mo[STAMP], $);
            freed.store(1, mo[FREED_STORE], $);
        } else if (index == 1) {
            if (get(freed, FREED_LOAD) == 1)
                cas(tail, 0, 1, TAIL_CLAIM);
        } else if (get(tail, TAIL_LOAD) == 1) {
            RL_ASSERT(get(control, HELP_LOOK) == FREE);
        }
    }
};

/* current_ring against the closing of the tail: store and load on both sides. The ring's memory is
 * used by the writer or taken by the reader, never both at once. */
struct hazard : rl::test_suite<hazard, 2> {
    enum { OPEN, CLOSED };
    word current_ring, tail;
    rl::var<unsigned> memory;

    void before()
    {
        set(current_ring, 0);
        set(tail, OPEN);
        memory($) = 0;
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            current_ring.store(1, mo[CURRENT_RING_SET], $);
            if (get(tail, TAIL_LOAD) == OPEN)
                memory($) = 1;
            current_ring.store(0, mo[CURRENT_RING_CLEAR], $);
        } else if (cas(tail, OPEN, CLOSED, CLOSE) && !get(current_ring, NAMED_LOOK)) {
            memory($) = 2;
        }
    }
};

/* The tail of a damaged ring is not closed: then the entry's word is what says no, and the pair of
 * current_ring. */
struct hazard_of_damaged : rl::test_suite<hazard_of_damaged, 2> {
    enum { READY, RETIRING };
    word current_ring, tail, entry;
    rl::var<unsigned> memory;

    void before()
    {
        set(current_ring, 0);
        set(tail, 0);
        set(entry, READY);
        memory($) = 0;
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            current_ring.store(1, mo[CURRENT_RING_SET], $);
            get(tail, TAIL_LOAD);
            if (get(entry, ENTRY_CHECK) == READY)
                memory($) = 1;
            current_ring.store(0, mo[CURRENT_RING_CLEAR], $);
        } else {
            entry.store(RETIRING, mo[RETIRE], $);
            if (!get(current_ring, NAMED_LOOK))
                memory($) = 2;
        }
    }
};

/* A tail that was opened again is seen with the entry's word that went before. */
struct generation_after_tail : rl::test_suite<generation_after_tail, 2> {
    enum { OPEN, OPEN_AGAIN };
    word tail, entry;

    void before()
    {
        set(tail, OPEN);
        set(entry, 1);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            entry.store(2, mo[RETIRE], $);
            tail.store(OPEN_AGAIN, mo[REFRESH_TAIL], $);
        } else if (get(tail, TAIL_LOAD) == OPEN_AGAIN) {
            RL_ASSERT(get(entry, ENTRY_CHECK) == 2);
        }
    }
};

/* The head of a chain publishes the entry linked in front. */
struct directory_publishes : rl::test_suite<directory_publishes, 2> {
    word head;
    rl::var<unsigned> user;

    void before()
    {
        set(head, 0);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            user($) = 1;
            cas(head, 0, 1, LINK);
        } else if (get(head, LOOK) == 1) {
            RL_ASSERT(user($) == 1);
        }
    }
};

/* A writer that waits for room, against the reader's release. */
struct space_wanted : rl::test_suite<space_wanted, 2> {
    word wanted, freed;
    bool asleep, woken;

    void before()
    {
        set(wanted, 0);
        set(freed, 0);
        asleep = woken = false;
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            wanted.store(1, mo[WANTED_SET], $);
            asleep = !get(freed, FREED_LOAD);
        } else {
            freed.store(1, mo[FREED_STORE], $);
            woken = get(wanted, WANTED_LOOK);
        }
    }

    void after()
    {
        RL_ASSERT(!asleep || woken);
    }
};

/* ---- Running them ---- */

template <typename test> bool holds(unsigned long &iterations, std::ostream *tell)
{
    std::ostream nowhere(nullptr);
    rl::test_params params;

    params.search_type = rl::fair_full_search_scheduler_type;
    params.progress_stream = &nowhere;
    params.output_stream = tell ? tell : &nowhere;
    bool held = rl::simulate<test>(params);
    iterations = static_cast<unsigned long>(params.stop_iteration);
    return held;
}

/* One order weaker than the code's, or two where either alone is enough. */
struct weakened {
    order_name name;
    rl::memory_order order;
    order_name other;
    rl::memory_order other_order;

    weakened(order_name name_, rl::memory_order order_)
        : name(name_), order(order_), other(name_), other_order(order_)
    {
    }
    weakened(
        order_name name_, rl::memory_order order_, order_name other_, rl::memory_order other_order_)
        : name(name_), order(order_), other(other_), other_order(other_order_)
    {
    }
};

int number, failures;

void report(bool ok, const char *what, unsigned long iterations)
{
    failures += !ok;
    std::printf("%sok %d - %s\n# %lu executions\n", ok ? "" : "not ", ++number, what, iterations);
}

template <typename test> void check_weakened(const char *what, const weakened &w)
{
    unsigned long iterations;
    char name[160];

    std::memcpy(mo, code_orders, sizeof mo);
    mo[w.name] = w.order;
    mo[w.other] = w.other_order;
    std::snprintf(name, sizeof name, "%s: caught with a weaker %s%s%s", what, order_names[w.name],
        w.other == w.name ? "" : " and ", w.other == w.name ? "" : order_names[w.other]);
    bool held = holds<test>(iterations, nullptr);
    report(!held, name, iterations);
}

template <typename test, size_t count> void check(const char *what, const weakened (&weaker)[count])
{
    unsigned long iterations;

    std::memcpy(mo, code_orders, sizeof mo);
    bool held = holds<test>(iterations, nullptr);
    report(held, what, iterations);
    if (!held)
        holds<test>(iterations, &std::cerr);
    for (const weakened &w : weaker)
        check_weakened<test>(what, w);
}

} // namespace

int main()
{
    using rl::mo_acq_rel;
    using rl::mo_acquire;
    using rl::mo_relaxed;
    using rl::mo_release;

    check<doorbell_sleeping>("no wake-up is lost",
        {{SLEEPING_SET, mo_release}, {NEWS_LOOK, mo_acquire}, {SLEEPING_LOAD, mo_acquire}});
    check<doorbell_set_already>("a bit found set is enough",
        {{SETTLE, mo_acq_rel}, {BIT_LOOK, mo_acquire}, {EXAMINE, mo_acquire}});
    check<left_at_the_tail>("a ring left at its tail is rung for again",
        {{MORE_LOOK, mo_acquire}, {BIT_LOOK, mo_acquire}, {TAIL_CLAIM, mo_acq_rel}});
    check<commit_publishes>(
        "the commit publishes the payload", {{SETTLE, mo_relaxed}, {EXAMINE, mo_relaxed}});
    check<help_before_claim>("a header comes before the next claim",
        {{TAIL_CLAIM, mo_relaxed, EXAMINE_AGAIN, mo_acquire},
            {EXAMINE_TAIL, mo_relaxed, EXAMINE_AGAIN, mo_acquire}});
    check<freed_through_free_seen>("freed space reaches the writers",
        {{FREED_STORE, mo_relaxed}, {FREED_LOAD, mo_relaxed}, {FREE_SEEN_STORE, mo_relaxed},
            {FREE_SEEN_LOAD, mo_relaxed}});
    check<stamp_through_tail>(
        "the stamp reaches who helps", {{FREED_STORE, mo_relaxed}, {FREED_LOAD, mo_relaxed},
                                           {TAIL_CLAIM, mo_relaxed}, {TAIL_LOAD, mo_relaxed}});
    check<hazard>("current_ring holds a ring that is being closed",
        {{CURRENT_RING_SET, mo_release}, {TAIL_LOAD, mo_acquire}, {CURRENT_RING_CLEAR, mo_relaxed},
            {NAMED_LOOK, mo_acquire}, {NAMED_LOOK, mo_relaxed}});
    check<hazard_of_damaged>("current_ring holds a ring that is damaged",
        {{CURRENT_RING_SET, mo_release}, {ENTRY_CHECK, mo_acquire}, {RETIRE, mo_release},
            {NAMED_LOOK, mo_acquire}});
    check<generation_after_tail>("the generation is of the tail or later",
        {{REFRESH_TAIL, mo_relaxed, ENTRY_CHECK, mo_acquire},
            {TAIL_LOAD, mo_relaxed, ENTRY_CHECK, mo_acquire}});
    check<directory_publishes>(
        "the head publishes the entry", {{LINK, mo_relaxed}, {LOOK, mo_relaxed}});
    check<space_wanted>(
        "who waits for room is told", {{WANTED_SET, mo_release}, {FREED_LOAD, mo_acquire},
                                          {FREED_STORE, mo_release}, {WANTED_LOOK, mo_acquire}});
    std::printf("1..%d\n", number);
    return failures != 0;
}
