/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of a user's rings, and the model as a whole. */
#include "growth-model.h"

#include <string.h>

enum at {
    AT_SWEEP, /* a new reader, ring by ring */
    AT_IDLE,
    AT_TURN,
    AT_EXAMINE,
    AT_EXAMINE_TAIL,
    AT_EXAMINE_AGAIN,
    AT_END,
    AT_RELEASE,
    AT_REAP_TAIL,
    AT_REAP,
    AT_FREE_SLOT,
    AT_NAMED,
};

typedef bool (*reader_fn)(struct grow_run *run, struct grow_reader *r);

static const char *const writer_names[GROW_WRITERS] = {"writer 1", "writer 2", "writer 3"};

static bool go(struct grow_reader *r, uint8_t at)
{
    r->at = at;
    return true;
}

static bool go_idle(struct grow_reader *r)
{
    r->ring = r->index = 0;
    memset(&r->tail, 0, sizeof r->tail);
    return go(r, AT_IDLE);
}

static void mark_successor(struct grow_run *run, uint8_t ring)
{
    if (ring + 1 < GROW_RINGS && run->variant != GROW_SILENT_END)
        run->s.rings[ring + 1].bell = 1;
}

/* reader_is_finished */
static bool is_finished(struct grow_run *run, uint8_t ring, bool at_end)
{
    struct grow_view *view = &run->s.reader.views[ring];
    const struct grow_tail *tail = &run->s.rings[ring].tail;

    if (view->finished)
        return true;
    view->finished = tail->closed && tail->position == view->cursor;
    if (view->finished && (at_end || run->variant != GROW_MARKED_ONCE))
        mark_successor(run, ring);
    return view->finished;
}

/* reader_admit. That the rings before it are closed is seen at once: a closed tail stays. */
static bool admit(struct grow_run *run, uint8_t ring)
{
    struct grow_view *view = &run->s.reader.views[ring];

    if (view->open)
        return true;
    for (uint8_t i = 0; i < ring; i++)
        if (!run->s.rings[i].tail.closed)
            return false;
    view->open = 1;
    view->cursor = run->s.rings[ring].consumed;
    if (run->variant != GROW_READ_AFTER_END)
        is_finished(run, ring, false);
    return true;
}

static bool sweep(struct grow_run *run, struct grow_reader *r)
{
    struct grow_ring *ring = &run->s.rings[r->ring];

    if (admit(run, r->ring) && ring->tail.position != r->views[r->ring].cursor)
        ring->bell = 1;
    if (r->ring + 1 == GROW_RINGS)
        return go_idle(r);
    r->ring++;
    return true;
}

/* ---- Between turns ---- */

static bool begin_drain(struct grow_run *run, struct grow_reader *r, uint8_t ring)
{
    if (!run->s.rings[ring].bell)
        return false;
    run->s.rings[ring].bell = 0;
    r->ring = ring;
    return admit(run, ring) ? go(r, AT_TURN) : go_idle(r);
}

static bool begin_reap(struct grow_run *run, struct grow_reader *r)
{
    for (uint8_t i = 0; i < run->bounds->writers; i++) {
        const struct grow_writer *w = &run->s.writers[i];

        if (!w->dead)
            continue;
        r->index = i;
        if (w->current_ring == 0)
            return go(r, AT_FREE_SLOT);
        r->ring = (uint8_t)(w->current_ring - 1);
        return go(r, AT_REAP_TAIL);
    }
    return false;
}

/* reclaim_can_punch */
static bool begin_punch(struct grow_run *run, struct grow_reader *r, uint8_t ring)
{
    const struct grow_ring *shared = &run->s.rings[ring];
    const struct grow_view *view = &r->views[ring];

    if (run->s.punches_left == 0 || !view->open || view->punched || !shared->tail.closed ||
        shared->consumed != shared->tail.position || !is_finished(run, ring, false))
        return false;
    run->s.punches_left--;
    r->ring = ring;
    return go(r, AT_NAMED);
}

static bool idle(struct grow_run *run, unsigned choice)
{
    struct grow_reader *r = &run->s.reader;

    if (choice < GROW_RINGS)
        return begin_drain(run, r, (uint8_t)choice);
    if (choice == GROW_RINGS)
        return begin_reap(run, r);
    return begin_punch(run, r, (uint8_t)(choice - GROW_RINGS - 1));
}

/* ---- Draining ---- */

/* reader_is_its_turn, a ring at a time, then the ring itself. */
static bool turn(struct grow_run *run, struct grow_reader *r)
{
    if (r->index < r->ring && run->variant != GROW_OUT_OF_TURN) {
        if (!admit(run, r->index) || !is_finished(run, r->index, false))
            return go_idle(r);
        r->index++;
        return true;
    }
    r->index = 0;
    if (!r->views[r->ring].finished)
        return go(r, AT_EXAMINE);
    if (run->variant != GROW_MARKED_ONCE)
        mark_successor(run, r->ring);
    return go_idle(r);
}

