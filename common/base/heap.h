/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * An intrusive pairing heap: the node with the smallest key is found at once, adding is O(1),
 * taking any node out O(log n) amortised. Nothing is allocated. A node that is in no heap points at
 * itself, so removal is safe to repeat. Among equal keys any may be first.
 */
struct heap_node {
    uint64_t key;
    struct heap_node *child; /* the first one */
    struct heap_node *next;  /* sibling */
    struct heap_node *prev;  /* sibling, or the parent of a first child; itself: in no heap */
};

struct heap {
    struct heap_node *root; /* NULL: empty */
};

static inline void heap_node_init(struct heap_node *node)
{
    *node = (struct heap_node){.prev = node};
}

static inline bool heap_has(const struct heap_node *node)
{
    return node->prev != node;
}

/* `node` must be in no heap. */
void heap_add(struct heap *heap, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *heap, struct heap_node *node);
