/* SPDX-License-Identifier: Apache-2.0 */
#include "pieces.h"

#include <errno.h>
#include <stdlib.h>

/* Each piece has room for twice as much as the one before, within these; or for what is longer. */
#define PIECE_LEAST 256
#define PIECE_MOST 4096

struct piece {
    struct piece *next;
    size_t begin; /* what stands before it was given up */
    size_t end;
    size_t cap;
    char text[];
};

void pieces_deinit(struct pieces *pieces)
{
    while (pieces->first)
        pieces_drop(pieces, pieces_front(pieces).len);
}

static struct piece *add(struct pieces *pieces, size_t len)
{
    size_t cap = pieces->last ? 2 * pieces->last->cap : PIECE_LEAST;
    cap = cap < PIECE_MOST ? cap : PIECE_MOST;
    cap = cap < len ? len : cap;
    struct piece *piece = malloc(sizeof(*piece) + cap);
    if (!piece)
        return NULL;
    *piece = (struct piece){.cap = cap};
    if (pieces->last)
        pieces->last->next = piece;
    else
        pieces->first = piece;
    pieces->last = piece;
    return piece;
}

int pieces_append(struct pieces *pieces, struct span text)
{
    struct piece *last = pieces->last;
    if (text.len == 0)
        return 0;
    if (!last || last->cap - last->end < text.len)
        last = add(pieces, text.len);
    if (!last)
        return -ENOMEM;
    memcpy(last->text + last->end, text.data, text.len);
    last->end += text.len;
    pieces->len += text.len;
    return 0;
}

struct span pieces_front(const struct pieces *pieces)
{
    const struct piece *first = pieces->first;
    return first ? span_of(first->text + first->begin, first->end - first->begin) : SPAN_EMPTY;
}

void pieces_drop(struct pieces *pieces, size_t bytes)
{
    struct piece *first = pieces->first;
    first->begin += bytes;
    pieces->len -= bytes;
    if (first->begin < first->end)
        return;
    pieces->first = first->next;
    if (!pieces->first)
        pieces->last = NULL;
    free(first);
}

void pieces_copy(struct buffer *out, const struct pieces *pieces)
{
    for (const struct piece *piece = pieces->first; piece; piece = piece->next)
        buffer_append(out, piece->text + piece->begin, piece->end - piece->begin);
}
