/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of entries, one a bucket, linked from a head word { version | first entry }.
 *
 *   EVERY CHANGE OF A CHAIN CHANGES ITS HEAD: a new entry is linked in front by a CAS of the head;
 *   one in the middle is unlinked by a store into its neighbour, after which the version goes up.
 *
 * So a look at a chain counts if the head is the same before and after, whatever happened to the
 * entries meanwhile: nothing was linked, and nothing that was unlinked was given to another user,
 * since the version comes first. And a link succeeds only if the user was not in the chain when it
 * was made: two claimers never make two entries of one user.
 *
 * A claim, step by step:
 *   1. look; found: done
 *   2. name the entry in one's slot, CAS its word FREE -> { TAKEN, owner, generation }
 *   3. give its first ring memory, write the user into it, CAS the head; not the same any more:
 *      look again, and if somebody else linked the user, give the entry back
 *   4. the word -> READY, by the claimer, by whoever finds the entry, or by the reaper
 *
 * Who dies in 2 or 3 leaves an entry that its own word and slot name; the reaper looks whether it
 * is linked. Only the owner unlinks, and only one thread of it, so unlinking never meets unlinking.
 */

#include "ring/directory.h"

#include <errno.h>
#include <string.h>

#include "ring/directory-internal.h"
#include "ring/steps.h"
#include "ring/successor.h"
#include "ring/writer.h"

static _Atomic uint64_t *directory_head(const struct arena *arena, uint64_t tag)
{
    return &arena->heads[tag % arena->geometry.user_count];
}

static bool directory_holds(struct directory_entry *entry, const struct user_key *key)
{
    struct user_key there;

    return atomic_load(&entry->user_tag) == key->tag &&
           user_key_load(&there, entry->user_id, atomic_load(&entry->user_id_length)) == 0 &&
           user_key_equal(&there, key);
}

/* The entry is linked: then it is ready, even if its claimer has not come to say so. */
static uint64_t directory_complete(struct directory_entry *entry, uint64_t word)
{
    uint64_t ready = entry_pack(ENTRY_READY, 0, entry_generation_of(word));

    if (entry_state_of(word) != ENTRY_TAKEN)
        return word;
    /* The generation makes a late CAS fail: within one, an entry is linked once. */
    return atomic_compare_exchange_strong(&entry->word, &word, ready) ? ready : word;
}

/* One that is being retired holds its user no more: it is empty, and the user may have another. */
static bool directory_is_retired(const struct arena *arena, uint32_t number, uint64_t word)
{
    /* Partner: reclaim_close, before the word. */
    return entry_state_of(word) == ENTRY_RETIRING || entry_state_of(word) == ENTRY_FREE ||
           (entry_state_of(word) == ENTRY_READY &&
               tail_is_closed(
                   atomic_load(&arena_ring_header(arena, arena_newest_ring(arena, number))->tail),
                   CLOSED_RETIRED));
}

/* Whether the entry linked at `number` is the user's; believed only if the head does not change. */
static bool directory_match(struct directory_look *look, const struct arena *arena, uint32_t number,
    const struct user_key *key)
{
    struct directory_entry *entry = arena_entry(arena, number);
    uint64_t word;

    if (!directory_holds(entry, key))
        return false;
    word = atomic_load(&entry->word);
    if (directory_is_retired(arena, number, word))
        return false;
    look->entry = number;
    return true;
}

/* 1: found, 0: not in it, -EUCLEAN: not a chain. */
static int directory_walk(
    struct directory_look *look, const struct arena *arena, const struct user_key *key)
{
    uint32_t next = head_next(look->head);

    for (uint32_t steps = 0; next != 0; steps++) {
        if (next > arena->geometry.user_count || steps > arena->geometry.user_count)
            return -EUCLEAN;
        if (directory_match(look, arena, next - 1, key))
            return 1;
        /* Partner: the stores in directory_link and directory_unlink. */
        next = atomic_load(&arena_entry(arena, next - 1)->next);
    }
    return 0;
}

int directory_look(
    struct directory_look *ret_look, const struct arena *arena, const struct user_key *key)
{
    _Atomic uint64_t *head = directory_head(arena, key->tag);

