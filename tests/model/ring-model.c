/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-model.h"

#include <string.h>

static const char *const writer_names[RING_WRITERS] = {"writer 1", "writer 2", "writer 3"};

static void ring_init(const void *context, void *ret_state)
{
    const struct ring_bounds *b = ((const struct ring_check *)context)->bounds;
    struct ring_state *s = ret_state;

    /* As if records had gone through before: what is behind `start` is stamped for the next lap. */
    s->tail.position = s->free_seen = s->consumed = s->freed = b->start;
    s->entry = ENTRY_READY;
    s->generation = 1;
    s->user = 1;
    for (uint8_t p = 0; p < RING_CAPACITY; p++)
        s->control[p].lap = p < b->start % RING_CAPACITY;
    s->base_lap = (uint8_t)(b->start / RING_CAPACITY);
    s->writer_deaths_left = b->writer_deaths;
    s->reader_deaths_left = b->reader_deaths;
    s->reclaims_left = b->reclaims;
}

static struct ring_run ring_run_of(const struct ring_check *check, const void *state)
{
    struct ring_run run = {.bounds = check->bounds, .variant = check->variant};

    memcpy(&run.s, state, sizeof run.s);
    return run;
}

static void ring_reach(struct checker *checker, const struct ring_run *run, const char *who)
{
    struct reached reached = {&run->s, who, run->what, run->fault};

    checker_reach(checker, &reached);
}

static void ring_step_writer(
    struct checker *checker, const struct ring_check *check, const void *state, unsigned index)
{
    struct ring_run run = ring_run_of(check, state);

    if (writer_step(&run, index))
        ring_reach(checker, &run, writer_names[index]);
    run = ring_run_of(check, state);
    if (run.s.writer_deaths_left == 0 || run.s.writers[index].slot != SLOT_LIVE ||
        writer_is_done(&run, index))
        return;
    run.s.writer_deaths_left--;
    writer_die(&run, index);
    run.what = "dies";
    ring_reach(checker, &run, writer_names[index]);
}

static void ring_step_reader(
    struct checker *checker, const struct ring_check *check, const void *state)
{
    struct ring_run run;

    for (unsigned choice = 0; choice < READER_CHOICES; choice++) {
        run = ring_run_of(check, state);
        if (reader_step(&run, choice))
            ring_reach(checker, &run, "reader");
    }
    run = ring_run_of(check, state);
    if (run.s.reader_deaths_left == 0)
        return;
    run.s.reader_deaths_left--;
    reader_die(&run);
    run.what = "dies";
    ring_reach(checker, &run, "reader");
}

static void ring_step(struct checker *checker, const void *context, const void *state)
{
    const struct ring_check *check = context;

    for (unsigned i = 0; i < check->bounds->writers; i++)
        ring_step_writer(checker, check, state, i);
    ring_step_reader(checker, check, state);
}

static const char *ring_end(const void *context, const void *state)
{
    const struct ring_check *check = context;
    struct ring_run run = ring_run_of(check, state);

    for (unsigned i = 0; i < check->bounds->writers; i++)
        if (!writer_is_done(&run, i))
            return "stuck: a writer waits for ever";
    if (run.s.delivered != run.s.committed)
        return "lost: a committed record is never delivered";
    if (run.s.freed != run.s.tail.position)
        return "stuck: the ring is never empty again";
    return NULL;
}

struct model ring_model(const struct ring_check *check)
{
    return (struct model){
        .state_size = sizeof(struct ring_state),
        .context = check,
        .init = ring_init,
        .step = ring_step,
        .end = ring_end,
    };
}
