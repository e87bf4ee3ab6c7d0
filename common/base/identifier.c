/* SPDX-License-Identifier: Apache-2.0 */
#include "base/identifier.h"

#include "base/block.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

bool identifier_plain(struct span id)
{
    for (size_t i = 0; i < id.len; i++) {
        char byte = id.data[i];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '_' || byte == '.';
        if (!plain)
            return false;
    }
    return id.len > 0;
}

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

static inline block forbidden(block bytes)
{
    return block_outside(bytes, 0x21) | block_equal(bytes, '"') | block_equal(bytes, '\\') |
           block_equal(bytes, 0x7f);
}

bool identifier_valid(struct span id)
{
    if (id.len < BLOCK_SIZE)
        return id.len > 0 && !block_any(forbidden(block_load_part(id.data, id.len, 'a')));
    if (id.len > IDENTIFIER_MAX)
        return false;
    /* The last block overlaps the one before it, unless the length is a multiple of its size. */
    block marks = forbidden(block_load(id.data + id.len - BLOCK_SIZE));
    for (size_t at = 0; at + BLOCK_SIZE < id.len; at += BLOCK_SIZE)
        marks |= forbidden(block_load(id.data + at));
    return !block_any(marks);
}