    for (;;) {
        struct directory_look look = {.head = atomic_load(head)};
        struct directory_entry *entry;
        uint64_t word;
        int r = directory_walk(&look, arena, key);

        entry = arena_entry(arena, look.entry);
        word = atomic_load(&entry->word);
        /* Partner: the CASes of the head. The same: all seen in between was so. */
        if (atomic_load(head) != look.head)
            continue;
        if (r > 0) {
            word = directory_complete(entry, word);
            look.generation = entry_generation_of(word);
            look.quarantined = entry_state_of(word) == ENTRY_QUARANTINED;
        }
        *ret_look = look;
        return r;
    }
}

int directory_find(
    uint32_t *ret_ring, const struct arena *arena, const char *user_id, size_t length)
{
    struct directory_look look;
    struct user_key key;
    int r;

    if (arena->forked)
        return -ECHILD;
    if (user_key_init(&key, user_id, length) < 0)
        return -EINVAL;
    r = directory_look(&look, arena, &key);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *ret_ring = arena_newest_ring(arena, look.entry);
    return 0;
}

/* Step 2. */
static int directory_take(uint32_t *ret_entry, struct ring_writer *writer, uint64_t tag)
{
    const struct arena *arena = writer->arena;
    uint32_t count = arena->geometry.user_count;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = (uint32_t)((tag + i) % count);
        struct directory_entry *entry = arena_entry(arena, number);
        uint64_t word = atomic_load(&entry->word), generation = entry_generation_of(word);

        if (entry_state_of(word) != ENTRY_FREE)
            continue;
        /* Partner: process_reap, which looks at current_ring of the dead. */
        atomic_store(&writer->slot->current_ring, number + 1);
        RING_STEP(directory_named);
        /* Partner: the store in reclaim_finish, after all of the entry's rings were made fresh. */
        if (atomic_compare_exchange_strong(&entry->word, &word,
                entry_pack(ENTRY_TAKEN, writer->owner, generation ? generation : 1))) {
            RING_STEP(directory_claimed);
            *ret_entry = number;
            return 0;
        }
    }
    return -ENOSPC;
}

static void directory_give_back(struct ring_writer *writer, uint32_t number)
{
    struct directory_entry *entry = arena_entry(writer->arena, number);
    uint64_t generation = entry_generation_of(atomic_load(&entry->word));
    uint64_t word = entry_pack(ENTRY_TAKEN, writer->owner, generation);

    atomic_compare_exchange_strong(&entry->word, &word, entry_pack(ENTRY_FREE, 0, generation));
}

/* Step 3. 1: linked, or somebody else's entry was found; the look says which. */
static int directory_link(struct directory_look *look, const struct arena *arena, uint32_t number,
    const struct user_key *key)
{
    struct directory_entry *entry = arena_entry(arena, number);
    uint32_t front = number + 1;
    int r;

    user_key_store(entry->user_id, key);
    atomic_store(&entry->user_id_length, key->length);
    atomic_store(&entry->user_tag, key->tag);
    RING_STEP(directory_filled);
    for (;;) {
        uint64_t head = look->head;

        atomic_store(&entry->next, head_next(head));
        /* Partner: every look. Publishes the entry. */
        if (atomic_compare_exchange_strong(
                directory_head(arena, key->tag), &head, head_pack(head_version(head) + 1, front))) {
            look->entry = number;
            return 1;
        }
        r = directory_look(look, arena, key);
        if (r != 0)
            return r;
    }
}

static int directory_insert(
    struct directory_look *look, struct ring_writer *writer, const struct user_key *key)
{
    struct arena *arena = writer->arena;
    struct directory_entry *entry;
    uint32_t number;
    int r = directory_take(&number, writer, key->tag);

    if (r < 0)
        return r;
    r = arena_allocate_ring(arena, number);
    if (r == 0)
        r = directory_link(look, arena, number, key);
    if (r < 0 || look->entry != number) {
        directory_give_back(writer, number);
        return r;
    }
    RING_STEP(directory_linked);
    entry = arena_entry(arena, number);
    look->generation = entry_generation_of(directory_complete(entry, atomic_load(&entry->word)));
    look->quarantined = false;
    return r;
}

int directory_obtain(
    struct directory_look *ret_look, struct ring_writer *writer, const char *user_id, size_t length)
{
    struct user_key key;
    int r;

