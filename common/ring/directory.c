/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A claim in the directory, step by step:
 *
 *   1. write the user id into one's slot (the intent)
 *   2. walk the buckets from the id's hash; for an EMPTY one give its ring memory
 *   3. name the ring in one's slot, CAS the word EMPTY -> {CLAIMING, owner, tag}
 *   4. fill the ring's header, CAS the word -> READY
 *
 * Memory comes before the CAS, so nothing can fail after it and a word never goes back to EMPTY:
 * others may have probed past it. Whoever meets CLAIMING with its own tag does step 4 for the
 * claimer, with the id from the claimer's slot. The owner of the intent changes it only once the
 * word is READY, so an intent copied while the word did not change is the right one. All who fill a
 * header write the same words; a slot that names the ring keeps it from being given to another
 * user.
 */
#include "ring/directory.h"

#include <errno.h>
#include <string.h>

#include "ring/directory-claim.h"
#include "ring/steps.h"
#include "ring/writer.h"

enum bucket { BUCKET_OTHER, BUCKET_FOUND };

static uint32_t directory_bucket(const struct arena *arena, uint64_t tag, uint32_t probe)
{
    return (uint32_t)((tag % arena->geometry.ring_count + probe) % arena->geometry.ring_count);
}

static bool directory_holds(const struct arena *arena, uint32_t ring, const struct user_key *key)
{
    struct ring_header *header = arena_ring_header(arena, ring);
    struct user_key there;

    return user_key_load(&there, header->user_id, atomic_load(&header->user_id_length)) == 0 &&
           user_key_equal(&there, key);
}

/* Step 4. Repeating it changes nothing. */
static void directory_complete(
    const struct arena *arena, uint32_t ring, uint64_t word, const struct user_key *key)
{
    struct ring_header *header = arena_ring_header(arena, ring);
    uint64_t never = 0;

    user_key_store(header->user_id, key);
    atomic_store(&header->user_id_length, key->length);
    atomic_store(&header->user_tag, key->tag);
    atomic_store(&header->capacity, arena->capacity);
    atomic_compare_exchange_strong(&header->generation, &never, 1);
    RING_STEP(directory_filled);
    /* Partner: every load of a directory word that finds READY and then reads the header. */
    atomic_compare_exchange_strong(
        &arena->directory[ring], &word, directory_pack(DIRECTORY_READY, 0, key->tag));
}

bool directory_complete_claim(const struct arena *arena, uint32_t ring, uint64_t word)
{
    uint32_t owner = directory_word_owner(word);
    struct arena_slot *slot;
    struct user_key key;
    int r;

    if (directory_word_state(word) != DIRECTORY_CLAIMING || !arena_has_owner(arena, owner))
        return false;
    slot = arena_slot_of(arena, owner);
    r = user_key_load(&key, slot->intent, atomic_load(&slot->intent_length));
    /* Completed meanwhile: then what was just copied may be of a later intent. */
    if (atomic_load(&arena->directory[ring]) != word)
        return true;
    if (r < 0 || !directory_word_has_tag(word, key.tag))
        return false;
    directory_complete(arena, ring, word, &key);
    return true;
}

int directory_find(
    uint32_t *ret_ring, const struct arena *arena, const char *user_id, size_t length)
{
    struct user_key key;

    if (arena->forked)
        return -ECHILD;
    if (user_key_init(&key, user_id, length) < 0)
        return -EINVAL;
    for (uint32_t probe = 0; probe < arena->geometry.ring_count; probe++) {
        uint32_t ring = directory_bucket(arena, key.tag, probe);
        uint64_t word = atomic_load(&arena->directory[ring]);

        if (directory_word_state(word) == DIRECTORY_EMPTY)
            return -ENOENT;
        if (directory_word_state(word) == DIRECTORY_READY &&
            directory_word_has_tag(word, key.tag) && directory_holds(arena, ring, &key)) {
            *ret_ring = ring;
            return 0;
        }
    }
    return -ENOENT;
}

/* Partner: reclaim and process_reap, which look at current_ring of every slot. */
static void directory_name_ring(struct ring_writer *writer, uint32_t ring)
{
    atomic_store(&writer->slot->current_ring, ring + 1);
}

/* Step 3 and 4 on an EMPTY bucket. False: someone else took it. */
static bool directory_take(struct ring_writer *writer, uint32_t ring, const struct user_key *key)
{
    struct arena *arena = writer->arena;
    uint64_t expected = 0, word = directory_pack(DIRECTORY_CLAIMING, writer->owner, key->tag);

    directory_name_ring(writer, ring);
    RING_STEP(directory_named);
    if (!atomic_compare_exchange_strong(&arena->directory[ring], &expected, word))
        return false;
    RING_STEP(directory_claimed);
    directory_complete(arena, ring, word, key);
    return true;
}

static int directory_visit(struct ring_writer *writer, uint32_t ring, const struct user_key *key)
{
    struct arena *arena = writer->arena;

    for (;;) {
        uint64_t word = atomic_load(&arena->directory[ring]);
        int r;

        if (word == 0) {
            r = arena_allocate_ring(arena, ring);
            if (r < 0)
                return r;
            if (directory_take(writer, ring, key))
                return BUCKET_FOUND;
            continue;
        }
        if (!directory_word_has_tag(word, key->tag))
            return BUCKET_OTHER;
        if (directory_word_state(word) == DIRECTORY_READY)
            return directory_holds(arena, ring, key) ? BUCKET_FOUND : BUCKET_OTHER;
        RING_STEP(directory_met);
        directory_name_ring(writer, ring);
        if (!directory_complete_claim(arena, ring, word))
            return BUCKET_OTHER;
    }
}

static int directory_walk(
    uint32_t *ret_ring, struct ring_writer *writer, const struct user_key *key)
{
    struct arena *arena = writer->arena;

    for (uint32_t probe = 0; probe < arena->geometry.ring_count; probe++) {
        uint32_t ring = directory_bucket(arena, key->tag, probe);
        int r = directory_visit(writer, ring, key);

        if (r < 0)
            return r;
        if (r == BUCKET_FOUND) {
            *ret_ring = ring;
            return 0;
        }
    }
    return -ENOSPC;
}

int directory_claim(
    uint32_t *ret_ring, struct ring_writer *writer, const char *user_id, size_t length)
{
    struct user_key key;
    int r;

    if (writer->arena->forked)
        return -ECHILD;
    if (writer->claim_open)
        return -EBUSY;
    if (user_key_init(&key, user_id, length) < 0)
        return -EINVAL;
    r = directory_find(ret_ring, writer->arena, user_id, length);
    if (r != -ENOENT)
        return r;
    if (atomic_load(&writer->slot->holder) != writer->holder)
        return -EOWNERDEAD;
    user_key_store(writer->slot->intent, &key);
    atomic_store(&writer->slot->intent_length, key.length);
    r = directory_walk(ret_ring, writer, &key);
    atomic_store_explicit(&writer->slot->current_ring, 0, memory_order_release);
    return r;
}

int directory_user_id(
    char ret_id[static LAYOUT_USER_ID_SIZE], const struct arena *arena, uint32_t ring)
{
    struct ring_header *header;
    struct user_key key;

    if (arena->forked)
        return -ECHILD;
    if (ring >= arena->geometry.ring_count || !directory_is_ready(arena, ring))
        return -ENOENT;
    header = arena_ring_header(arena, ring);
    if (user_key_load(&key, header->user_id, atomic_load(&header->user_id_length)) < 0)
        return -EUCLEAN;
    memcpy(ret_id, key.words, sizeof key.words);
    return (int)key.length;
}
