/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's part of the directory, process_reap and reclaim, and the model as a whole. */
#include "directory-model.h"

#include <string.h>

enum at {
    AT_IDLE,
    AT_REAP,
    AT_RESOLVE,
    AT_RESOLVE_CAS,
    AT_FREE_SLOT,
    AT_RETIRE,
    AT_UNLINK_LOOK,
    AT_UNLINK,
    AT_RAISE,
    AT_NAMED,
    AT_FRESH,
    AT_FREE,
};

typedef bool (*reader_fn)(struct book_run *run, struct book_reader *r);

static const char *const writer_names[BOOK_WRITERS] = {"writer 1", "writer 2", "writer 3"};

static struct book_entry *entry_of(struct book_run *run)
{
    return &run->s.entries[run->s.reader.entry];
}

static bool go_idle(struct book_reader *r)
{
    memset(r, 0, sizeof *r);
    return true;
}

/* ---- process_reap ---- */

static bool begin_reap(struct book_run *run, struct book_reader *r)
{
    for (unsigned i = 0; i < run->bounds->writers; i++) {
        if (!run->s.writers[i].dead)
            continue;
        memset(r, 0, sizeof *r);
        r->index = (uint8_t)i;
        r->at = AT_REAP;
        return true;
    }
    return false;
}

static bool reap(struct book_run *run, struct book_reader *r)
{
    uint8_t named = run->s.writers[r->index].current_ring;

    r->at = AT_FREE_SLOT;
    if (named == 0 || run->variant == BOOK_NEVER_RESOLVED)
        return true;
    r->entry = (uint8_t)(named - 1);
    r->word = entry_of(run)->word;
    if (r->word.state == BOOK_TAKEN && r->word.owner == r->index + 1)
        r->at = AT_RESOLVE;
    return true;
}

static bool resolve(struct book_run *run, struct book_reader *r)
{
    r->head = *book_chain(run, entry_of(run)->user);
    r->at = AT_RESOLVE_CAS;
    return true;
}

/* What others link in front meanwhile leaves what is behind it as it was: the walk is one step. */
static bool resolve_cas(struct book_run *run, struct book_reader *r)
{
    bool linked = book_is_linked(run, r->head.first, r->entry);

    if (run->variant == BOOK_FREED_UNSEEN)
        linked = false;
    book_word_cas(&entry_of(run)->word, r->word, linked ? BOOK_READY : BOOK_FREE, 0);
    r->at = AT_FREE_SLOT;
    return true;
}

static bool free_slot(struct book_run *run, struct book_reader *r)
{
    run->s.writers[r->index].dead = 0;
    book_writer_turn(run, r->index);
    return go_idle(r);
}

/* ---- reclaim ---- */

/* An entry that may be retired: a user's, by the closing of its ring; or one an earlier reader was
 * at. Which one is the choice. */
static bool begin_retire(struct book_run *run, struct book_reader *r, unsigned entry)
{
    struct book_entry *e = &run->s.entries[entry];

    if (e->word.state == BOOK_READY && !e->closed && run->s.reclaims_left > 0) {
        run->s.reclaims_left--;
        e->closed = 1;
    } else if (e->word.state != BOOK_RETIRING && !(e->word.state == BOOK_READY && e->closed)) {
        return false;
    }
    r->entry = (uint8_t)entry;
    r->at = AT_RETIRE;
    return true;
}

static bool retire(struct book_run *run, struct book_reader *r)
{
    entry_of(run)->word.state = BOOK_RETIRING;
    r->after = entry_of(run)->next;
    r->at = AT_UNLINK_LOOK;
    return true;
}

static bool unlink_look(struct book_run *run, struct book_reader *r)
{
    r->head = *book_chain(run, entry_of(run)->user);
    r->at = AT_UNLINK;
    return true;
}

