/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaving without a stampede: connections are sent away over gateway.drain_window, those of idle
 * users first, each is told when to come back, and the process ends with the last of them, or when
 * those that do not answer have had gateway.drain_grace.
 */
#include "gateway.h"

#include "base/clock.h"
#include "base/log.h"

#define STEP_SECONDS .05
#define COME_BACK_MIN_MS 250
#define COME_BACK_SPREAD_MS 1000

static uint64_t come_back_after(void)
{
    uint64_t chance;
    random_bytes(&chance, sizeof(chance));
    return COME_BACK_MIN_MS + chance % COME_BACK_SPREAD_MS;
}

static bool is_busy(const struct session *session)
{
    return session->feed && session->feed->runs.count > 0;
}

static struct drain_share count_left(struct gateway *gateway)
{
    struct drain_share left = {0};
    LIST_FOR_EACH(struct session, session, &gateway->host.sessions, host_link)
    {
        if (session->state == SESSION_CLOSING)
            continue;
        left.idle += !is_busy(session);
        left.busy += is_busy(session);
    }
    return left;
}

static void send_away(struct gateway *gateway, struct drain_share due)
{
    LIST_FOR_EACH(struct session, session, &gateway->host.sessions, host_link)
    {
        if (due.idle == 0 && due.busy == 0)
            return;
        if (session->state == SESSION_CLOSING)
            continue;
        size_t *share = is_busy(session) ? &due.busy : &due.idle;
        if (*share == 0)
            continue;
        --*share;
        gateway->counters.sent_away++;
        session_send_away(session, "draining", come_back_after());
    }
}

static void on_drain_step(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct gateway *gateway = watcher->data;
    uint64_t elapsed = clock_monotonic_ms() - gateway->drain_started_at;
    struct drain_share left = count_left(gateway);
    send_away(gateway, drain_pace_step(&gateway->drain_pace, elapsed, left.idle, left.busy));
    bool empty = list_empty(&gateway->host.sessions);
    if (empty && gateway->drained && !http_server_is_flushing(gateway->http)) {
        log_info("gateway", "drained: no connection is left");
        gateway_leave(gateway);
    } else if (elapsed >= gateway->drain_pace.window + gateway->config->gateway_drain_grace) {
        log_warn("gateway", "%llu connections did not close in time",
            (unsigned long long)gateway->counters.connections);
        gateway_leave(gateway);
    }
    gateway->drained = empty; /* one step more: their last bytes may be on their way */
}

void gateway_drain_init(struct gateway *gateway)
{
    ev_timer_init(&gateway->drain_step, on_drain_step, STEP_SECONDS, STEP_SECONDS);
    gateway->drain_step.data = gateway;
}

void gateway_drain(struct gateway *gateway)
{
    if (gateway->draining) {
        log_warn("gateway", "told to leave a second time: leaving at once");
        gateway_leave(gateway);
        return;
    }
    struct drain_share left = count_left(gateway);
    gateway->draining = true;
    gateway->counters.draining = 1;
    gateway->drain_started_at = clock_monotonic_ms();
    drain_pace_begin(&gateway->drain_pace, gateway->config->gateway_drain_window);
    log_info("gateway", "draining %zu connections, %zu of users with open runs, over %llu ms",
        left.idle + left.busy, left.busy, (unsigned long long)gateway->drain_pace.window);
    ev_timer_start(gateway->loop, &gateway->drain_step);
    ev_feed_event(gateway->loop, &gateway->drain_step, EV_TIMER);
}
