/* SPDX-License-Identifier: Apache-2.0 */
/* The reader: common/ring/reader.c, examine.c, process.c and reclaim, step by step. */
#include <string.h>

#include "ring-model.h"

enum at {
    AT_OPEN,
    AT_IDLE,
    AT_EXAMINE,
    AT_EXAMINE_TAIL,
    AT_EXAMINE_AGAIN,
    AT_TIMEOUT,
    AT_PAYLOAD,
    AT_CONSUMED,
    AT_STAMP,
    AT_FREED,
    AT_REAP,
    AT_REAP_TAIL,
    AT_REAP_LAST,
    AT_REAP_WALK,
    AT_REAP_BUSY,
    AT_REAP_BELL,
    AT_REAP_SLOT,
    AT_CLOSE,
    AT_RETIRE,
    AT_NAMED,
    AT_PUNCH,
    AT_BASE_LAP,
    AT_POSITIONS,
    AT_TAIL,
    AT_FREE,
};

typedef bool (*reader_fn)(struct ring_run *run, struct reader *r, unsigned choice);

static const struct control nothing_seen;

/* What is only of the last turn is forgotten: it would tell equal states apart. */
static bool go_idle(struct reader *r)
{
    memset(&r->seen, 0, sizeof r->seen);
    memset(&r->tail, 0, sizeof r->tail);
    r->index = r->walk = r->then = 0;
    r->at = AT_IDLE;
    return true;
}

static bool give_back(struct reader *r, uint8_t then)
{
    r->then = then;
    r->at = AT_CONSUMED;
    return true;
}

/* reader_load_user, reader_load_positions, and the sweep of a new reader. Words only readers write:
 * one step. */
static bool open_ring(struct ring_run *run, struct reader *r, unsigned choice)
{
    struct ring_state *s = &run->s;

    if (choice > 0)
        return false;
    r->generation = s->generation;
    r->base_lap = s->base_lap;
    r->user = s->entry == ENTRY_READY ? s->user : 0;
    r->freed = s->freed;
    r->cursor = r->consumed = s->consumed;
    r->closing = s->tail.owner == OWNER_CLOSED || s->entry == ENTRY_RETIRING;
    s->bell = 1;
    if (!r->closing && (r->freed > r->consumed || r->consumed > s->tail.position ||
                           s->tail.position - r->freed > (int)RING_CAPACITY))
        run->fault = "quarantined: positions out of order";
    r->walk = r->freed;
    r->then = AT_IDLE;
    r->at = r->freed < r->consumed ? AT_CONSUMED : AT_IDLE;
    return r->at == AT_IDLE ? go_idle(r) : true;
}

/* ---- Between turns ---- */

static bool begin_drain(struct ring_run *run, struct reader *r)
{
    if (!run->s.bell)
        return false;
    run->s.bell = 0;
    if (r->user == 0 && run->s.entry == ENTRY_READY)
        r->user = run->s.user; /* reader_admit, after a reclaim */
    if (!r->closing && r->user != 0)
        r->at = AT_EXAMINE;
    return true;
}

static bool begin_reap(struct ring_run *run, struct reader *r)
{
    for (unsigned i = 0; i < run->bounds->writers; i++) {
        if (run->s.writers[i].slot != SLOT_DEAD)
            continue;
        r->index = (uint8_t)i;
        r->at = AT_REAP;
        return true;
    }
    return false;
}

static bool begin_reclaim(struct ring_run *run, struct reader *r)
{
    if (r->closing) {
        r->at = AT_RETIRE;
        return true;
    }
    /* Idle as the reader knows it; the CAS of the tail decides. */
    if (run->s.reclaims_left == 0 || r->user == 0 || r->freed != r->cursor)
        return false;
    r->tail = run->s.tail;
    if (r->tail.position != r->cursor)
        return false;
    run->s.reclaims_left--;
    r->at = AT_CLOSE;
    return true;
}

static bool idle(struct ring_run *run, struct reader *r, unsigned choice)
{
    static bool (*const turns[])(struct ring_run *, struct reader *) = {
        begin_drain, begin_reap, begin_reclaim};

    return turns[choice](run, r);
}

/* ---- Draining ---- */

static bool nothing(struct reader *r)
{
    return r->cursor > r->consumed ? give_back(r, AT_IDLE) : go_idle(r);
}

/* A claim somebody has in hand. Only who is impatient goes on here. */
static bool in_flight(struct ring_run *run, struct reader *r, uint8_t owner, uint8_t length)
{
    if (run->variant != VARIANT_TAKEN_ON_TIMEOUT)
        return nothing(r);
    r->tail.owner = owner;
    r->tail.length = length;
    r->at = AT_TIMEOUT;
    return true;
}