/* The link that leads to it, found from the head as it was: nobody but the reader changes it. */
static bool unlink_middle(struct book_run *run, struct book_reader *r)
{
    uint8_t at = r->head.first, target = (uint8_t)(r->entry + 1);

    r->at = AT_RAISE;
    if (at == target || !book_is_linked(run, at, r->entry))
        return true;
    while (run->s.entries[at - 1].next != target)
        at = run->s.entries[at - 1].next;
    run->s.entries[at - 1].next = r->after;
    return true;
}

static bool raise_version(struct book_run *run, struct book_reader *r)
{
    struct book_head *head = book_chain(run, entry_of(run)->user);
    uint8_t first = r->head.first == r->entry + 1 ? r->after : r->head.first;

    if (run->variant == BOOK_VERSION_KEPT) {
        if (head->first == r->entry + 1)
            head->first = r->after;
    } else if (!book_head_cas(head, r->head, first)) {
        r->at = AT_UNLINK_LOOK;
        return true;
    }
    memset(&r->head, 0, sizeof r->head);
    r->after = 0;
    r->at = run->variant == BOOK_SLOTS_NOT_AWAITED ? AT_FRESH : AT_NAMED;
    return true;
}

/* Waits at a slot that names the entry's ring, where the code comes back later; the dead are reaped
 * meanwhile, after which it all begins again and finds less to do. */
static bool named(struct book_run *run, struct book_reader *r)
{
    const struct book_writer *w = &run->s.writers[r->index];

    if (w->current_ring == r->entry + 1)
        return w->dead ? begin_reap(run, r) : false;
    if (++r->index < run->bounds->writers)
        return true;
    r->index = 0;
    r->at = AT_FRESH;
    return true;
}

static bool refresh(struct book_run *run, struct book_reader *r)
{
    entry_of(run)->closed = 0;
    r->at = AT_FREE;
    return true;
}

static bool store_free(struct book_run *run, struct book_reader *r)
{
    uint8_t generation = entry_of(run)->word.generation;

    entry_of(run)->word = (struct book_word){BOOK_FREE, 0, (uint8_t)(generation + 1)};
    return go_idle(r);
}

static const struct {
    const char *what;
    reader_fn fn;
} steps[] = {
    [AT_IDLE] = {"process_reap, or reclaim_close: CAS tail", NULL},
    [AT_REAP] = {"process_resolve_slot: load the entry's word", reap},
    [AT_RESOLVE] = {"directory_resolve: load head", resolve},
    [AT_RESOLVE_CAS] = {"directory_resolve: CAS the entry's word", resolve_cas},
    [AT_FREE_SLOT] = {"process_free_slots", free_slot},
    [AT_RETIRE] = {"directory_retire: store the entry's word", retire},
    [AT_UNLINK_LOOK] = {"directory_unlink: load head", unlink_look},
    [AT_UNLINK] = {"directory_unlink: store the neighbour's next", unlink_middle},
    [AT_RAISE] = {"directory_unlink: CAS head", raise_version},
    [AT_NAMED] = {"reclaim_note_named: load current_ring of a slot", named},
    [AT_FRESH] = {"reclaim_refresh: store tail", refresh},
    [AT_FREE] = {"reclaim_finish: store the entry's word", store_free},
};

bool book_reader_step(struct book_run *run, unsigned choice)
{
    struct book_reader *r = &run->s.reader;

    run->what = steps[r->at].what;
    if (r->at == AT_IDLE)
        return choice == 0 ? begin_reap(run, r) : begin_retire(run, r, choice - 1);
    return choice == 0 && steps[r->at].fn(run, r);
}

/* ---- The model ---- */

static struct book_run book_run_of(const struct book_check *check, const void *state)
{
    struct book_run run = {.bounds = check->bounds, .variant = check->variant};

    memcpy(&run.s, state, sizeof run.s);
    return run;
}

/* Linked, and its user's as far as anyone can tell. */
static bool book_holds_user(const struct book_run *run, unsigned entry)
{
    const struct book_entry *e = &run->s.entries[entry];

    return (e->word.state == BOOK_TAKEN || (e->word.state == BOOK_READY && !e->closed)) &&
           book_is_linked(run, run->s.heads[e->user % BOOK_CHAINS].first, entry);
}

