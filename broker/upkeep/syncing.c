/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/syncing.h"

#include "base/log.h"
#include "failpoints/failpoint.h"
#include "history/sync.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void say_failure(int rc)
{
    log_error("history", "cannot sync: %s", strerror(-rc));
}

/* What is released from here on is the next sync's: it may be in this one, or not. */
static void begin(struct syncing *syncing)
{
    FAILPOINT(sync_begun);
    int rc = history_sync_begin(syncing->options.history, syncing->fd);
    if (rc < 0) {
        say_failure(rc);
        return;
    }
    syncing->under_way = true;
    if (rc == 0)
        drain_sync_begins(syncing->options.drain);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct syncing *syncing = watcher->data;
    const struct history *history = syncing->options.history;
    if (!syncing->under_way && history_synced_count(history) != history_commit_count(history))
        begin(syncing);
}

static void on_through(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct syncing *syncing = watcher->data;
    eventfd_t count;
    if (eventfd_read(syncing->fd, &count) < 0)
        return;
    int rc = history_sync_end(syncing->options.history);
    syncing->under_way = false;
    FAILPOINT(synced);
    if (rc)
        say_failure(rc);
    else
        drain_durable(syncing->options.drain);
    FAILPOINT(durable_told);
}

int syncing_start(struct syncing *syncing, const struct syncing_options *options)
{
    double interval = (double)options->interval_ms / 1000.;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    *syncing = (struct syncing){.options = *options, .fd = fd};
    ev_io_init(&syncing->through, on_through, fd, EV_READ);
    syncing->through.data = syncing;
    ev_io_start(options->loop, &syncing->through);
    ev_timer_init(&syncing->timer, on_timer, interval, interval);
    syncing->timer.data = syncing;
    ev_timer_start(options->loop, &syncing->timer);
    return 0;
}

void syncing_stop(struct syncing *syncing)
{
    if (syncing->fd < 0)
        return;
    ev_timer_stop(syncing->options.loop, &syncing->timer);
    ev_io_stop(syncing->options.loop, &syncing->through);
    close(syncing->fd);
    syncing->fd = -1;
}
