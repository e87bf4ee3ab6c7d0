/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: which user has which entry, and with it which rings. A hash table of chains of
 * entries; an entry is filled in before it is linked, so nobody ever meets a half made one and
 * nobody waits for a slow or dead claimer. Only the owner unlinks.
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

/* The user's ring: the newest, which takes the claims. -ENOENT: has none; -EINVAL: not a user id;
 * -EUCLEAN: the directory is damaged there; -ECHILD: forked. */
int directory_find(
    uint32_t *ret_ring, const struct arena *arena, const char *user_id, size_t length);

/*
 * Find or claim. Works with the owner away; concurrent claimers get the same ring.
 *   -ENOSPC no entry or no memory left, nothing changed   -EINVAL  not a user id
 *   -EBUSY the writer has an open claim                    -ECHILD  forked
 *   -EOWNERDEAD the writer was fenced                      -EUCLEAN the directory is damaged there
 */
int directory_claim(
    uint32_t *ret_ring, struct ring_writer *writer, const char *user_id, size_t length);

/* Copies the id of the user whose ring it is with a NUL; returns its length, -ENOENT for a ring
 * nobody has, -EUCLEAN for an impossible one. The owner's call: only it gives rings to others. */
int directory_user_id(char ret_id[static 128], const struct arena *arena, uint32_t ring);
