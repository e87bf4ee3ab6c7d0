/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>

/*
 * An intrusive, circular, doubly linked list. A head is a link that belongs to no element; an
 * element embeds one link per list it can be on. A link that is on no list points at itself, so
 * removal is safe to repeat. Comments at each head name the element type and its link.
 */
struct list_link {
    struct list_link *next;
    struct list_link *prev;
};

static inline void list_init(struct list_link *link)
{
    link->next = link;
    link->prev = link;
}

static inline bool list_empty(const struct list_link *head)
{
    return head->next == head;
}

/* Adds `link` at the tail of the list of `head`. */
static inline void list_append(struct list_link *head, struct list_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_remove(struct list_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Iterates safely against removal of the current element. */
#define LIST_FOR_EACH(type, item, head, member)                                                    \
    for (type *item = CONTAINER_OF((head)->next, type, member),                                    \
              *item##_next = CONTAINER_OF(item->member.next, type, member);                        \
         &item->member != (head);                                                                  \
         item = item##_next, item##_next = CONTAINER_OF(item->member.next, type, member))

#define LIST_FIRST(type, head, member)                                                             \
    (list_empty(head) ? NULL : CONTAINER_OF((head)->next, type, member))