static const char *judge(const struct grow_run *run, const struct grow_reader *r, unsigned message)
{
    uint8_t place = (uint8_t)(r->ring * GROW_PLACES + r->views[r->ring].cursor + 1);

    if (!grow_has(run->s.committed, message))
        return "delivered what nobody has committed";
    if (grow_has(run->s.by_reader, message))
        return "delivered twice by one reader";
    if (!grow_has(run->s.delivered, message) && place <= run->s.last)
        return "delivered before an earlier one";
    return NULL;
}

static void deliver(struct grow_run *run, struct grow_reader *r, unsigned message)
{
    uint8_t place = (uint8_t)(r->ring * GROW_PLACES + r->views[r->ring].cursor + 1);

    run->fault = run->fault ? run->fault : judge(run, r, message);
    grow_add(run->s.by_reader, message);
    grow_add(run->s.delivered, message);
    if (place > run->s.last)
        run->s.last = place;
}

static bool examine(struct grow_run *run, struct grow_reader *r)
{
    struct grow_view *view = &r->views[r->ring];
    struct grow_control word;

    /* Everything there is handed out and not released. */
    if (view->cursor >= run->s.rings[r->ring].consumed + run->bounds->room[r->ring])
        return go(r, AT_END);
    word = *grow_control(run, r->ring, view->cursor);
    switch (word.kind) {
    case GROW_FREE: return go(r, AT_EXAMINE_TAIL);
    case GROW_BUSY: return go(r, AT_END);
    case GROW_COMMITTED: deliver(run, r, word.message - 1u); break;
    default: break;
    }
    view->cursor++;
    return true;
}

static bool examine_tail(struct grow_run *run, struct grow_reader *r)
{
    struct grow_tail tail = run->s.rings[r->ring].tail;
    uint8_t cursor = r->views[r->ring].cursor;

    if (tail.position == cursor || (tail.position == cursor + 1 && !tail.closed))
        return go(r, AT_END);
    return go(r, AT_EXAMINE_AGAIN);
}

static bool examine_again(struct grow_run *run, struct grow_reader *r)
{
    if (grow_control(run, r->ring, r->views[r->ring].cursor)->kind == GROW_FREE)
        run->fault = "quarantined: a claim without a header before the last one";
    return go(r, AT_EXAMINE);
}

static bool end(struct grow_run *run, struct grow_reader *r)
{
    is_finished(run, r->ring, true);
    return r->views[r->ring].cursor > run->s.rings[r->ring].consumed ? go(r, AT_RELEASE)
                                                                     : go_idle(r);
}

static bool release(struct grow_run *run, struct grow_reader *r)
{
    run->s.rings[r->ring].consumed = r->views[r->ring].cursor;
    return go_idle(r);
}

/* ---- The dead, and the memory of rings at their end ---- */

static bool reap_tail(struct grow_run *run, struct grow_reader *r)
{
    r->tail = run->s.rings[r->ring].tail;
    return go(r, AT_REAP);
}

/* claim_discard_of, in one step; the ring model has it in several. */
static bool reap(struct grow_run *run, struct grow_reader *r)
{
    uint8_t owner = (uint8_t)(r->index + 1);

    for (uint8_t p = run->s.rings[r->ring].consumed; p < r->tail.position; p++) {
        struct grow_control *word = grow_control(run, r->ring, p);
        bool last = p + 1 == r->tail.position && r->tail.owner == owner;

        if ((word->kind == GROW_BUSY && word->owner == owner) || (word->kind == GROW_FREE && last))
            *word = (struct grow_control){GROW_DISCARDED, owner, 0};
    }
    run->s.rings[r->ring].bell = 1;
    return go(r, AT_FREE_SLOT);
}

static bool free_slot(struct grow_run *run, struct grow_reader *r)
{
    run->s.writers[r->index].dead = 0;
    run->s.writers[r->index].ring = 0; /* another process looks it up from the first */
    grow_writer_turn(run, r->index);
    if (!grow_writer_is_done(run, r->index))
        run->s.writers[r->index].at = 0;
    return go_idle(r);
}

/* reclaim_note_named, a slot at a time. */
static bool named(struct grow_run *run, struct grow_reader *r)
{
    if (run->variant != GROW_PUNCHED_UNSEEN) {
        if (run->s.writers[r->index].current_ring == r->ring + 1)
            return go_idle(r);
        if (++r->index < run->bounds->writers)
            return true;
    }
    run->s.rings[r->ring].punched = 1;
    r->views[r->ring].punched = 1;
    return go_idle(r);
}

