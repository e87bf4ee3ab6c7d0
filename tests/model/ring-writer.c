/* SPDX-License-Identifier: Apache-2.0 */
/* A writer: common/ring/writer.c and claim.c, step by step. */
#include <string.h>

#include "ring-model.h"

enum at {
    AT_LOOKUP, /* so that a zeroed writer begins here */
    AT_ENTER,
    AT_TAIL,
    AT_GENERATION,
    AT_BASE_LAP,
    AT_FREE_SEEN,
    AT_FREED,
    AT_FREE_SEEN_STORE,
    AT_PAY_FULL,
    AT_FULL,
    AT_WAIT,
    AT_HELP_LOOK,
    AT_HELP,
    AT_CLAIM,
    AT_PADDING,
    AT_PADDING_BUSY,
    AT_PADDING_BELL,
    AT_WRITE,
    AT_COMMIT,
    AT_COMMIT_BUSY,
    AT_BELL,
    AT_LEAVE,
    AT_PAY_STALE,
    AT_STALE,
    AT_DONE,
};

typedef bool (*writer_fn)(struct ring_run *run, struct writer *w, unsigned index);

static uint8_t owner_of(unsigned index)
{
    return (uint8_t)(index + 1);
}

static unsigned message_of(const struct writer *w, unsigned index)
{
    return index * RING_EMITS + w->emit;
}

static uint8_t record_length(const struct ring_run *run, const struct writer *w, unsigned index)
{
    return message_length(run, message_of(w, index));
}

/* On to the next message; what was private to this one is forgotten. */
static void writer_turn(struct ring_run *run, struct writer *w, unsigned index)
{
    uint8_t emit = (uint8_t)(w->emit + 1), lease = w->lease;

    memset(w, 0, sizeof *w);
    w->emit = emit;
    w->lease = lease;
    w->at = emit == RING_EMITS || record_length(run, w, index) == 0 ? AT_DONE : AT_ENTER;
}

static bool lookup(struct ring_run *run, struct writer *w, unsigned index)
{
    struct ring_state *s = &run->s;
    uint8_t user = run->bounds->users[index];

    /* On its way out: the code takes another entry, which is another ring. Here it waits. */
    if (s->entry == ENTRY_RETIRING || s->tail.owner == OWNER_CLOSED)
        return false;
    if (s->entry == ENTRY_FREE) {
        s->entry = ENTRY_READY;
        s->user = user;
    }
    if (s->user == user) {
        w->lease = s->generation;
        w->at = AT_ENTER;
    } else {
        writer_turn(run, w, index); /* no ring for this user: refused, which is an answer */
    }
    return true;
}

static bool enter(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    w->current_ring = 1;
    w->at = run->variant == VARIANT_GENERATION_FIRST ? AT_GENERATION : AT_TAIL;
    return true;
}

static bool load_tail(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    w->seen = run->s.tail;
    if (w->seen.owner == OWNER_CLOSED)
        w->at = w->owed ? AT_PAY_STALE : AT_STALE;
    else
        w->at = run->variant == VARIANT_GENERATION_FIRST ? AT_BASE_LAP : AT_GENERATION;
    return true;
}

static bool check_generation(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    if (run->s.entry != ENTRY_READY || run->s.generation != w->lease)
        w->at = w->owed ? AT_PAY_STALE : AT_STALE;
    else
        w->at = run->variant == VARIANT_GENERATION_FIRST ? AT_TAIL : AT_BASE_LAP;
    return true;
}

static bool load_base_lap(struct ring_run *run, struct writer *w, unsigned index)
{
    uint8_t rest = (uint8_t)(RING_CAPACITY - w->seen.position % RING_CAPACITY);
    uint8_t length = record_length(run, w, index);

    w->base_lap = run->s.base_lap;
    w->begin = w->seen.position;
    w->padding = rest < length;
    w->length = w->padding ? rest : length;
    w->at = AT_FREE_SEEN;
    return true;
}

/* writer_is_within. */
static bool fits(const struct ring_run *run, const struct writer *w, unsigned index, uint8_t freed)
{
    unsigned end = w->begin + record_length(run, w, index) + (w->padding ? w->length : 0u);

    if (run->variant == VARIANT_STALE_TAIL_IS_FULL)
        return end - freed <= RING_CAPACITY; /* a huge number if `end` lies before */
    return end <= freed || end - freed <= RING_CAPACITY;
}

static uint8_t help_or_claim(const struct ring_run *run, const struct writer *w, unsigned index)
{
    bool other = w->seen.owner != owner_of(index) && w->seen.length > 0;

    return other && run->variant != VARIANT_NO_HELP ? AT_HELP_LOOK : AT_CLAIM;
}

static bool load_free_seen(struct ring_run *run, struct writer *w, unsigned index)
{
    w->at = fits(run, w, index, run->s.free_seen) ? help_or_claim(run, w, index) : AT_FREED;
    return true;
}