static bool take_on_timeout(struct ring_run *run, struct reader *r, unsigned choice)
{
    struct control discarded = {
        UNIT_DISCARDED, r->tail.owner, r->tail.length, ring_lap(r->cursor, r->base_lap)};

    if (choice == 1)
        return nothing(r);
    ring_cas(ring_control(run, r->cursor), r->seen, discarded);
    r->at = AT_EXAMINE;
    return choice == 0;
}

static bool shape_is_bad(const struct ring_run *run, const struct reader *r)
{
    uint8_t rest = (uint8_t)(RING_CAPACITY - r->cursor % RING_CAPACITY), length = r->seen.length;

    return length == 0 || length > rest || r->seen.owner == 0 || r->seen.owner > RING_WRITERS ||
           (r->seen.kind == UNIT_PADDING && length != rest) ||
           r->cursor + length > run->s.tail.position;
}

static bool examine(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    memset(&r->tail, 0, sizeof r->tail);
    r->seen = nothing_seen;
    if (r->cursor - r->freed >= (int)RING_CAPACITY)
        return nothing(r);
    r->seen = *ring_control(run, r->cursor);
    if (r->seen.lap != ring_lap(r->cursor, r->base_lap)) {
        run->fault = "quarantined: a control word of another lap";
    } else if (r->seen.kind == UNIT_FREE) {
        r->at = AT_EXAMINE_TAIL;
    } else if (shape_is_bad(run, r)) {
        run->fault = "quarantined: a claim of impossible shape";
    } else if (r->seen.kind == UNIT_BUSY) {
        return in_flight(run, r, r->seen.owner, r->seen.length);
    } else if (r->seen.kind == UNIT_COMMITTED) {
        r->at = AT_PAYLOAD;
    } else {
        r->cursor = (uint8_t)(r->cursor + r->seen.length);
    }
    return true;
}

static bool examine_tail(struct ring_run *run, struct reader *r, unsigned choice)
{
    struct tail tail = run->s.tail;

    if (choice > 0)
        return false;
    if (tail.position < r->cursor || tail.position - r->freed > (int)RING_CAPACITY)
        run->fault = "quarantined: the tail is out of bounds";
    if (tail.position == r->cursor)
        return nothing(r);
    if (tail.position - tail.length == r->cursor && tail.owner != OWNER_CLOSED)
        return in_flight(run, r, tail.owner, tail.length);
    r->at = AT_EXAMINE_AGAIN;
    return true;
}

static bool examine_again(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    if (control_is(*ring_control(run, r->cursor), r->seen))
        run->fault = "quarantined: a claim without a header before the last one";
    r->at = AT_EXAMINE;
    return true;
}

/* What the record says, against what an observer knows of it. */
static const char *judge(const struct ring_run *run, const struct reader *r, unsigned message)
{
    const struct ring_state *s = &run->s;
    uint8_t bit = (uint8_t)(1u << message), end = (uint8_t)(r->cursor + r->seen.length);

    if (!(s->committed & bit))
        return "delivered what nobody has committed";
    if (message_length(run, message) != r->seen.length)
        return "delivered with another length";
    if (run->bounds->users[message / RING_EMITS] != r->user)
        return "delivered to another user";
    if (s->by_reader & bit)
        return "delivered twice by one reader";
    if ((s->delivered & bit) && s->delivered_at[message] != r->cursor)
        return "delivered again at another position";
    if (!(s->delivered & bit) && end <= s->last_ended)
        return "delivered before an earlier one";
    return NULL;
}

static bool deliver(struct ring_run *run, struct reader *r, unsigned choice)
{
    struct ring_state *s = &run->s;
    uint8_t payload = s->payload[r->cursor % RING_CAPACITY];

    if (choice > 1)
        return false;
    for (uint8_t i = 1; i < r->seen.length; i++)
        if (s->payload[(r->cursor + i) % RING_CAPACITY] != payload)
            run->fault = "delivered a torn payload";
    if (payload == 0 || payload > RING_MESSAGES)
        run->fault = "delivered a payload nobody wrote";
    if (run->fault)
        return true;
    unsigned message = payload - 1u;
    run->fault = judge(run, r, message);
    s->by_reader |= (uint8_t)(1u << message);
    s->delivered |= (uint8_t)(1u << message);
    s->delivered_at[message] = r->cursor;
    r->cursor = (uint8_t)(r->cursor + r->seen.length);
    if (r->cursor > s->last_ended)
        s->last_ended = r->cursor;
    r->seen = nothing_seen;
    /* The owner goes on with the next, or releases what it has. */
    if (choice == 1)
        return give_back(r, AT_EXAMINE);
    r->at = AT_EXAMINE;
    return true;
}

