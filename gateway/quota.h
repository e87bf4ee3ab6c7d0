/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/list.h"
#include "base/map.h"

/*
 * How many connections of one name (a user, an address) there may be at once, and how fast they
 * may come: a bucket that holds as many as there may be at once, and fills evenly. It gives one for
 * each connection that is let in, and none for those that are refused: whoever tries again too
 * soon is refused once more, and is not thrown back. Loop thread only.
 */
struct quota_limits {
    uint64_t at_once;    /* 0: any number; the bucket holds ten seconds' worth */
    uint64_t per_second; /* 0: any number */
};

struct quotas {
    struct map places;     /* struct quota_place by its name */
    struct list_link idle; /* of struct quota_place, idle_link: without connections, oldest first */
};

struct quota_place;

/* The places that one connection takes. */
struct quota_ticket {
    struct quota_place *user;
    struct quota_place *address;
};

enum quota_verdict {
    QUOTA_FINE,
    QUOTA_CROWDED, /* as many as there may be at once */
    QUOTA_HASTY,   /* the bucket is empty */
};

void quotas_init(struct quotas *quotas);
/* No connection may be left. */
void quotas_deinit(struct quotas *quotas);

/* Whether one more may come in; `ret_wait_ms` until it may, when it is hasty. Counts nothing. */
enum quota_verdict quotas_check(const struct quotas *quotas, struct span name,
    const struct quota_limits *limits, uint64_t now_ms, uint64_t *ret_wait_ms);
/* It came in, until quota_leave. -ENOMEM. */
int quotas_enter(struct quota_place **ret_place, struct quotas *quotas, struct span name,
    const struct quota_limits *limits, uint64_t now_ms);
/* NULL is fine. */
void quota_leave(struct quota_place *place, uint64_t now_ms);
/* Leaves both places. */
void quota_ticket_return(struct quota_ticket *ticket, uint64_t now_ms);
/* Forgets names without connections once their bucket is full, which is as if they had never been.
 */
void quotas_tick(struct quotas *quotas, const struct quota_limits *limits, uint64_t now_ms);
