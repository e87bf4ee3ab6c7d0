/* SPDX-License-Identifier: Apache-2.0 */
#include "config/suggest.h"

#include <stdint.h>

#define LONGEST 63

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

size_t suggestion_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > LONGEST || b_len > LONGEST)
        return SIZE_MAX;
    /* rows[i % 3][j]: edits from the first i bytes of a to the first j bytes of b */
    size_t rows[3][LONGEST + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smallest(row[j], row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

struct suggestion suggestion_for(const char *typed)
{
    size_t allowed = strlen(typed) / 3;
    return (struct suggestion){.typed = typed, .distance = allowed < 2 ? 3 : allowed + 1};
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate)
{
    size_t distance = suggestion_distance(suggestion->typed, candidate);
    if (distance >= suggestion->distance)
        return;
    suggestion->distance = distance;
    suggestion->nearest = candidate;
}