static const char *book_judge(const struct book_run *run)
{
    for (unsigned i = 0; i < BOOK_ENTRIES; i++) {
        const struct book_entry *e = &run->s.entries[i];

        if (e->word.state == BOOK_READY &&
            !book_is_linked(run, run->s.heads[e->user % BOOK_CHAINS].first, i))
            return "an entry is ready that nobody can find";
        for (unsigned j = 0; j < i; j++)
            if (e->user == run->s.entries[j].user && book_holds_user(run, i) &&
                book_holds_user(run, j))
                return "a user has two entries at once";
    }
    return NULL;
}

static void book_reach(struct checker *checker, const struct book_run *run, const char *who)
{
    const char *fault = run->fault ? run->fault : book_judge(run);
    struct reached reached = {&run->s, who, run->what, fault};

    checker_reach(checker, &reached);
}

static void book_init(const void *context, void *ret_state)
{
    const struct book_bounds *bounds = ((const struct book_check *)context)->bounds;
    struct book_state *s = ret_state;

    for (unsigned i = 0; i < BOOK_ENTRIES; i++)
        s->entries[i].word.generation = 1;
    s->writer_deaths_left = bounds->writer_deaths;
    s->reader_deaths_left = bounds->reader_deaths;
    s->reclaims_left = bounds->reclaims;
}

static void book_step_writer(
    struct checker *checker, const struct book_check *check, const void *state, unsigned index)
{
    struct book_run run = book_run_of(check, state);
    struct book_writer *w = &run.s.writers[index];

    if (book_writer_step(&run, index))
        book_reach(checker, &run, writer_names[index]);
    run = book_run_of(check, state);
    if (run.s.writer_deaths_left == 0 || w->dead || book_writer_is_done(&run, index))
        return;
    run.s.writer_deaths_left--;
    *w = (struct book_writer){.turn = w->turn, .dead = 1, .current_ring = w->current_ring};
    run.what = "dies";
    book_reach(checker, &run, writer_names[index]);
}

static void book_step(struct checker *checker, const void *context, const void *state)
{
    const struct book_check *check = context;
    struct book_run run;

    for (unsigned i = 0; i < check->bounds->writers; i++)
        book_step_writer(checker, check, state, i);
    for (unsigned choice = 0; choice < BOOK_CHOICES; choice++) {
        run = book_run_of(check, state);
        if (book_reader_step(&run, choice))
            book_reach(checker, &run, "reader");
    }
    run = book_run_of(check, state);
    if (run.s.reader_deaths_left == 0)
        return;
    run.s.reader_deaths_left--;
    memset(&run.s.reader, 0, sizeof run.s.reader);
    run.what = "dies";
    book_reach(checker, &run, "reader");
}

static const char *book_end(const void *context, const void *state)
{
    const struct book_check *check = context;
    struct book_run run = book_run_of(check, state);

    for (unsigned i = 0; i < check->bounds->writers; i++)
        if (!book_writer_is_done(&run, i))
            return "stuck: a writer never gets its user's entry";
    for (unsigned i = 0; i < BOOK_ENTRIES; i++) {
        uint8_t entry_state = run.s.entries[i].word.state;
        bool linked = book_is_linked(&run, run.s.heads[0].first, i) ||
                      book_is_linked(&run, run.s.heads[1].first, i);

        if (entry_state != BOOK_FREE && entry_state != BOOK_READY)
            return "stuck: an entry is neither free nor a user's";
        if (linked != (entry_state == BOOK_READY))
            return "an entry is linked and free";
    }
    return NULL;
}

struct model book_model(const struct book_check *check)
{
    return (struct model){
        .state_size = sizeof(struct book_state),
        .context = check,
        .init = book_init,
        .step = book_step,
        .end = book_end,
    };
}