static bool load_freed(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    w->freed = run->s.freed;
    w->at = AT_FREE_SEEN_STORE;
    return true;
}

static bool store_free_seen(struct ring_run *run, struct writer *w, unsigned index)
{
    run->s.free_seen = w->freed;
    w->at = fits(run, w, index, w->freed) ? help_or_claim(run, w, index) : AT_FULL;
    if (w->at == AT_FULL && w->begin < w->freed)
        run->fault = "told full from a tail that is long gone";
    if (w->at == AT_FULL && w->owed && run->variant != VARIANT_UNPAID_WAIT)
        w->at = AT_PAY_FULL;
    w->freed = 0;
    return true;
}

/* writer_pay: who now waits must not be waited for. */
static bool pay(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    run->s.bell = 1;
    w->owed = 0;
    w->at++; /* AT_FULL or AT_STALE */
    return true;
}

static bool full(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)run;
    (void)index;
    w->current_ring = 0;
    memset(&w->seen, 0, sizeof w->seen);
    w->base_lap = w->begin = w->length = w->padding = 0;
    w->at = AT_WAIT;
    return true;
}

/* Until there is room or the ring is closed or another's: no step otherwise, so a writer that waits
 * for what never comes shows as a bad end. */
static bool wait_space(struct ring_run *run, struct writer *w, unsigned index)
{
    struct writer trial = *w;

    trial.seen = run->s.tail;
    load_base_lap(run, &trial, index);
    if (run->s.tail.owner != OWNER_CLOSED && run->s.entry == ENTRY_READY &&
        run->s.generation == w->lease && !fits(run, &trial, index, run->s.freed))
        return false;
    w->at = AT_ENTER;
    return true;
}

static uint8_t seen_begin(const struct writer *w)
{
    return (uint8_t)(w->seen.position - w->seen.length);
}

static bool help_look(struct ring_run *run, struct writer *w, unsigned index)
{
    uint8_t begin = seen_begin(w);
    struct control word = *ring_control(run, begin);

    (void)index;
    w->at = AT_CLAIM;
    if (word.kind == UNIT_FREE &&
        (run->variant == VARIANT_HELP_WITHOUT_LAP || word.lap == ring_lap(begin, w->base_lap)))
        w->at = AT_HELP;
    return true;
}

static bool help(struct ring_run *run, struct writer *w, unsigned index)
{
    uint8_t begin = seen_begin(w);
    struct control *word = ring_control(run, begin);
    uint8_t lap = ring_lap(begin, w->base_lap);

    (void)index;
    if (run->variant == VARIANT_HELP_WITHOUT_LAP)
        lap = word->lap; /* a word without a lap is the same in every lap */
    ring_cas(word, (struct control){.lap = lap},
        (struct control){UNIT_BUSY, w->seen.owner, w->seen.length, lap});
    w->at = AT_CLAIM;
    return true;
}

static bool claim(struct ring_run *run, struct writer *w, unsigned index)
{
    struct tail next = {(uint8_t)(w->begin + w->length), w->length, owner_of(index)};

    if (!tail_is(run->s.tail, w->seen)) {
        w->at = run->variant == VARIANT_GENERATION_FIRST ? AT_GENERATION : AT_TAIL;
        return true;
    }
    run->s.tail = next;
    w->at = w->padding ? AT_PADDING : AT_WRITE;
    return true;
}

/* The first CAS of claim_settle, or with `busy` the second. */
static bool settle(struct ring_run *run, struct writer *w, unsigned index, bool busy)
{
    uint8_t lap = ring_lap(w->begin, w->base_lap), owner = owner_of(index);
    struct control from = {.lap = lap}, to = {UNIT_COMMITTED, owner, w->length, lap};

    if (busy)
        from = (struct control){UNIT_BUSY, owner, w->length, lap};
    if (w->padding)
        to.kind = UNIT_PADDING;
    return ring_cas(ring_control(run, w->begin), from, to);
}

static bool settled(struct ring_run *run, struct writer *w, unsigned index)
{
    if (w->padding) {
        w->at = AT_PADDING_BELL;
        return true;
    }
    run->s.committed |= (uint8_t)(1u << message_of(w, index));
    w->at = AT_BELL;
    if (run->bounds->batch && w->emit + 1 < RING_EMITS &&
        message_length(run, message_of(w, index) + 1) > 0) {
        /* The slot's word stands for the bell, should this writer die. */
        writer_turn(run, w, index);
        w->current_ring = w->owed = 1;
    }
    return true;
}

static bool settle_free(struct ring_run *run, struct writer *w, unsigned index)
{
    if (settle(run, w, index, false))
        return settled(run, w, index);
    w->at = w->padding ? AT_PADDING_BUSY : AT_COMMIT_BUSY;
    return true;
}

