/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbell-model.h"

#include <string.h>

enum writer_at {
    AT_COMMIT,
    AT_RING_LOOK, /* each look is followed by its set */
    AT_RING_SET,
    AT_WORD_LOOK,
    AT_WORD_SET,
    AT_SLEEPING,
    AT_WIN,
    AT_BELL,
    AT_LEAVE,
    AT_DONE,
};

enum reader_at {
    AT_START,
    AT_SWEEP,
    AT_TAKE_WORDS,
    AT_TAKE_RINGS,
    AT_DRAIN,
    AT_MARK_WORD,
    AT_REAP,
    AT_FREE_SLOT,
    AT_PREPARE,
    AT_LOOK,
    AT_UNPREPARE,
    AT_ASLEEP,
    AT_AWAKE,
    AT_EMPTY_FIFO,
};

struct bell_writer {
    uint8_t at;
    uint8_t emit;
    uint8_t dead;
    uint8_t current_ring; /* 1 + ring */
};

struct bell_reader {
    uint8_t at;
    uint8_t words; /* taken and not done with, bits */
    uint8_t rings;
    uint8_t ring;
    uint8_t then; /* after marking */
    uint8_t dead; /* the writer being reaped */
};

struct bell_state {
    uint8_t committed[BELL_RINGS]; /* and not drained */
    uint8_t bits;                  /* of rings */
    uint8_t summary;               /* of words */
    uint8_t sleeping;
    uint8_t fifo;
    struct bell_writer writers[BELL_WRITERS];
    struct bell_reader reader;
    uint8_t writer_deaths_left;
    uint8_t reader_deaths_left;
};

struct bell_run {
    struct bell_state s;
    const struct bell_bounds *bounds;
    enum bell_variant variant;
    const char *what;
};

static const char *const writer_names[BELL_WRITERS] = {"writer 1", "writer 2", "writer 3"};

static uint8_t bit(unsigned i)
{
    return (uint8_t)(1u << i);
}

static uint8_t word_of(unsigned ring)
{
    return (uint8_t)(ring / 2);
}

/* The bits of the rings of a word. */
static uint8_t rings_of(unsigned word)
{
    return (uint8_t)(3u << (word * 2));
}

/* ---- A writer ---- */

static uint8_t bell_emit_ring(const struct bell_run *run, unsigned index)
{
    uint8_t emit = run->s.writers[index].emit;

    return emit < BELL_EMITS ? run->bounds->rings[index][emit] : 0;
}

static void bell_writer_turn(struct bell_run *run, unsigned index)
{
    struct bell_writer *w = &run->s.writers[index];
    uint8_t emit = (uint8_t)(w->emit + 1);

    memset(w, 0, sizeof *w);
    w->emit = emit;
    if (bell_emit_ring(run, index) == 0)
        w->at = AT_DONE;
}

/* Where a writer goes on after the commit, after a bit, and after the waking. */
static uint8_t bell_after(const struct bell_run *run, enum writer_at done)
{
    static const uint8_t sound[] = {[AT_COMMIT] = AT_RING_LOOK,
        [AT_RING_SET] = AT_WORD_LOOK,
        [AT_WORD_SET] = AT_SLEEPING,
        [AT_BELL] = AT_LEAVE};
    static const uint8_t word_first[] = {[AT_COMMIT] = AT_WORD_LOOK,
        [AT_WORD_SET] = AT_RING_LOOK,
        [AT_RING_SET] = AT_SLEEPING,
        [AT_BELL] = AT_LEAVE};
    static const uint8_t sleeping_first[] = {[AT_COMMIT] = AT_SLEEPING,
        [AT_BELL] = AT_RING_LOOK,
        [AT_RING_SET] = AT_WORD_LOOK,
        [AT_WORD_SET] = AT_LEAVE};

    if (run->variant == BELL_WORD_BEFORE_RING)
        return word_first[done];
    return run->variant == BELL_SLEEPING_FIRST ? sleeping_first[done] : sound[done];
}

