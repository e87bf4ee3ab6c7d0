/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/broker.h"

#include "links/door_port.h"

#include "base/clock.h"
#include "base/log.h"
#include "failpoints/failpoint.h"
#include "ring/doorbell.h"

#include <signal.h>

/* Of which each ring has its share in a turn: what bounds how long one waits for the others. */
#define TURN_BUDGET 8192
#define TIMER_SECONDS 0.1
#define TIMER_CALLS_A_SECOND 10

/* A bounded share; what is left over is taken up in the next turns. */
static void trim(struct broker *broker)
{
    trimming_turn(&broker->trimming, clock_wall_ms(), broker->keeping.state != KEEPING_SERVING);
    FAILPOINT(trimmed);
}

/*
 * One turn, in order:
 *
 *  1. deaths      first, so that the drain below brings the dead's last words
 *  2. drain       what was written
 *  3. farewells   runs whose process let go of them, once their last words are known
 *  4. placing     queued runs go to whoever has room; staged, so that a crash cannot start twice
 *  5. commit      all of the above, or none of it; what comes below depends on it (keeping.h)
 *  6. release     ring space goes back, writers who wait for it wake up
 *  7. effects     replies and assignments that promised something the commit has kept
 *  8. routing     what is kept may be shown: first what is live, then pages of the past
 *  9. trimming    when a call about once a second left something over
 *
 * While history cannot be written, keeping.h says whether the first half and the routing go on.
 */
bool broker_tick(struct broker *broker)
{
    bool farewells = false; /* some are left */
    broker->counters.ticks++;
    FAILPOINT(turn_begun);
    if (keeping_takes_in(&broker->keeping)) {
        processes_turn(broker->processes, false);
        FAILPOINT(deaths_seen);
        drain_turn(broker->drain, TURN_BUDGET); /* what it leaves rings the bell again */
        FAILPOINT(drained);
        farewells = farewell_turn(&broker->farewell);
        FAILPOINT(farewells_said);
    }
    if (broker->keeping.state == KEEPING_SERVING)
        dispatch_place(&broker->dispatch);
    FAILPOINT(placed);
    enum keeping_outcome kept = keeping_turn(&broker->keeping, clock_monotonic_ms());
    if (kept == KEPT_NOT) {
        return reads_turn(&broker->reads); /* the past can be read all the same */
    }
    if (kept == KEPT_ALL) {
        FAILPOINT(committed);
        drain_release(broker->drain);
        FAILPOINT(released);
        effects_release(&broker->effects);
        FAILPOINT(effects_sent);
    }
    bool behind = router_flush(&broker->router);
    FAILPOINT(routed);
    bool unread = reads_turn(&broker->reads);
    FAILPOINT(pages_served);
    if (broker->trimming.more)
        trim(broker);
    return behind || unread || farewells || broker->trimming.more;
}

static void on_pace(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events; /* the turn that follows looks at the ring again */
}

/* Wakes the loop when a ring that was left alone may be looked at again. */
static void await_pace(struct broker *broker)
{
    uint64_t due_ns = drain_due_ns(broker->drain);
    uint64_t now_ns = clock_monotonic_ns();
    ev_timer_stop(broker->loop, &broker->pace);
    if (due_ns == 0)
        return;
    ev_now_update(broker->loop);
    ev_timer_set(&broker->pace, due_ns > now_ns ? (double)(due_ns - now_ns) / 1e9 : 0., 0.);
    ev_timer_start(broker->loop, &broker->pace);
}

/* Sleeps until there is something to be done. Announced before the last look, so that no bell is
 * missed in between; and only when there is no news anyway, since it makes the writers ring. */
static void rest(struct broker *broker, bool takes_in)
{
    bool news = takes_in && doorbell_has_news(broker->arena);
    if (!news)
        news = doorbell_prepare_sleep(broker->arena) && takes_in;
    if (!news && takes_in && (drain_due_ns(broker->drain) || ev_is_active(&broker->pace)))
        await_pace(broker);
    ev_run(broker->loop, news ? EVRUN_NOWAIT : EVRUN_ONCE);
    doorbell_awake(broker->arena);
    if (!news && takes_in && doorbell_has_news(broker->arena))
        spin_news(&broker->spin);
}

