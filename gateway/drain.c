/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaving without a stampede: connections are sent away evenly over gateway.drain_window, each is
 * told when to come back, and the process ends with the last of them, or when those that do not
 * answer have had their time.
 */
#include "gateway.h"

#include "base/clock.h"
#include "base/log.h"

#define STEP_SECONDS .05
#define GRACE_MS 12000
#define COME_BACK_MIN_MS 250
#define COME_BACK_SPREAD_MS 1000

static uint64_t come_back_after(void)
{
    uint64_t chance;
    random_bytes(&chance, sizeof(chance));
    return COME_BACK_MIN_MS + chance % COME_BACK_SPREAD_MS;
}

static void send_away(struct gateway *gateway, size_t count)
{
    LIST_FOR_EACH(struct session, session, &gateway->host.sessions, host_link)
    {
        if (count == 0)
            return;
        if (session->state == SESSION_CLOSING)
            continue;
        session_send_away(session, "draining", come_back_after());
        gateway->drain_sent++;
        count--;
    }
}

/* How many should be gone by now. */
static size_t due(const struct gateway *gateway, uint64_t elapsed)
{
    uint64_t window = gateway->config->gateway_drain_window;
    if (elapsed >= window)
        return SIZE_MAX;
    return 1 + (size_t)(gateway->drain_total * elapsed / window);
}

static void on_drain_step(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    struct gateway *gateway = watcher->data;
    uint64_t elapsed = clock_monotonic_ms() - gateway->drain_started_at;
    size_t target = due(gateway, elapsed);
    if (target > gateway->drain_sent)
        send_away(gateway, target - gateway->drain_sent);
    if (list_empty(&gateway->host.sessions)) {
        log_info("gateway", "drained: no connection is left");
        ev_break(loop, EVBREAK_ALL);
    } else if (elapsed >= gateway->config->gateway_drain_window + GRACE_MS) {
        log_warn("gateway", "%llu connections did not close in time",
            (unsigned long long)gateway->counters.connections);
        ev_break(loop, EVBREAK_ALL);
    }
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
        ev_break(gateway->loop, EVBREAK_ALL);
        return;
    }
    gateway->draining = true;
    gateway->counters.draining = 1;
    gateway->drain_started_at = clock_monotonic_ms();
    gateway->drain_total = (size_t)gateway->counters.connections;
    log_info("gateway", "draining %zu connections over %llu ms", gateway->drain_total,
        (unsigned long long)gateway->config->gateway_drain_window);
    ev_timer_start(gateway->loop, &gateway->drain_step);
    ev_feed_event(gateway->loop, &gateway->drain_step, EV_TIMER);
}