static bool settle_busy(struct ring_run *run, struct writer *w, unsigned index)
{
    if (settle(run, w, index, true))
        return settled(run, w, index);
    /* Fenced. It is told so, which is right after a time-out and never otherwise. */
    if (run->variant != VARIANT_TAKEN_ON_TIMEOUT)
        run->fault = "a living writer's claim was taken from it";
    w->at = AT_LEAVE;
    return true;
}

static bool padding_bell(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    if (run->variant != VARIANT_SILENT_PADDING)
        run->s.bell = 1;
    w->at = AT_TAIL;
    return true;
}

static bool fill(struct ring_run *run, struct writer *w, unsigned index)
{
    for (uint8_t i = 0; i < w->length; i++)
        run->s.payload[(w->begin + i) % RING_CAPACITY] = (uint8_t)(message_of(w, index) + 1);
    w->at = AT_COMMIT;
    return true;
}

static bool ring_bell(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    run->s.bell = 1;
    w->at = AT_LEAVE;
    return true;
}

static bool leave(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)index;
    writer_turn(run, w, index);
    return true;
}

static bool stale(struct ring_run *run, struct writer *w, unsigned index)
{
    uint8_t emit = w->emit;

    (void)run;
    (void)index;
    memset(w, 0, sizeof *w); /* current_ring as well */
    w->emit = emit;
    return true;
}

static bool done(struct ring_run *run, struct writer *w, unsigned index)
{
    (void)run;
    (void)w;
    (void)index;
    return false;
}

static const struct {
    const char *what; /* the function of the code, and the word it touches */
    writer_fn fn;
    bool quiet; /* without reclaim, nobody could tell when it is taken */
} writer_steps[] = {
    [AT_LOOKUP] = {"directory_obtain", lookup, true},
    [AT_ENTER] = {"writer_enter: current_ring", enter, true},
    [AT_TAIL] = {"writer_plan: load tail", load_tail},
    [AT_GENERATION] = {"writer_check_lease: load the entry's word", check_generation, true},
    [AT_BASE_LAP] = {"writer_plan: load base_lap", load_base_lap, true},
    [AT_FREE_SEEN] = {"writer_fits: load free_seen", load_free_seen},
    [AT_FREED] = {"writer_fits: load freed", load_freed},
    [AT_FREE_SEEN_STORE] = {"writer_fits: store free_seen", store_free_seen},
    [AT_PAY_FULL] = {"writer_pay, doorbell_ring: full", pay},
    [AT_FULL] = {"writer_leave: full", full, true},
    [AT_WAIT] = {"ring_wait_space: there is room", wait_space},
    [AT_HELP_LOOK] = {"claim_help: load control", help_look},
    [AT_HELP] = {"claim_help: CAS control to BUSY", help},
    [AT_CLAIM] = {"writer_claim: CAS tail", claim},
    [AT_PADDING] = {"claim_settle: CAS control FREE to PADDING", settle_free},
    [AT_PADDING_BUSY] = {"claim_settle: CAS control BUSY to PADDING", settle_busy},
    [AT_PADDING_BELL] = {"doorbell_ring: for padding", padding_bell},
    [AT_WRITE] = {"writer_fill_header: record and payload", fill},
    [AT_COMMIT] = {"claim_settle: CAS control FREE to COMMITTED", settle_free},
    [AT_COMMIT_BUSY] = {"claim_settle: CAS control BUSY to COMMITTED", settle_busy},
    [AT_BELL] = {"doorbell_ring", ring_bell},
    [AT_LEAVE] = {"writer_leave", leave, true},
    [AT_PAY_STALE] = {"writer_pay, doorbell_ring: stale", pay},
    [AT_STALE] = {"writer_leave: stale", stale},
    [AT_DONE] = {"-", done},
};

bool writer_step(struct ring_run *run, unsigned index)
{
    struct writer *w = &run->s.writers[index];

    if (w->slot != SLOT_LIVE)
        return false;
    run->what = writer_steps[w->at].what;
    if (!writer_steps[w->at].fn(run, w, index))
        return false;
    while (run->bounds->reclaims == 0 && writer_steps[w->at].quiet)
        writer_steps[w->at].fn(run, w, index);
    return true;
}

bool writer_is_done(const struct ring_run *run, unsigned index)
{
    return run->s.writers[index].slot == SLOT_LIVE && run->s.writers[index].at == AT_DONE;
}

void writer_die(struct ring_run *run, unsigned index)
{
    struct writer *w = &run->s.writers[index];
    struct writer dead = {
        .slot = SLOT_DEAD,
        .emit = w->emit,
        .current_ring = w->current_ring,
    };

    *w = dead;
}

void writer_replace(struct ring_run *run, unsigned index)
{
    struct writer *w = &run->s.writers[index];

    w->slot = SLOT_LIVE;
    writer_turn(run, w, index);
    if (w->at != AT_DONE)
        w->at = AT_LOOKUP;
}