static bool store_consumed(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    run->s.consumed = r->consumed = r->cursor;
    r->seen = nothing_seen;
    memset(&r->tail, 0, sizeof r->tail);
    r->walk = r->freed;
    r->at = run->variant == VARIANT_FREED_BEFORE_STAMPS ? AT_FREED : AT_STAMP;
    return true;
}

static bool given_back(struct reader *r)
{
    r->walk = 0;
    if (r->then == AT_IDLE)
        return go_idle(r);
    r->at = r->then;
    r->then = 0;
    return true;
}

static bool stamp(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    *ring_control(run, r->walk) =
        (struct control){.lap = (uint8_t)(ring_lap(r->walk, r->base_lap) + 1)};
    if (++r->walk < r->consumed)
        return true;
    if (run->variant == VARIANT_FREED_BEFORE_STAMPS)
        return given_back(r);
    r->at = AT_FREED;
    return true;
}

static bool store_freed(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    run->s.freed = r->freed = r->consumed;
    if (run->variant != VARIANT_FREED_BEFORE_STAMPS)
        return given_back(r);
    r->at = AT_STAMP;
    return true;
}

/* ---- Taking back what a dead writer held ---- */

static uint8_t dead_owner(const struct reader *r)
{
    return (uint8_t)(r->index + 1);
}

static bool reap(struct ring_run *run, struct reader *r, unsigned choice)
{
    bool named = run->s.writers[r->index].current_ring && run->s.entry == ENTRY_READY;

    if (choice > 0)
        return false;
    r->at = named ? AT_REAP_TAIL : AT_REAP_SLOT;
    if (run->variant == VARIANT_OWNER_FREED_FIRST)
        writer_replace(run, r->index);
    return true;
}

static bool reap_tail(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    r->tail = run->s.tail;
    r->walk = r->consumed;
    r->at = AT_REAP_WALK;
    if (r->tail.owner == dead_owner(r) && r->tail.position - r->tail.length >= r->consumed)
        r->at = AT_REAP_LAST;
    return true;
}

static bool discard(struct ring_run *run, const struct reader *r, uint8_t begin, uint8_t length)
{
    struct control discarded = {
        UNIT_DISCARDED, dead_owner(r), length, ring_lap(begin, r->base_lap)};

    return ring_cas(ring_control(run, begin), r->seen, discarded);
}

static bool reap_last(struct ring_run *run, struct reader *r, unsigned choice)
{
    uint8_t begin = (uint8_t)(r->tail.position - r->tail.length);

    if (choice > 0)
        return false;
    r->seen = (struct control){.lap = ring_lap(begin, r->base_lap)};
    r->at = discard(run, r, begin, r->tail.length) ? AT_REAP_BELL : AT_REAP_WALK;
    return true;
}

static bool reap_walk(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    r->at = AT_REAP_BELL;
    if (r->walk >= r->tail.position)
        return true;
    r->seen = *ring_control(run, r->walk);
    if (r->seen.kind == UNIT_FREE || r->seen.lap != ring_lap(r->walk, r->base_lap))
        return true;
    if (r->seen.kind == UNIT_BUSY && r->seen.owner == dead_owner(r)) {
        r->at = AT_REAP_BUSY;
        return true;
    }
    r->walk = (uint8_t)(r->walk + r->seen.length);
    r->at = AT_REAP_WALK;
    return true;
}

static bool reap_busy(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    discard(run, r, r->walk, r->seen.length);
    r->at = AT_REAP_BELL;
    return true;
}

static bool reap_bell(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    if (run->variant != VARIANT_SILENT_REAPER)
        run->s.bell = 1;
    r->at = AT_REAP_SLOT;
    return true;
}

static bool reap_slot(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    if (run->variant != VARIANT_OWNER_FREED_FIRST)
        writer_replace(run, r->index);
    return go_idle(r);
}

/* ---- Reclaim ---- */

static bool close_tail(struct ring_run *run, struct reader *r, unsigned choice)
{
    bool same = tail_is(run->s.tail, r->tail) || run->variant == VARIANT_CLOSE_BY_STORE;

    if (choice > 0)
        return false;
    if (!same)
        return go_idle(r); /* a claim came first, and it rings */
    run->s.tail = (struct tail){.position = r->tail.position, .owner = OWNER_CLOSED};
    go_idle(r);
    r->closing = 1;
    r->at = AT_RETIRE;
    return true;
}

