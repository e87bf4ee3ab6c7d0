/* SPDX-License-Identifier: Apache-2.0 */
#include "base/identifier.h"

#include "base/clock.h"
#include "base/word.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

void random_bytes(void *data, size_t size)
{
    char *at = data;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* a kernel without getrandom cannot run this program at all */
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

static void put_digits(char *text, unsigned __int128 number, int count)
{
    while (count-- > 0) {
        text[count] = digits[(unsigned)(number & 31)];
        number >>= 5;
    }
}

void identifier_make(char ret_text[IDENTIFIER_MADE_SIZE], const char *prefix)
{
    size_t prefix_len = strnlen(prefix, 3);
    unsigned __int128 chance = 0;
    random_bytes(&chance, 10);
    memcpy(ret_text, prefix, prefix_len);
    put_digits(ret_text + prefix_len, clock_wall_ms(), 10);
    put_digits(ret_text + prefix_len + 10, chance, 16);
    ret_text[prefix_len + 26] = '\0';
}

static uint64_t word_forbidden(uint64_t word)
{
    return word_below(word, 0x21) | word_equal(word, '"') | word_equal(word, '\\') |
           word_equal(word, 0x7f) | word_high(word);
}

static bool short_valid(struct span id)
{
    for (size_t i = 0; i < id.len; i++) {
        unsigned char byte = (unsigned char)id.data[i];
        if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\')
            return false;
    }
    return id.len > 0;
}

bool identifier_valid(struct span id)
{
    if (id.len < sizeof(uint64_t))
        return short_valid(id);
    if (id.len > IDENTIFIER_MAX)
        return false;
    /* The last word overlaps the one before it, unless the length is a multiple of eight. */
    uint64_t forbidden = word_forbidden(word_load(id.data + id.len - sizeof(uint64_t)));
    for (size_t at = 0; at + sizeof(uint64_t) < id.len; at += sizeof(uint64_t))
        forbidden |= word_forbidden(word_load(id.data + at));
    return !forbidden;
}
