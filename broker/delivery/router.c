/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery/router.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "failpoints/failpoint.h"

#include <errno.h>
#include <stdlib.h>

/* Pages served to one listener in one turn, so that replays leave the turn short. */
#define PAGES_PER_FLUSH 8
#define PAGE_BYTES (64u << 10)
/* What a user's buffer keeps from one turn to the next; more is given back after a burst. */
#define FRESH_KEPT (16u << 10)

void router_init(struct router *router, struct history *history, struct counters *counters)
{
    *router = (struct router){.history = history, .counters = counters};
    list_init(&router->fresh);
    list_init(&router->listeners);
}

void router_deinit(struct router *router)
{
    buffer_deinit(&router->page);
}

/* ---- listeners and subscriptions */

struct listener *router_add_listener(struct router *router, struct link *link)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener)
        return NULL;
    listener->router = router;
    listener->link = link;
    list_init(&listener->reads);
    list_init(&listener->behind);
    list_append(&router->listeners, &listener->router_link);
    return listener;
}

static void tell_watch(const struct router *router, const struct user *user)
{
    if (router->on_watch)
        router->on_watch(router->context, user);
}

static void subscription_free(struct subscription *subscription)
{
    struct user *user = subscription->user;
    const struct router *router = subscription->listener->router;
    list_remove(&subscription->user_link);
    list_remove(&subscription->behind_link);
    free(subscription);
    if (!list_empty(&user->subscriptions))
        return;
    user->lonely_since_ms = clock_monotonic_ms();
    tell_watch(router, user);
}

void router_remove_listener(struct router *router, struct listener *listener)
{
    (void)router;
    size_t cursor = 0;
    for (struct subscription *each; (each = map_next(&listener->subscriptions, &cursor));)
        subscription_free(each);
    map_deinit(&listener->subscriptions);
    list_remove(&listener->router_link);
    buffer_deinit(&listener->report);
    free(listener);
}

void router_grant(struct listener *listener, uint64_t bytes)
{
    /* A gateway cannot run up credit without bound, whatever it says. */
    const int64_t most = 1 << 30;
    int64_t more = bytes > (uint64_t)most ? most : (int64_t)bytes;
    listener->credit = listener->credit > most - more ? most : listener->credit + more;
}

static void fall_behind(struct subscription *subscription)
{
    if (list_empty(&subscription->behind_link))
        list_append(&subscription->listener->behind, &subscription->behind_link);
}

int router_subscribe(struct listener *listener, struct user *user, uint64_t sent)
{
    if (map_get(&listener->subscriptions, span_of_string(user->id)))
        return 0;
    struct subscription *subscription = calloc(1, sizeof(*subscription));
    if (!subscription)
        return -ENOMEM;
    subscription->user = user;
    subscription->listener = listener;
    subscription->sent = sent;
    list_init(&subscription->behind_link);
    int rc = map_put(&listener->subscriptions, span_of_string(user->id), subscription);
    if (rc) {
        free(subscription);
        return rc;
    }
    bool first = list_empty(&user->subscriptions);
    list_append(&user->subscriptions, &subscription->user_link);
    if (first)
        tell_watch(listener->router, user);
    /* Events that got their number in this turn may not have been noted for want of listeners. */
    if (history_head(user->stream) != sent)
        fall_behind(subscription);
    return 0;
}

void router_unsubscribe(struct listener *listener, struct span user_id)
{
    struct subscription *subscription = map_remove(&listener->subscriptions, user_id);
    if (subscription)
        subscription_free(subscription);
}

/* ---- events */

void router_note(struct router *router, struct user *user, uint64_t seq, struct span encoded)
{
    if (list_empty(&user->subscriptions))
        return;
    if (list_empty(&user->fresh_link)) {
        user->fresh_after = seq - 1;
        list_append(&router->fresh, &user->fresh_link);
    }
    /* One beyond what goes into a message is enough to tell that this is read from history. */
    if (user->fresh.len <= WIRE_PAGE_MAX)
        buffer_append_span(&user->fresh, encoded);
}

static void send_events(
    struct router *router, struct subscription *subscription, struct span events, uint64_t last)
{
    struct user *user = subscription->user;
    const struct wire_message message = {.kind = WIRE_EVENTS,
        .events = {.user = span_of_string(user->id),
            .epoch = span_of_string(history_epoch(user->stream)),
            .events = events}};
    link_send(subscription->listener->link, &message);
    subscription->listener->credit -= (int64_t)events.len;
    router->counters->events_routed += last - subscription->sent;
    subscription->sent = last;
    FAILPOINT(events_routed);
}