static bool retire(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    if (run->variant != VARIANT_GENERATION_FIRST)
        run->s.entry = ENTRY_RETIRING;
    r->at = run->variant == VARIANT_NO_HAZARD_WAIT ? AT_PUNCH : AT_NAMED;
    return true;
}

/* Waits at a slot that names the ring, where the code comes back later and looks at all of them; a
 * dead one has to be reaped first. */
static bool named(struct ring_run *run, struct reader *r, unsigned choice)
{
    const struct writer *w = &run->s.writers[r->index];

    if (choice > 0)
        return false;
    if (w->current_ring)
        return w->slot == SLOT_DEAD ? begin_reap(run, r) : false;
    if (++r->index < run->bounds->writers)
        return true;
    r->index = 0;
    r->at = AT_PUNCH;
    return true;
}

static uint8_t fresh_position(const struct ring_run *run)
{
    return (uint8_t)((run->s.tail.position + RING_CAPACITY - 1) / RING_CAPACITY * RING_CAPACITY);
}

static bool punch(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    memset(run->s.control, 0, sizeof run->s.control);
    memset(run->s.payload, 0, sizeof run->s.payload);
    r->at = AT_BASE_LAP;
    return true;
}

static bool store_base_lap(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    run->s.base_lap = r->base_lap = (uint8_t)(fresh_position(run) / RING_CAPACITY);
    r->at = AT_POSITIONS;
    return true;
}

static bool store_positions(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    r->cursor = r->consumed = r->freed = fresh_position(run);
    run->s.consumed = run->s.freed = run->s.free_seen = r->freed;
    r->at = AT_TAIL;
    return true;
}

static bool store_tail(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    run->s.tail = (struct tail){.position = fresh_position(run)};
    r->at = AT_FREE;
    return true;
}

static bool store_free(struct ring_run *run, struct reader *r, unsigned choice)
{
    if (choice > 0)
        return false;
    run->s.entry = ENTRY_FREE;
    run->s.generation = ++r->generation;
    r->closing = r->user = 0;
    return go_idle(r);
}

static const struct {
    const char *what;
    reader_fn fn;
} reader_steps[] = {
    [AT_OPEN] = {"reader_open_ring, ring_reader_sweep", open_ring},
    [AT_IDLE] = {"doorbell_take, process_reap or reclaim", idle},
    [AT_EXAMINE] = {"examine_once: load control", examine},
    [AT_EXAMINE_TAIL] = {"examine_free: load tail", examine_tail},
    [AT_EXAMINE_AGAIN] = {"examine_free: load control again", examine_again},
    [AT_TIMEOUT] = {"a time-out", take_on_timeout},
    [AT_PAYLOAD] = {"reader_load_record: deliver", deliver},
    [AT_CONSUMED] = {"reader_give_back: store consumed", store_consumed},
    [AT_STAMP] = {"reader_stamp", stamp},
    [AT_FREED] = {"reader_give_back: store freed", store_freed},
    [AT_REAP] = {"process_resolve_slot: load current_ring", reap},
    [AT_REAP_TAIL] = {"claim_discard_of: load tail", reap_tail},
    [AT_REAP_LAST] = {"claim_discard_of: CAS control of the last claim", reap_last},
    [AT_REAP_WALK] = {"claim_discard_busy: load control", reap_walk},
    [AT_REAP_BUSY] = {"claim_discard_busy: CAS control to DISCARDED", reap_busy},
    [AT_REAP_BELL] = {"process_resolve_slot: doorbell_mark", reap_bell},
    [AT_REAP_SLOT] = {"process_free_slots", reap_slot},
    [AT_CLOSE] = {"reclaim_close: CAS tail to CLOSED", close_tail},
    [AT_RETIRE] = {"directory_retire: store the entry's word", retire},
    [AT_NAMED] = {"reclaim_note_named: load current_ring of a slot", named},
    [AT_PUNCH] = {"arena_punch_ring", punch},
    [AT_BASE_LAP] = {"reclaim_refresh: store base_lap", store_base_lap},
    [AT_POSITIONS] = {"reclaim_refresh: store free_seen, freed, consumed", store_positions},
    [AT_TAIL] = {"reclaim_refresh: store tail", store_tail},
    [AT_FREE] = {"reclaim_finish: store the entry's word", store_free},
};

bool reader_step(struct ring_run *run, unsigned choice)
{
    struct reader *r = &run->s.reader;

    run->what = reader_steps[r->at].what;
    return reader_steps[r->at].fn(run, r, choice);
}

void reader_die(struct ring_run *run)
{
    memset(&run->s.reader, 0, sizeof run->s.reader);
    run->s.by_reader = 0;
}
