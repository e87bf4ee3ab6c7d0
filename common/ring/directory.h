/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: which user has which ring. The word of ring r is also bucket r of an
 * open-addressed hash table, so one CAS takes both the user's entry and the ring. The claimer's
 * slot says, before the CAS, which user the claim is for: whoever meets an unfinished claim
 * completes it, so nobody waits for a slow or dead claimer. Entries are never emptied while others
 * may have probed past.
 *
 * User ids are 1 to 127 bytes, any but NUL, compared whole. All calls are safe from any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena;
struct ring_writer;

/* XXH3 64 of a user id: the tag that goes along with every record. */
uint64_t user_tag(const char *user_id, size_t length);

/* The user's ring. -ENOENT: has none; -EINVAL: not a user id; -ECHILD: forked. */
int directory_find(
    uint32_t *ret_ring, const struct arena *arena, const char *user_id, size_t length);

/*
 * Find or claim. Works with the owner away; concurrent claimers get the same ring.
 *   -ENOSPC no ring or no memory left, nothing changed   -EINVAL  not a user id
 *   -EBUSY the writer has an open claim                   -ECHILD  forked
 *   -EOWNERDEAD the writer was fenced
 */
int directory_claim(
    uint32_t *ret_ring, struct ring_writer *writer, const char *user_id, size_t length);

/* Copies the ring's user id with a NUL; returns its length, -ENOENT for a ring nobody has,
 * -EUCLEAN for an impossible one. */
int directory_user_id(char ret_id[static 128], const struct arena *arena, uint32_t ring);
