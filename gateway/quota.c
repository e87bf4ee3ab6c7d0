/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"

#include <errno.h>
#include <stdlib.h>

#define WHOLE 1000 /* buckets count in thousandths of a connection */
#define SECONDS_WITHOUT_BOUND 10

struct quota_place {
    struct quotas *quotas;
    struct list_link idle_link;
    uint64_t count;
    uint64_t bucket;
    uint64_t at_ms; /* when the bucket was looked at */
    uint64_t left_ms;
    size_t name_len;
    char name[];
};

void quotas_init(struct quotas *quotas)
{
    *quotas = (struct quotas){0};
    list_init(&quotas->idle);
}

static void forget(struct quota_place *place)
{
    map_remove(&place->quotas->places, span_of(place->name, place->name_len));
    list_remove(&place->idle_link);
    free(place);
}

void quotas_deinit(struct quotas *quotas)
{
    LIST_FOR_EACH(struct quota_place, place, &quotas->idle, idle_link)
    {
        forget(place);
    }
    map_deinit(&quotas->places);
}

/* ---- the bucket */

static uint64_t full(const struct quota_limits *limits)
{
    uint64_t whole = limits->at_once ? limits->at_once : limits->per_second * SECONDS_WITHOUT_BOUND;
    return whole * WHOLE;
}

/* How long an empty one takes to fill. */
static uint64_t filling_ms(const struct quota_limits *limits)
{
    return limits->per_second ? full(limits) / limits->per_second : 0;
}

static uint64_t level(
    const struct quota_place *place, const struct quota_limits *limits, uint64_t now_ms)
{
    uint64_t passed = now_ms - place->at_ms;
    if (passed >= filling_ms(limits))
        return full(limits);
    uint64_t filled = place->bucket + passed * limits->per_second;
    return filled < full(limits) ? filled : full(limits);
}

enum quota_verdict quotas_check(const struct quotas *quotas, struct span name,
    const struct quota_limits *limits, uint64_t now_ms, uint64_t *ret_wait_ms)
{
    const struct quota_place *place = map_get(&quotas->places, name);
    if (!place)
        return QUOTA_FINE;
    if (limits->at_once && place->count >= limits->at_once)
        return QUOTA_CROWDED;
    uint64_t there = level(place, limits, now_ms);
    if (!limits->per_second || there >= WHOLE)
        return QUOTA_FINE;
    *ret_wait_ms = (WHOLE - there + limits->per_second - 1) / limits->per_second;
    return QUOTA_HASTY;
}

/* ---- places */

static struct quota_place *place_new(struct quotas *quotas, struct span name)
{
    struct quota_place *place = calloc(1, sizeof(*place) + name.len);
    if (!place)
        return NULL;
    place->quotas = quotas;
    place->name_len = name.len;
    memcpy(place->name, name.data, name.len);
    list_init(&place->idle_link);
    if (map_put(&quotas->places, span_of(place->name, name.len), place) == 0)
        return place;
    free(place);
    return NULL;
}

int quotas_enter(struct quota_place **ret_place, struct quotas *quotas, struct span name,
    const struct quota_limits *limits, uint64_t now_ms)
{
    struct quota_place *place = map_get(&quotas->places, name);
    uint64_t there = place ? level(place, limits, now_ms) : full(limits);
    if (!place)
        place = place_new(quotas, name);
    if (!place)
        return -ENOMEM;
    place->bucket = there >= WHOLE ? there - WHOLE : 0;
    place->at_ms = now_ms;
    place->count++;
    list_remove(&place->idle_link);
    *ret_place = place;
    return 0;
}

void quota_leave(struct quota_place *place, uint64_t now_ms)
{
    if (!place)
        return;
    place->count--;
    if (place->count)
        return;
    place->left_ms = now_ms;
    list_append(&place->quotas->idle, &place->idle_link);
}

void quota_ticket_return(struct quota_ticket *ticket, uint64_t now_ms)
{
    quota_leave(ticket->user, now_ms);
    quota_leave(ticket->address, now_ms);
    *ticket = (struct quota_ticket){NULL, NULL};
}

void quotas_tick(struct quotas *quotas, const struct quota_limits *limits, uint64_t now_ms)
{
    LIST_FOR_EACH(struct quota_place, place, &quotas->idle, idle_link)
    {
        if (now_ms - place->left_ms < filling_ms(limits))
            return;
        forget(place);
    }
}