static void bell_set(struct bell_run *run, struct bell_writer *w, uint8_t *word, uint8_t mask)
{
    *word |= mask;
    w->at = bell_after(run, w->at);
}

static void bell_look(struct bell_run *run, struct bell_writer *w, uint8_t word, uint8_t mask)
{
    uint8_t set = (uint8_t)(w->at + 1);

    w->at = word & mask ? bell_after(run, set) : set;
}

static bool bell_writer_step(struct bell_run *run, unsigned index)
{
    static const char *const names[] = {
        [AT_COMMIT] = "claim_settle: CAS control to COMMITTED",
        [AT_RING_LOOK] = "doorbell_set: load the ring's bit",
        [AT_RING_SET] = "doorbell_set: set the ring's bit",
        [AT_WORD_LOOK] = "doorbell_set: load the word's bit",
        [AT_WORD_SET] = "doorbell_set: set the word's bit",
        [AT_SLEEPING] = "doorbell_wake: load sleeping",
        [AT_WIN] = "doorbell_wake: exchange sleeping",
        [AT_BELL] = "doorbell_wake: write to the FIFO",
        [AT_LEAVE] = "writer_leave",
    };
    struct bell_state *s = &run->s;
    struct bell_writer *w = &s->writers[index];
    unsigned ring = bell_emit_ring(run, index) - 1u;

    if (w->dead || w->at == AT_DONE)
        return false;
    run->what = names[w->at];
    switch (w->at) {
    case AT_COMMIT:
        w->current_ring = (uint8_t)(ring + 1);
        s->committed[ring]++;
        w->at = bell_after(run, AT_COMMIT);
        break;
    case AT_RING_LOOK: bell_look(run, w, s->bits, bit(ring)); break;
    case AT_RING_SET: bell_set(run, w, &s->bits, bit(ring)); break;
    case AT_WORD_LOOK: bell_look(run, w, s->summary, bit(word_of(ring))); break;
    case AT_WORD_SET: bell_set(run, w, &s->summary, bit(word_of(ring))); break;
    case AT_SLEEPING: w->at = s->sleeping ? AT_WIN : bell_after(run, AT_BELL); break;
    case AT_WIN:
        w->at = s->sleeping ? AT_BELL : bell_after(run, AT_BELL);
        s->sleeping = 0;
        break;
    case AT_BELL:
        s->fifo = 1;
        w->at = bell_after(run, AT_BELL);
        break;
    default: bell_writer_turn(run, index); break;
    }
    return true;
}

/* ---- The reader ---- */

typedef bool (*bell_reader_fn)(struct bell_run *run, struct bell_reader *r);

static bool bell_goto(struct bell_reader *r, uint8_t at)
{
    r->at = at;
    return true;
}

static uint8_t lowest(uint8_t bits)
{
    return (uint8_t)__builtin_ctz(bits);
}

/* What was taken and is not done with yet, or the end of the turn. */
static uint8_t bell_rest(const struct bell_reader *r)
{
    return r->rings ? AT_DRAIN : r->words ? AT_TAKE_RINGS : AT_REAP;
}

static bool bell_start(struct bell_run *run, struct bell_reader *r)
{
    run->s.sleeping = run->s.fifo = 0;
    return bell_goto(r, AT_SWEEP);
}

static bool bell_sweep(struct bell_run *run, struct bell_reader *r)
{
    for (unsigned ring = 0; ring < BELL_RINGS; ring++) {
        if (run->s.committed[ring] == 0)
            continue;
        run->s.bits |= bit(ring);
        run->s.summary |= bit(word_of(ring));
    }
    return bell_goto(r, AT_TAKE_WORDS);
}

static bool bell_take_words(struct bell_run *run, struct bell_reader *r)
{
    if (run->variant == BELL_RINGS_TAKEN_FIRST) {
        r->rings = run->s.bits;
        run->s.bits = 0;
        return bell_goto(r, AT_TAKE_RINGS);
    }
    r->words = run->s.summary;
    run->s.summary = 0;
    return bell_goto(r, bell_rest(r));
}

