/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * Text that grows at its end and is given up from its front, in pieces that stay where they are:
 * neither touches what else there is, which may be long and out of the cache. What is appended at
 * once stays together in one piece.
 */
struct piece;

struct pieces {
    struct piece *first;
    struct piece *last;
    size_t len;  /* of the whole text */
    char *at;    /* its end, in the last piece */
    size_t room; /* behind that */
};

void pieces_deinit(struct pieces *pieces);
/* -ENOMEM: nothing changed. */
int pieces_append(struct pieces *pieces, struct span text);
/* The first piece's text; empty when there is none. */
struct span pieces_front(const struct pieces *pieces);
/* Takes bytes off the front, no more than pieces_front has. */
void pieces_drop(struct pieces *pieces, size_t bytes);
/* Appends the whole text to `out`. */
void pieces_copy(struct buffer *out, const struct pieces *pieces);
