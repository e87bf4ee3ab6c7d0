/* SPDX-License-Identifier: Apache-2.0 */
/* A writer that looks for its user and, if there is none, links an entry: directory_obtain. */
#include <string.h>

#include "directory-model.h"

enum at {
    AT_LOOK,
    AT_HOLDS,
    AT_MATCH,
    AT_MATCH_TAIL,
    AT_NEXT,
    AT_WORD,
    AT_SAME,
    AT_COMPLETE,
    AT_TAKE, /* and the entries after it: one step each */
    AT_TAKE_1,
    AT_TAKE_2,
    AT_NAME,
    AT_TAKE_CAS,
    AT_FILL,
    AT_LINK_NEXT,
    AT_LINK,
    AT_OWN_WORD,
    AT_OWN_READY,
    AT_GIVE_BACK,
    AT_LEAVE,
    AT_DONE,
};

typedef void (*book_fn)(struct book_run *run, struct book_writer *w, unsigned index);

static uint8_t user_of(const struct book_run *run, unsigned index)
{
    uint8_t turn = run->s.writers[index].turn;

    return turn < BOOK_TURNS ? run->bounds->users[index][turn] : 0;
}

void book_writer_turn(struct book_run *run, unsigned index)
{
    struct book_writer *w = &run->s.writers[index];
    uint8_t turn = (uint8_t)(w->turn + 1);

    memset(w, 0, sizeof *w);
    w->turn = turn;
    w->at = user_of(run, index) == 0 ? AT_DONE : AT_LOOK;
}

/* ---- directory_look ---- */

static void look(struct book_run *run, struct book_writer *w, unsigned index)
{
    w->head = *book_chain(run, user_of(run, index));
    w->next = w->head.first;
    w->steps = w->found = 0;
    memset(&w->word, 0, sizeof w->word);
    w->at = w->next ? AT_HOLDS : AT_SAME;
}

static void holds(struct book_run *run, struct book_writer *w, unsigned index)
{
    w->at = run->s.entries[w->next - 1].user == user_of(run, index) ? AT_MATCH : AT_NEXT;
}

static void match(struct book_run *run, struct book_writer *w, unsigned index)
{
    uint8_t state = run->s.entries[w->next - 1].word.state;

    (void)index;
    w->at = state == BOOK_READY ? AT_MATCH_TAIL : AT_NEXT;
    if (state == BOOK_TAKEN) {
        w->found = w->next;
        w->at = AT_WORD;
    }
}

static void match_tail(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)index;
    w->at = AT_NEXT;
    if (!run->s.entries[w->next - 1].closed) {
        w->found = w->next;
        w->at = AT_WORD;
    }
}

static void next(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)index;
    w->next = run->s.entries[w->next - 1].next;
    /* Strayed into a circle: the code calls it damage, unless the head has changed. */
    if (w->next != 0 && ++w->steps > BOOK_ENTRIES)
        w->next = 0;
    w->at = w->next ? AT_HOLDS : AT_SAME;
}

static void load_word(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)index;
    w->word = run->s.entries[w->found - 1].word;
    w->at = AT_SAME;
}

static void same(struct book_run *run, struct book_writer *w, unsigned index)
{
    const struct book_head *head = book_chain(run, user_of(run, index));
    bool circle = w->steps > BOOK_ENTRIES;

    w->next = w->steps = 0;
    if ((head->version != w->head.version || head->first != w->head.first) &&
        run->variant != BOOK_HEAD_TRUSTED) {
        w->at = AT_LOOK;
        return;
    }
    if (circle)
        run->fault = "a chain that goes in a circle";
    if (w->found)
        w->at = AT_COMPLETE;
    else
        w->at = w->own ? AT_LINK_NEXT : AT_TAKE;
}

/* By whoever finds it: linked, so it is ready. */
static void complete(struct book_run *run, struct book_writer *w, unsigned index)
{
    if (w->word.state == BOOK_TAKEN)
        book_word_cas(&run->s.entries[w->found - 1].word, w->word, BOOK_READY, 0);
    if (w->own)
        w->at = AT_GIVE_BACK;
    else
        book_writer_turn(run, index);
}

/* ---- directory_insert ---- */

static void take(struct book_run *run, struct book_writer *w, unsigned index)
{
    unsigned entry = w->at - (unsigned)AT_TAKE;
    struct book_word word = run->s.entries[entry].word;

    if (word.state == BOOK_FREE) {
        w->word = word;
        w->own = (uint8_t)(entry + 1);
        w->at = AT_NAME;
    } else if (entry + 1 < BOOK_ENTRIES) {
        w->at++;
    } else {
        book_writer_turn(run, index); /* -ENOSPC, an answer */
    }
}

