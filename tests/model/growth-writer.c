/* SPDX-License-Identifier: Apache-2.0 */
/* A writer that closes a full ring in favour of the next: writer_claim_room, writer_grow. */
#include <string.h>

#include "growth-model.h"

enum at {
    AT_NEWEST,
    AT_ENTER,
    AT_PLAN,
    AT_FITS,
    AT_WAIT,
    AT_HELP,
    AT_CLAIM,
    AT_COMMIT,
    AT_BELL,
    AT_LEAVE,
    AT_GROW,
    AT_GROW_HELP,
    AT_CLOSE,
    AT_STALE,
    AT_DONE,
};

typedef bool (*grow_fn)(struct grow_run *run, struct grow_writer *w, unsigned index);

static bool go(struct grow_writer *w, uint8_t at)
{
    w->at = at;
    return true;
}

void grow_writer_turn(struct grow_run *run, unsigned index)
{
    struct grow_writer *w = &run->s.writers[index];
    uint8_t emit = (uint8_t)(w->emit + 1), ring = w->ring;

    memset(w, 0, sizeof *w);
    w->emit = emit;
    w->ring = ring;
    w->at = emit >= run->bounds->emits[index] ? AT_DONE : AT_ENTER;
}

/* One look at one ring's tail. */
static bool newest(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)index;
    if (w->ring + 1 < GROW_RINGS && run->s.rings[w->ring].tail.closed)
        w->ring++;
    else
        w->at = AT_ENTER;
    return true;
}

static bool enter(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)run;
    (void)index;
    w->current_ring = (uint8_t)(w->ring + 1);
    return go(w, AT_PLAN);
}

static bool plan(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)index;
    w->seen = run->s.rings[w->ring].tail;
    return go(w, w->seen.closed ? AT_STALE : AT_FITS);
}

static bool has_room(const struct grow_run *run, uint8_t ring, uint8_t position)
{
    return position < run->s.rings[ring].consumed + run->bounds->room[ring];
}

static bool fits(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    bool other = w->seen.owner != 0 && w->seen.owner != index + 1;

    if (has_room(run, w->ring, w->seen.position))
        return go(w, other ? AT_HELP : AT_CLAIM);
    if (w->ring + 1 < GROW_RINGS)
        return go(w, AT_GROW);
    w->current_ring = 0;
    memset(&w->seen, 0, sizeof w->seen);
    return go(w, AT_WAIT);
}

static bool wait_space(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)index;
    return has_room(run, w->ring, run->s.rings[w->ring].tail.position) ? go(w, AT_ENTER) : false;
}

/* claim_help: places are used once, so the lap needs no looking at. */
static void help_last(struct grow_run *run, const struct grow_writer *w)
{
    struct grow_control *word;

    if (w->seen.owner == 0)
        return;
    word = grow_control(run, w->ring, (uint8_t)(w->seen.position - 1));
    if (word->kind == GROW_FREE)
        *word = (struct grow_control){GROW_BUSY, w->seen.owner, 0};
}

static bool help(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)index;
    help_last(run, w);
    return go(w, AT_CLAIM);
}

static bool claim(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    struct grow_tail *tail = &run->s.rings[w->ring].tail;

    if (!grow_tail_is(*tail, w->seen))
        return go(w, AT_PLAN);
    *tail = (struct grow_tail){(uint8_t)(w->seen.position + 1), (uint8_t)(index + 1), 0};
    return go(w, AT_COMMIT);
}

static bool commit(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    struct grow_control *word = grow_control(run, w->ring, w->seen.position);
    unsigned message = index * GROW_EMITS + w->emit;

    if (word->kind != GROW_FREE && (word->kind != GROW_BUSY || word->owner != index + 1))
        run->fault = "a living writer's claim was taken from it";
    *word = (struct grow_control){GROW_COMMITTED, (uint8_t)(index + 1), (uint8_t)(message + 1)};
    grow_add(run->s.committed, message);
    return go(w, AT_BELL);
}

static bool ring_bell(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)index;
    run->s.rings[w->ring].bell = 1;
    return go(w, AT_LEAVE);
}

static bool leave(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)w;
    grow_writer_turn(run, index);
    return true;
}

static bool grow(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)index;
    w->seen = run->s.rings[w->ring].tail;
    if (w->seen.closed)
        return go(w, AT_STALE);
    return go(w, run->variant == GROW_WITHOUT_HELP ? AT_CLOSE : AT_GROW_HELP);
}

static bool grow_help(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)index;
    help_last(run, w);
    return go(w, AT_CLOSE);
}

static bool close_tail(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    struct grow_tail *tail = &run->s.rings[w->ring].tail;

    (void)index;
    if (!grow_tail_is(*tail, w->seen))
        return go(w, AT_PLAN);
    *tail = (struct grow_tail){w->seen.position, 0, 1};
    return go(w, AT_STALE);
}

static bool stale(struct grow_run *run, struct grow_writer *w, unsigned index)
{
    (void)run;
    (void)index;
    w->current_ring = 0;
    memset(&w->seen, 0, sizeof w->seen);
    return go(w, AT_NEWEST);
}

static const struct {
    const char *what;
    grow_fn fn;
} steps[] = {
    [AT_NEWEST] = {"arena_newest_ring: load tail", newest},
    [AT_ENTER] = {"writer_enter: current_ring", enter},
    [AT_PLAN] = {"writer_plan: load tail", plan},
    [AT_FITS] = {"writer_fits: load freed", fits},
    [AT_WAIT] = {"ring_wait_space: there is room", wait_space},
    [AT_HELP] = {"claim_help: CAS control to BUSY", help},
    [AT_CLAIM] = {"writer_claim: CAS tail", claim},
    [AT_COMMIT] = {"claim_settle: CAS control to COMMITTED", commit},
    [AT_BELL] = {"doorbell_ring", ring_bell},
    [AT_LEAVE] = {"writer_leave", leave},
    [AT_GROW] = {"writer_grow: load tail", grow},
    [AT_GROW_HELP] = {"writer_grow: claim_help", grow_help},
    [AT_CLOSE] = {"writer_grow: CAS tail to CLOSED", close_tail},
    [AT_STALE] = {"writer_leave: stale", stale},
};

bool grow_writer_is_done(const struct grow_run *run, unsigned index)
{
    return run->s.writers[index].at == AT_DONE || run->bounds->emits[index] == 0;
}

bool grow_writer_step(struct grow_run *run, unsigned index)
{
    struct grow_writer *w = &run->s.writers[index];

    if (w->dead || grow_writer_is_done(run, index))
        return false;
    run->what = steps[w->at].what;
    return steps[w->at].fn(run, w, index);
}
