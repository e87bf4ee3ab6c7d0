/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/user.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "ring/directory.h"

uint64_t user_tag(const char *user_id, size_t length)
{
    return XXH3_64bits(user_id, length);
}

int user_key_init(struct user_key *key, const char *user_id, size_t length)
{
    if (length == 0 || length >= LAYOUT_USER_ID_SIZE || memchr(user_id, '\0', length))
        return -EINVAL;
    memset(key, 0, sizeof *key);
    memcpy(key->words, user_id, length);
    key->length = (uint32_t)length;
    key->tag = user_tag(user_id, length);
    return 0;
}

int user_key_load(struct user_key *ret_key, const _Atomic uint64_t *words, uint32_t length)
{
    uint64_t copy[LAYOUT_USER_ID_WORDS];

    /* Partner: user_key_store. In order, so that a check after this load orders after all of it. */
    for (size_t i = 0; i < LAYOUT_USER_ID_WORDS; i++)
        copy[i] = atomic_load_explicit(&words[i], memory_order_acquire);
    return user_key_init(ret_key, (const char *)copy, length) < 0 ? -EUCLEAN : 0;
}

void user_key_store(_Atomic uint64_t *words, const struct user_key *key)
{
    for (size_t i = 0; i < LAYOUT_USER_ID_WORDS; i++)
        atomic_store_explicit(&words[i], key->words[i], memory_order_release);
}

bool user_key_equal(const struct user_key *a, const struct user_key *b)
{
    return a->length == b->length && memcmp(a->words, b->words, sizeof a->words) == 0;
}