static bool bell_take_rings(struct bell_run *run, struct bell_reader *r)
{
    if (run->variant == BELL_RINGS_TAKEN_FIRST) {
        run->s.summary = 0;
    } else {
        uint8_t word = lowest(r->words);

        r->words &= (uint8_t)~bit(word);
        r->rings = run->s.bits & rings_of(word);
        run->s.bits &= (uint8_t)~rings_of(word);
    }
    return bell_goto(r, bell_rest(r));
}

/* doorbell_mark, by the reader: the ring's bit here, the word's bit next. */
static bool bell_mark(struct bell_run *run, struct bell_reader *r, uint8_t ring)
{
    run->s.bits |= bit(ring);
    r->ring = ring;
    return bell_goto(r, AT_MARK_WORD);
}

static bool bell_mark_word(struct bell_run *run, struct bell_reader *r)
{
    run->s.summary |= bit(word_of(r->ring));
    r->ring = 0;
    r->at = r->then;
    r->then = 0;
    return true;
}

/* A budget of one record a turn; what is left is marked again. */
static bool bell_drain(struct bell_run *run, struct bell_reader *r)
{
    uint8_t ring = lowest(r->rings), *committed = &run->s.committed[ring];

    r->rings &= (uint8_t)~bit(ring);
    if (*committed > 0)
        --*committed;
    if (*committed == 0 || run->variant == BELL_NOT_MARKED_AGAIN)
        return bell_goto(r, bell_rest(r));
    r->then = bell_rest(r);
    return bell_mark(run, r, ring);
}

static int bell_dead_writer(const struct bell_run *run)
{
    for (unsigned i = 0; i < run->bounds->writers; i++)
        if (run->s.writers[i].dead)
            return (int)i;
    return -1;
}

static bool bell_reap(struct bell_run *run, struct bell_reader *r)
{
    int dead = bell_dead_writer(run);
    uint8_t named = dead < 0 ? 0 : run->s.writers[dead].current_ring;

    if (dead < 0)
        return bell_goto(r, AT_PREPARE);
    r->dead = (uint8_t)dead;
    if (named == 0 || run->variant == BELL_SILENT_DEATH)
        return bell_goto(r, AT_FREE_SLOT);
    r->then = AT_FREE_SLOT;
    return bell_mark(run, r, (uint8_t)(named - 1));
}

static bool bell_free_slot(struct bell_run *run, struct bell_reader *r)
{
    bell_writer_turn(run, r->dead);
    r->dead = 0;
    return bell_goto(r, AT_REAP);
}

static bool bell_prepare(struct bell_run *run, struct bell_reader *r)
{
    run->s.sleeping = 1;
    return bell_goto(r, run->variant == BELL_NO_SECOND_LOOK ? AT_ASLEEP : AT_LOOK);
}

static bool bell_look_again(struct bell_run *run, struct bell_reader *r)
{
    return bell_goto(r, run->s.summary ? AT_UNPREPARE : AT_ASLEEP);
}

static bool bell_unprepare(struct bell_run *run, struct bell_reader *r)
{
    run->s.sleeping = 0;
    return bell_goto(r, AT_TAKE_WORDS);
}

/* Deaths reach the reader's loop by themselves. */
static bool bell_asleep(struct bell_run *run, struct bell_reader *r)
{
    return run->s.fifo || bell_dead_writer(run) >= 0 ? bell_goto(r, AT_AWAKE) : false;
}

static bool bell_awake(struct bell_run *run, struct bell_reader *r)
{
    run->s.sleeping = 0;
    return bell_goto(r, AT_EMPTY_FIFO);
}

static bool bell_empty_fifo(struct bell_run *run, struct bell_reader *r)
{
    run->s.fifo = 0;
    return bell_goto(r, AT_TAKE_WORDS);
}