void broker_run(struct broker *broker)
{
    while (!broker->stopping) {
        bool busy = broker_tick(broker);
        links_flush(broker->links);
        /* The loop's other descriptors wait for no longer than ring.spin_max_us. */
        bool takes_in = keeping_takes_in(&broker->keeping);
        if (!busy && takes_in && ring_spin_wait(&broker->spin, broker->arena))
            busy = true;
        if (busy)
            ev_run(broker->loop, EVRUN_NOWAIT);
        else
            rest(broker, takes_in);
    }
}

/* ---- what the loop calls */

static void on_bell(struct ev_loop *loop, ev_io *watcher, int events)
{
    /* Waking up was its purpose: the turn that follows takes the news. */
    (void)loop;
    (void)watcher;
    (void)events;
}

void broker_leave(struct broker *broker, bool for_good)
{
    log_info("broker", "told to leave%s", for_good ? " for good" : "");
    broker->for_good = for_good;
    broker->stopping = true;
    ev_break(broker->loop, EVBREAK_ALL);
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)events;
    struct broker *broker = watcher->data;
    broker->stopping = true;
    ev_break(loop, EVBREAK_ALL);
}

/* HUP. The configuration itself is that of the start. */
static void on_renew(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    struct broker *broker = watcher->data;
    if (broker->door)
        door_port_renew(broker->door);
    else
        log_info("broker", "there is no door for other machines, and nothing to read again");
}

static void note_rate(struct broker *broker, uint64_t now_ms)
{
    uint64_t passed = now_ms - broker->rate_ms;
    if (passed == 0)
        return;
    broker->events_per_s = (broker->counters.events_accepted - broker->rate_events) * 1000 / passed;
    broker->rate_events = broker->counters.events_accepted;
    broker->rate_ms = now_ms;
}

/* Those after it in the second look at the same window of the users. */
static void sweep(struct broker *broker)
{
    drain_look_on(broker->drain);
    drain_sweep(broker->drain);
}

static void unstick(struct broker *broker, uint64_t now_ms)
{
    const struct drain_stuck stuck = {.after_ms = broker->config->ring_stuck_after,
        .kill = strcmp(broker->config->ring_stuck_writers, "kill") == 0,
        .kill_fenced = strcmp(broker->config->broker_kill_fenced, "never") != 0};
    drain_unstick(broker->drain, now_ms, &stuck);
}

/* What need not be prompt: each about once a second, and in a call of its own, since most go over
 * many rings, which the events that come meanwhile wait for. */
static void look_after(struct broker *broker, uint64_t now_ms)
{
    switch (broker->timer_calls++ % TIMER_CALLS_A_SECOND) {
    case 0: note_rate(broker, now_ms); break;
    case 1: sweep(broker); break;
    case 3: unstick(broker, now_ms); break;
    case 5: drain_reclaim(broker->drain, now_ms, broker->config->ring_idle_timeout); break;
    case 7: farewell_sweep(&broker->farewell); break;
    case 9: trim(broker); break;
    default: break;
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct broker *broker = watcher->data;
    uint64_t now_ms = clock_monotonic_ms();
    if (broker->keeping.state == KEEPING_SERVING) {
        dispatch_overdue(&broker->dispatch, now_ms, clock_wall_ms());
        leases_turn(&broker->leases, now_ms);
    }
    look_after(broker, now_ms);
}

void broker_watch(struct broker *broker)
{
    static const int signals[] = {SIGTERM, SIGINT};
    broker->rate_ms = clock_monotonic_ms();
    spin_init(&broker->spin, (uint32_t)broker->config->ring_spin_max_us);
    ev_io_init(&broker->bell, on_bell, doorbell_fd(broker->arena), EV_READ);
    ev_io_start(broker->loop, &broker->bell);
    ev_timer_init(&broker->timer, on_timer, TIMER_SECONDS, TIMER_SECONDS);
    broker->timer.data = broker;
    ev_timer_start(broker->loop, &broker->timer);
    ev_timer_init(&broker->pace, on_pace, 0., 0.);
    for (int i = 0; i < 2; i++) {
        ev_signal_init(&broker->terminate[i], on_terminate, signals[i]);
        broker->terminate[i].data = broker;
        ev_signal_start(broker->loop, &broker->terminate[i]);
    }
    ev_signal_init(&broker->renew, on_renew, SIGHUP);
    broker->renew.data = broker;
    ev_signal_start(broker->loop, &broker->renew);
}
