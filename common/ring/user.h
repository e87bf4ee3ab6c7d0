/* SPDX-License-Identifier: Apache-2.0 */
/* A user id as the shared memory holds it: 16 words, zero-filled, copied word by word, so that two
 * processes may write the same id at the same time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/layout.h"

struct user_key {
    uint64_t words[LAYOUT_USER_ID_WORDS];
    uint32_t length;
    uint64_t tag;
};

/* -EINVAL: empty, too long, or with a NUL inside. */
int user_key_init(struct user_key *key, const char *user_id, size_t length);
/* Reads a key from shared memory and checks it. -EUCLEAN: what is there is not a user id. */
int user_key_load(struct user_key *ret_key, const _Atomic uint64_t *words, uint32_t length);
void user_key_store(_Atomic uint64_t *words, const struct user_key *key);
bool user_key_equal(const struct user_key *a, const struct user_key *b);