static const struct {
    const char *what;
    reader_fn fn;
} steps[] = {
    [AT_SWEEP] = {"ring_reader_sweep", sweep},
    [AT_IDLE] = {"doorbell_take, process_reap or reclaim_can_punch", NULL},
    [AT_TURN] = {"reader_is_its_turn: load tail", turn},
    [AT_EXAMINE] = {"examine_once: load control, deliver", examine},
    [AT_EXAMINE_TAIL] = {"examine_free: load tail", examine_tail},
    [AT_EXAMINE_AGAIN] = {"examine_free: load control again", examine_again},
    [AT_END] = {"ring_reader_next: reader_is_finished", end},
    [AT_RELEASE] = {"reader_give_back", release},
    [AT_REAP_TAIL] = {"claim_discard_of: load tail", reap_tail},
    [AT_REAP] = {"claim_discard_of, doorbell_mark", reap},
    [AT_FREE_SLOT] = {"process_free_slots", free_slot},
    [AT_NAMED] = {"reclaim_note_named: load current_ring", named},
};

bool grow_reader_step(struct grow_run *run, unsigned choice)
{
    struct grow_reader *r = &run->s.reader;

    run->what = steps[r->at].what;
    if (r->at == AT_IDLE)
        return idle(run, choice);
    return choice == 0 && steps[r->at].fn(run, r);
}

/* ---- The model ---- */

static struct grow_run grow_run_of(const struct grow_check *check, const void *state)
{
    struct grow_run run = {.bounds = check->bounds, .variant = check->variant};

    memcpy(&run.s, state, sizeof run.s);
    return run;
}

static void grow_reach(struct checker *checker, const struct grow_run *run, const char *who)
{
    struct reached reached = {&run->s, who, run->what, run->fault};

    checker_reach(checker, &reached);
}

static void grow_init(const void *context, void *ret_state)
{
    const struct grow_bounds *bounds = ((const struct grow_check *)context)->bounds;
    struct grow_state *s = ret_state;

    s->writer_deaths_left = bounds->writer_deaths;
    s->reader_deaths_left = bounds->reader_deaths;
    s->punches_left = bounds->punches;
}

static void grow_step_writer(
    struct checker *checker, const struct grow_check *check, const void *state, unsigned index)
{
    struct grow_run run = grow_run_of(check, state);
    struct grow_writer *w = &run.s.writers[index];

    if (grow_writer_step(&run, index))
        grow_reach(checker, &run, writer_names[index]);
    run = grow_run_of(check, state);
    if (run.s.writer_deaths_left == 0 || w->dead || grow_writer_is_done(&run, index))
        return;
    run.s.writer_deaths_left--;
    *w = (struct grow_writer){.dead = 1, .emit = w->emit, .current_ring = w->current_ring};
    run.what = "dies";
    grow_reach(checker, &run, writer_names[index]);
}

static void grow_step(struct checker *checker, const void *context, const void *state)
{
    const struct grow_check *check = context;
    struct grow_run run;

    for (unsigned i = 0; i < check->bounds->writers; i++)
        grow_step_writer(checker, check, state, i);
    for (unsigned choice = 0; choice < GROW_CHOICES; choice++) {
        run = grow_run_of(check, state);
        if (grow_reader_step(&run, choice))
            grow_reach(checker, &run, "reader");
    }
    run = grow_run_of(check, state);
    if (run.s.reader_deaths_left == 0)
        return;
    run.s.reader_deaths_left--;
    memset(&run.s.reader, 0, sizeof run.s.reader);
    memset(run.s.by_reader, 0, sizeof run.s.by_reader);
    run.what = "dies";
    grow_reach(checker, &run, "reader");
}

static const char *grow_end(const void *context, const void *state)
{
    const struct grow_check *check = context;
    struct grow_run run = grow_run_of(check, state);

    for (unsigned i = 0; i < check->bounds->writers; i++)
        if (!grow_writer_is_done(&run, i))
            return "stuck: a writer waits for ever";
    if (memcmp(run.s.delivered, run.s.committed, sizeof run.s.delivered) != 0)
        return "lost: a committed record is never delivered";
    for (unsigned i = 0; i < GROW_RINGS; i++)
        if (run.s.rings[i].consumed != run.s.rings[i].tail.position)
            return "stuck: a ring is never empty again";
    return NULL;
}

struct model grow_model(const struct grow_check *check)
{
    return (struct model){
        .state_size = sizeof(struct grow_state),
        .context = check,
        .init = grow_init,
        .step = grow_step,
        .end = grow_end,
    };
}