    if (writer->arena->forked)
        return -ECHILD;
    if (writer->claim_open)
        return -EBUSY;
    if (user_key_init(&key, user_id, length) < 0)
        return -EINVAL;
    r = directory_look(ret_look, writer->arena, &key);
    if (r != 0)
        return r < 0 ? r : 0;
    if (atomic_load(&writer->slot->holder) != writer->holder)
        return -EOWNERDEAD;
    r = directory_insert(ret_look, writer, &key);
    atomic_store_explicit(&writer->slot->current_ring, 0, memory_order_release);
    return r < 0 ? r : 0;
}

int directory_claim(
    uint32_t *ret_ring, struct ring_writer *writer, const char *user_id, size_t length)
{
    struct directory_look look;
    int r = directory_obtain(&look, writer, user_id, length);

    if (r == 0)
        *ret_ring = arena_newest_ring(writer->arena, look.entry);
    return r;
}

int directory_user_id(
    char ret_id[static LAYOUT_USER_ID_SIZE], const struct arena *arena, uint32_t ring)
{
    struct directory_entry *entry;
    enum entry_state state;
    struct user_key key;

    if (arena->forked)
        return -ECHILD;
    if (ring >= arena->rings)
        return -ENOENT;
    state = directory_state(arena, ring);
    if (state != ENTRY_READY && state != ENTRY_QUARANTINED)
        return -ENOENT;
    entry = arena_entry(arena, arena_entry_of(arena, ring));
    if (user_key_load(&key, entry->user_id, atomic_load(&entry->user_id_length)) < 0)
        return -EUCLEAN;
    memcpy(ret_id, key.words, sizeof key.words);
    return (int)key.length;
}

/* ---- the owner's part */

/* Finds the link that leads to the entry: its neighbour's `next`, or NULL for the head. 1, 0 if no
 * link does, -EUCLEAN. */
static int directory_find_link(
    _Atomic uint32_t **ret_link, const struct arena *arena, uint64_t head, uint32_t number)
{
    _Atomic uint32_t *link = NULL;
    uint32_t next = head_next(head);

    for (uint32_t steps = 0; next != 0 && next != number + 1; steps++) {
        if (next > arena->geometry.user_count || steps > arena->geometry.user_count)
            return -EUCLEAN;
        link = &arena_entry(arena, next - 1)->next;
        next = atomic_load(link);
    }
    *ret_link = link;
    return next != 0;
}

bool directory_resolve(struct arena *arena, uint32_t number)
{
    struct directory_entry *entry = arena_entry(arena, number);
    uint64_t word = atomic_load(&entry->word);
    uint64_t head = atomic_load(directory_head(arena, atomic_load(&entry->user_tag)));
    _Atomic uint32_t *link;
    /* Its claimer is dead: if it is not linked now, it never will be. The owner alone unlinks, so
     * what others link in front meanwhile does not matter. */
    int linked = directory_find_link(&link, arena, head, number);

    if (linked < 0)
        return false;
    return atomic_compare_exchange_strong(&entry->word, &word,
        entry_pack(linked ? ENTRY_READY : ENTRY_FREE, 0, entry_generation_of(word)));
}

static int directory_unlink(struct arena *arena, uint32_t number)
{
    struct directory_entry *entry = arena_entry(arena, number);
    _Atomic uint64_t *chain = directory_head(arena, atomic_load(&entry->user_tag));
    uint32_t after = atomic_load(&entry->next);

    for (;;) {
        uint64_t head = atomic_load(chain);
        uint32_t first = head_next(head);
        _Atomic uint32_t *link;
        int r = directory_find_link(&link, arena, head, number);

        if (r < 0)
            return r;
        if (r > 0 && link)
            atomic_store(link, after);
        else if (r > 0)
            first = after;
        RING_STEP(entry_unlinked);
        /* Also when it was unlinked before: an owner may have died before it raised the version.
         * Partner: every look, and the CAS in directory_link. */
        if (atomic_compare_exchange_strong(chain, &head, head_pack(head_version(head) + 1, first)))
            return 0;
    }
}

int directory_retire(struct arena *arena, uint32_t number)
{
    struct directory_entry *entry = arena_entry(arena, number);
    uint64_t word = atomic_load(&entry->word);

    uint32_t damaged = entry_state_of(word) == ENTRY_QUARANTINED ? 1 : entry_owner_of(word);

    /* Partner: writer_check_lease, after the tail. */
    atomic_store(&entry->word, entry_pack(ENTRY_RETIRING, damaged, entry_generation_of(word)));
    RING_STEP(entry_retiring);
    return directory_unlink(arena, number);
}