static bool has_room(const struct listener *listener)
{
    return listener->credit > 0 && channel_queued(listener->link->channel) < ROUTER_QUEUE_MAX;
}

static bool in_step(const struct subscription *subscription)
{
    return list_empty(&subscription->behind_link) &&
           subscription->sent == subscription->user->fresh_after &&
           subscription->user->fresh.len <= WIRE_PAGE_MAX;
}

/* Gets what the next user's turn reads under way. */
static void fetch_next(const struct router *router, const struct user *user)
{
    if (user->fresh_link.next == &router->fresh)
        return;
    const struct user *next = CONTAINER_OF(user->fresh_link.next, struct user, fresh_link);
    __builtin_prefetch(next->subscriptions.next);
    __builtin_prefetch(next->stream);
    __builtin_prefetch(next->fresh.data);
}

static void flush_user(struct router *router, struct user *user)
{
    fetch_next(router, user);
    uint64_t head = history_shown_head(user->stream);
    bool whole = buffer_error(&user->fresh) == 0;
    LIST_FOR_EACH(struct subscription, each, &user->subscriptions, user_link)
    {
        bool next = whole && in_step(each);
        if (next && has_room(each->listener)) {
            send_events(router, each, buffer_span(&user->fresh), head);
            continue;
        }
        router->counters->subscriptions_behind += next;
        if (each->sent != head)
            fall_behind(each);
    }
    if (user->fresh.cap > FRESH_KEPT)
        buffer_deinit(&user->fresh);
    buffer_clear(&user->fresh);
    list_remove(&user->fresh_link);
}

/* One page from history for one subscription. False when it is in step again. */
static bool catch_up(struct router *router, struct subscription *subscription)
{
    struct user *user = subscription->user;
    uint64_t last;
    buffer_clear(&router->page);
    int rc = history_read(user->stream, subscription->sent, PAGE_BYTES, &router->page, &last);
    if (rc == -ERANGE) {
        /* Trimmed under a listener that was too slow: its sessions see the hole and ask. */
        subscription->sent = history_oldest(user->stream) - 1;
        return subscription->sent < history_shown_head(user->stream);
    }
    if (rc == -ENODATA) {
        /* Likewise; what is left comes after it. */
        subscription->sent = last;
        return last < history_shown_head(user->stream);
    }
    if (rc || buffer_error(&router->page)) {
        log_error("router", "history of %s cannot be read behind %llu: what comes next is sent",
            user->id, (unsigned long long)subscription->sent);
        /* Its sessions see the hole, ask for what is in it, and are told. */
        subscription->sent = history_shown_head(user->stream);
        return false;
    }
    router->counters->bytes_replayed += router->page.len;
    if (last > subscription->sent)
        send_events(router, subscription, buffer_span(&router->page), last);
    return last < history_shown_head(user->stream);
}

/* Round robin: a subscription that is not through goes to the end of the line. */
static bool serve_behind(struct router *router, struct listener *listener)
{
    for (int page = 0; page < PAGES_PER_FLUSH && has_room(listener); page++) {
        struct subscription *first =
            LIST_FIRST(struct subscription, &listener->behind, behind_link);
        if (!first)
            return false;
        list_remove(&first->behind_link);
        if (catch_up(router, first))
            fall_behind(first);
    }
    return !list_empty(&listener->behind) && has_room(listener);
}

bool router_flush(struct router *router)
{
    LIST_FOR_EACH(struct user, user, &router->fresh, fresh_link)
    flush_user(router, user);
    bool more = false;
    LIST_FOR_EACH(struct listener, listener, &router->listeners, router_link)
    more |= serve_behind(router, listener);
    return more;
}

void router_announce_epoch(struct user *user)
{
    LIST_FOR_EACH(struct subscription, each, &user->subscriptions, user_link)
    {
        const struct wire_message message = {.kind = WIRE_EPOCH_CHANGED,
            .epoch_changed = {.user = span_of_string(user->id),
                .epoch = span_of_string(history_epoch(user->stream))}};
        link_send(each->listener->link, &message);
    }
}