static void name(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)run;
    (void)index;
    w->current_ring = w->own;
    w->at = AT_TAKE_CAS;
}

static void take_cas(struct book_run *run, struct book_writer *w, unsigned index)
{
    bool won =
        book_word_cas(&run->s.entries[w->own - 1].word, w->word, BOOK_TAKEN, (uint8_t)(index + 1));

    memset(&w->word, 0, sizeof w->word);
    w->at = AT_FILL;
    if (won)
        return;
    /* On with the next entry, as the loop in directory_take. */
    w->at = (uint8_t)(AT_TAKE + w->own);
    w->own = 0;
    if (w->at > AT_TAKE_2)
        w->at = AT_LEAVE;
}

static void fill(struct book_run *run, struct book_writer *w, unsigned index)
{
    run->s.entries[w->own - 1].user = user_of(run, index);
    w->at = AT_LINK_NEXT;
}

static void link_next(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)index;
    run->s.entries[w->own - 1].next = w->head.first;
    w->at = AT_LINK;
}

static void link_front(struct book_run *run, struct book_writer *w, unsigned index)
{
    struct book_head *head = book_chain(run, user_of(run, index));

    if (book_head_cas(head, w->head, w->own)) {
        w->at = AT_OWN_WORD;
    } else if (run->variant == BOOK_LINKED_BLINDLY) {
        w->head = *head;
        w->at = AT_LINK_NEXT;
    } else {
        w->at = AT_LOOK;
    }
}

static void own_word(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)index;
    w->word = run->s.entries[w->own - 1].word;
    w->at = w->word.state == BOOK_TAKEN ? AT_OWN_READY : AT_LEAVE;
}

static void own_ready(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)index;
    book_word_cas(&run->s.entries[w->own - 1].word, w->word, BOOK_READY, 0);
    w->at = AT_LEAVE;
}

static void give_back(struct book_run *run, struct book_writer *w, unsigned index)
{
    struct book_word *word = &run->s.entries[w->own - 1].word;

    if (word->state == BOOK_TAKEN && word->owner == index + 1)
        *word = (struct book_word){BOOK_FREE, 0, word->generation};
    w->at = AT_LEAVE;
}

static void leave(struct book_run *run, struct book_writer *w, unsigned index)
{
    (void)w;
    book_writer_turn(run, index);
}

static const struct {
    const char *what;
    book_fn fn;
} steps[] = {
    [AT_LOOK] = {"directory_look: load head", look},
    [AT_HOLDS] = {"directory_holds: load the user", holds},
    [AT_MATCH] = {"directory_match: load the entry's word", match},
    [AT_MATCH_TAIL] = {"directory_is_retired: load tail", match_tail},
    [AT_NEXT] = {"directory_walk: load next", next},
    [AT_WORD] = {"directory_look: load the entry's word", load_word},
    [AT_SAME] = {"directory_look: load head again", same},
    [AT_COMPLETE] = {"directory_complete: CAS the entry's word to READY", complete},
    [AT_TAKE] = {"directory_take: load the first entry's word", take},
    [AT_TAKE_1] = {"directory_take: load the second entry's word", take},
    [AT_TAKE_2] = {"directory_take: load the third entry's word", take},
    [AT_NAME] = {"directory_take: store current_ring", name},
    [AT_TAKE_CAS] = {"directory_take: CAS the entry's word to TAKEN", take_cas},
    [AT_FILL] = {"directory_link: store the user", fill},
    [AT_LINK_NEXT] = {"directory_link: store next", link_next},
    [AT_LINK] = {"directory_link: CAS head", link_front},
    [AT_OWN_WORD] = {"directory_insert: load the entry's word", own_word},
    [AT_OWN_READY] = {"directory_complete: CAS the own entry's word to READY", own_ready},
    [AT_GIVE_BACK] = {"directory_give_back: CAS the entry's word to FREE", give_back},
    [AT_LEAVE] = {"directory_obtain: clear current_ring", leave},
};

bool book_writer_is_done(const struct book_run *run, unsigned index)
{
    return run->s.writers[index].at == AT_DONE;
}

bool book_writer_step(struct book_run *run, unsigned index)
{
    struct book_writer *w = &run->s.writers[index];

    if (w->dead || w->at == AT_DONE)
        return false;
    if (w->turn == 0 && user_of(run, index) == 0)
        return false;
    run->what = steps[w->at].what;
    steps[w->at].fn(run, w, index);
    return true;
}
