/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/pieces.h"

#include <errno.h>
#include <stdlib.h>

/* Each piece has room for twice as much as the one before, within these; or for what is longer. */
#define PIECE_LEAST 256
#define PIECE_MOST 4096

struct piece {
    struct piece *next;
    size_t begin; /* what stands before it was given up */
    size_t end;   /* kept for pieces behind which there is another */
    size_t cap;
    char text[];
};

void pieces_deinit(struct pieces *pieces)
{
    while (pieces->first)
        pieces_drop(pieces, pieces_front(pieces).len);
}

static int add(struct pieces *pieces, size_t len)
{
    size_t cap = pieces->last ? 2 * pieces->last->cap : PIECE_LEAST;
    cap = cap < PIECE_MOST ? cap : PIECE_MOST;
    cap = cap < len ? len : cap;
    struct piece *piece = malloc(sizeof(*piece) + cap);
    if (!piece)
        return -ENOMEM;
    *piece = (struct piece){.cap = cap};
    if (pieces->last) {
        pieces->last->end = (size_t)(pieces->at - pieces->last->text);
        pieces->last->next = piece;
    } else {
        pieces->first = piece;
    }
    pieces->last = piece;
    pieces->at = piece->text;
    pieces->room = cap;
    return 0;
}

int pieces_append(struct pieces *pieces, struct span text)
{
    int rc = pieces->room < text.len ? add(pieces, text.len) : 0;
    if (rc || text.len == 0)
        return rc;
    memcpy(pieces->at, text.data, text.len);
    pieces->at += text.len;
    pieces->room -= text.len;
    pieces->len += text.len;
    return 0;
}

static size_t end_of(const struct pieces *pieces, const struct piece *piece)
{
    return piece == pieces->last ? (size_t)(pieces->at - piece->text) : piece->end;
}

struct span pieces_front(const struct pieces *pieces)
{
    const struct piece *first = pieces->first;
    return first ? span_of(first->text + first->begin, end_of(pieces, first) - first->begin)
                 : SPAN_EMPTY;
}

void pieces_drop(struct pieces *pieces, size_t bytes)
{
    struct piece *first = pieces->first;
    first->begin += bytes;
    pieces->len -= bytes;
    if (first->begin < end_of(pieces, first))
        return;
    pieces->first = first->next;
    if (!pieces->first)
        *pieces = (struct pieces){0};
    free(first);
}

void pieces_copy(struct buffer *out, const struct pieces *pieces)
{
    for (const struct piece *piece = pieces->first; piece; piece = piece->next)
        buffer_append(out, piece->text + piece->begin, end_of(pieces, piece) - piece->begin);
}