static const struct {
    const char *what;
    bell_reader_fn fn;
} bell_reader_steps[] = {
    [AT_START] = {"ring_reader_new: doorbell_awake", bell_start},
    [AT_SWEEP] = {"ring_reader_sweep", bell_sweep},
    [AT_TAKE_WORDS] = {"doorbell_take: exchange the summary", bell_take_words},
    [AT_TAKE_RINGS] = {"doorbell_take_word: exchange the rings' bits", bell_take_rings},
    [AT_DRAIN] = {"ring_reader_next, within a budget", bell_drain},
    [AT_MARK_WORD] = {"doorbell_mark: the word's bit", bell_mark_word},
    [AT_REAP] = {"process_resolve_slot: load current_ring", bell_reap},
    [AT_FREE_SLOT] = {"process_free_slots", bell_free_slot},
    [AT_PREPARE] = {"doorbell_prepare_sleep: store sleeping", bell_prepare},
    [AT_LOOK] = {"doorbell_has_news: load the summary", bell_look_again},
    [AT_UNPREPARE] = {"doorbell_prepare_sleep: there is news", bell_unprepare},
    [AT_ASLEEP] = {"wakes up", bell_asleep},
    [AT_AWAKE] = {"doorbell_awake: store sleeping", bell_awake},
    [AT_EMPTY_FIFO] = {"doorbell_awake: empty the FIFO", bell_empty_fifo},
};

static bool bell_reader_step(struct bell_run *run)
{
    struct bell_reader *r = &run->s.reader;

    run->what = bell_reader_steps[r->at].what;
    return bell_reader_steps[r->at].fn(run, r);
}

/* ---- The model ---- */

static struct bell_run bell_run_of(const struct bell_check *check, const void *state)
{
    struct bell_run run = {.bounds = check->bounds, .variant = check->variant};

    memcpy(&run.s, state, sizeof run.s);
    return run;
}

static void bell_reach(struct checker *checker, const struct bell_run *run, const char *who)
{
    struct reached reached = {.state = &run->s, .who = who, .what = run->what};

    checker_reach(checker, &reached);
}

static void bell_init(const void *context, void *ret_state)
{
    const struct bell_bounds *bounds = ((const struct bell_check *)context)->bounds;
    struct bell_state *s = ret_state;

    s->writer_deaths_left = bounds->writer_deaths;
    s->reader_deaths_left = bounds->reader_deaths;
    for (unsigned i = 0; i < BELL_WRITERS; i++)
        if (bounds->rings[i][0] == 0)
            s->writers[i].at = AT_DONE;
}

static void bell_step_writer(
    struct checker *checker, const struct bell_check *check, const void *state, unsigned index)
{
    struct bell_run run = bell_run_of(check, state);
    struct bell_writer *w = &run.s.writers[index];

    if (bell_writer_step(&run, index))
        bell_reach(checker, &run, writer_names[index]);
    run = bell_run_of(check, state);
    if (run.s.writer_deaths_left == 0 || w->dead || w->at == AT_DONE)
        return;
    run.s.writer_deaths_left--;
    w->at = 0;
    w->dead = 1;
    run.what = "dies";
    bell_reach(checker, &run, writer_names[index]);
}

static void bell_step(struct checker *checker, const void *context, const void *state)
{
    const struct bell_check *check = context;
    struct bell_run run = bell_run_of(check, state);

    for (unsigned i = 0; i < check->bounds->writers; i++)
        bell_step_writer(checker, check, state, i);
    if (bell_reader_step(&run))
        bell_reach(checker, &run, "reader");
    run = bell_run_of(check, state);
    if (run.s.reader_deaths_left == 0)
        return;
    run.s.reader_deaths_left--;
    memset(&run.s.reader, 0, sizeof run.s.reader);
    run.what = "dies";
    bell_reach(checker, &run, "reader");
}

static const char *bell_end(const void *context, const void *state)
{
    struct bell_run run = bell_run_of(context, state);

    for (unsigned ring = 0; ring < BELL_RINGS; ring++)
        if (run.s.committed[ring] > 0)
            return "a lost wake-up: the reader sleeps beside a committed record";
    return NULL;
}

struct model bell_model(const struct bell_check *check)
{
    return (struct model){
        .state_size = sizeof(struct bell_state),
        .context = check,
        .init = bell_init,
        .step = bell_step,
        .end = bell_end,
    };
}
