/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of the directory: common/ring/directory.c, with the parts of process.c and reclaim.c
 * that change it. Users hash to two chains; writers look for their users and link entries for them,
 * the reader retires entries and reaps the dead.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "checker.h"

#define BOOK_ENTRIES 3
#define BOOK_CHAINS 2
#define BOOK_WRITERS 3
#define BOOK_TURNS 2

enum book_variant {
    BOOK_SOUND,
    BOOK_HEAD_TRUSTED,      /* a look counts although the head has changed */
    BOOK_VERSION_KEPT,      /* unlinking leaves the head's version as it is */
    BOOK_LINKED_BLINDLY,    /* after a lost CAS the user is not looked for again */
    BOOK_FREED_UNSEEN,      /* the reaper does not look whether the entry is linked */
    BOOK_SLOTS_NOT_AWAITED, /* an entry is free before its slots have let go */
    BOOK_NEVER_RESOLVED,    /* the reaper leaves the entries of the dead alone */
};

struct book_bounds {
    uint8_t writers;
    uint8_t writer_deaths;
    uint8_t reader_deaths;
    uint8_t reclaims;
    uint8_t users[BOOK_WRITERS][BOOK_TURNS]; /* each writer's, one after the other; 0: no more */
};

struct book_check {
    const char *name;
    const struct book_bounds *bounds;
    enum book_variant variant;
    const char *fault; /* as which the variant must be caught, or how that begins */
};

enum book_entry_state { BOOK_FREE, BOOK_TAKEN, BOOK_READY, BOOK_RETIRING };

struct book_word {
    uint8_t state;
    uint8_t owner;
    uint8_t generation;
};

struct book_entry {
    struct book_word word;
    uint8_t user;   /* id and tag */
    uint8_t next;   /* entry + 1 */
    uint8_t closed; /* the tail of its ring, for good */
};

struct book_head {
    uint8_t version;
    uint8_t first; /* entry + 1 */
};

struct book_writer {
    uint8_t at;
    uint8_t turn;
    uint8_t dead;
    uint8_t current_ring;  /* entry + 1 */
    struct book_head head; /* as the look found it */
    uint8_t next;          /* of the walk, entry + 1 */
    uint8_t steps;
    uint8_t found; /* entry + 1 */
    uint8_t own;   /* taken, entry + 1 */
    struct book_word word;
};

struct book_reader {
    uint8_t at;
    uint8_t index; /* a writer's */
    uint8_t entry;
    uint8_t after;
    struct book_head head;
    struct book_word word;
};

struct book_state {
    struct book_head heads[BOOK_CHAINS];
    struct book_entry entries[BOOK_ENTRIES];
    struct book_writer writers[BOOK_WRITERS];
    struct book_reader reader;
    uint8_t writer_deaths_left;
    uint8_t reader_deaths_left;
    uint8_t reclaims_left;
};

/* One step being taken. */
struct book_run {
    struct book_state s;
    const struct book_bounds *bounds;
    enum book_variant variant;
    const char *what;
    const char *fault;
};

static inline struct book_head *book_chain(struct book_run *run, uint8_t user)
{
    return &run->s.heads[user % BOOK_CHAINS];
}

static inline bool book_head_cas(struct book_head *head, struct book_head from, uint8_t first)
{
    if (head->version != from.version || head->first != from.first)
        return false;
    *head = (struct book_head){(uint8_t)(from.version + 1), first};
    return true;
}

static inline bool book_word_cas(
    struct book_word *word, struct book_word from, enum book_entry_state state, uint8_t owner)
{
    if (word->state != from.state || word->owner != from.owner ||
        word->generation != from.generation)
        return false;
    *word = (struct book_word){(uint8_t)state, owner, from.generation};
    return true;
}

/* Whether an entry can be reached from its user's head, or from `first`. */
static inline bool book_is_linked(const struct book_run *run, uint8_t first, unsigned entry)
{
    for (unsigned steps = 0; first != 0 && steps <= BOOK_ENTRIES; steps++) {
        if (first == entry + 1)
            return true;
        first = run->s.entries[first - 1].next;
    }
    return false;
}

/* False: it cannot take a step now. */
bool book_writer_step(struct book_run *run, unsigned index);
bool book_writer_is_done(const struct book_run *run, unsigned index);
/* Its next user; what it was about is forgotten. */
void book_writer_turn(struct book_run *run, unsigned index);

/* What the reader may do next, counted by `choice`. */
#define BOOK_CHOICES 4
bool book_reader_step(struct book_run *run, unsigned choice);

/* The check is borrowed by the model. */
struct model book_model(const struct book_check *check);
