/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout.h"

#include "session.h"

#include "base/log.h"
#include "event/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

void fanout_init(struct fanout *fanout, struct brokers *brokers, struct counters *counters)
{
    *fanout = (struct fanout){.brokers = brokers, .counters = counters};
}

static void feed_free(struct feed *feed)
{
    assert(list_empty(&feed->sessions));
    broker_link_cancel(&feed->reopen);
    open_runs_deinit(&feed->runs);
    map_remove(&feed->fanout->feeds, span_of_string(feed->user));
    feed->fanout->counters->users = feed->fanout->feeds.count;
    free(feed);
}

void fanout_deinit(struct fanout *fanout)
{
    size_t cursor = 0;
    struct feed *feed;
    while ((feed = map_next(&fanout->feeds, &cursor))) {
        feed_free(feed);
        cursor--;
    }
    map_deinit(&fanout->feeds);
    slab_pool_deinit(&fanout->slabs);
}

/* ---- feeds */

static void reopen_done(struct link_call *call, const struct wire_message *answer);

int fanout_feed(struct feed **ret_feed, struct fanout *fanout, const char *user)
{
    struct feed *feed = map_get(&fanout->feeds, span_of_string(user));
    if (feed) {
        *ret_feed = feed;
        return 0;
    }
    size_t user_size = strlen(user) + 1;
    feed = calloc(1, sizeof(*feed) + user_size);
    if (!feed)
        return -ENOMEM;
    feed->fanout = fanout;
    feed->link = brokers_link_of(fanout->brokers, user);
    memcpy(feed->user, user, user_size);
    feed->tag = event_user_tag(span_of_string(user));
    feed->reopen.done = reopen_done;
    list_init(&feed->sessions);
    int rc = map_put(&fanout->feeds, span_of_string(feed->user), feed);
    if (rc) {
        free(feed);
        return rc;
    }
    fanout->counters->users = fanout->feeds.count;
    *ret_feed = feed;
    return 0;
}

void feed_join(struct feed *feed, struct list_link *session_link)
{
    list_append(&feed->sessions, session_link);
    feed->session_count++;
}

void feed_leave(struct feed *feed, struct list_link *session_link)
{
    assert(feed->session_count > 0);
    list_remove(session_link);
    feed->session_count--;
}

static void close_sessions(struct feed *feed)
{
    assert(feed->sessions.next); /* a list once made is never without */
    LIST_FOR_EACH(struct session, session, &feed->sessions, feed_link)
    {
        if (session_is_open(session))
            session_close(session, 4004, "the stream was numbered anew");
    }
}

void feed_learn(struct feed *feed, struct span epoch, uint64_t head)
{
    if (feed->epoch[0] && !span_is(epoch, feed->epoch)) {
        close_sessions(feed);
        feed->newest = 0;
    }
    snprintf(feed->epoch, sizeof(feed->epoch), "%.*s", SPAN_ARG(epoch));
    if (head > feed->newest)
        feed->newest = head;
}

void feed_learn_opened(struct feed *feed, const struct wire_opened *opened)
{
    feed_learn(feed, opened->epoch, opened->head);
    open_runs_learn(&feed->runs, opened->runs, opened->head);
}

void feed_lose_state(struct feed *feed)
{
    close_sessions(feed);
    feed->epoch[0] = '\0';
    feed->newest = 0;
}

void fanout_kick(struct fanout *fanout, struct span user)
{
    struct feed *feed = map_get(&fanout->feeds, user);
    if (!feed)
        return;
    log_info("fanout", "an administrator disconnects %s: %zu connections", feed->user,
        feed->session_count);
    LIST_FOR_EACH(struct session, session, &feed->sessions, feed_link)
    session_close(session, 4403, "disconnected by an administrator");
}

/* ---- live events */

struct feed_event feed_event_of(struct feed *feed, const struct event *event, struct span encoded)
{
    struct feed_event item = {
        .event = event, .encoded = encoded, .foreign = event->user_tag != feed->tag};
    if (item.foreign) {
        feed->fanout->counters->events_foreign++;
        log_error("fanout",
            "event %llu in the stream of user %s belongs to another user; it was "
            "kept back",
            (unsigned long long)event->seq, feed->user);
    }
    return item;
}

void feed_event_done(struct feed_event *item)
{
    for (size_t i = 0; i < FRAME_FORMATS; i++)
        slice_unref(&item->frames[i]);
}

static int make_frame(struct slice *ret_slice, struct feed *feed, const struct event *event,
    const struct feed_view *view)
{
    struct fanout *fanout = feed->fanout;
    struct buffer *out = slab_pool_open(&fanout->slabs);
    if (!out)
        return -ENOMEM;
    size_t start = out->len;
    frame_append_event(out, view->format, &(struct frame_event){event, view->prev, feed->epoch});
    fanout->counters->events_encoded++;
    return slab_pool_take(ret_slice, &fanout->slabs, start);
}

int feed_event_frame(struct slice *ret_slice, struct feed *feed, struct feed_event *item,
    const struct feed_view *view)
{
    struct slice *shared = &item->frames[view->format];
    if (view->prev != event_first_seq(item->event) - 1)
        return make_frame(ret_slice, feed, item->event, view);
    int rc = shared->slab ? 0 : make_frame(shared, feed, item->event, view);
    if (!rc)
        *ret_slice = slice_ref(shared);
    return rc;
}

static void deliver(struct feed *feed, const struct event *event, struct span encoded)
{
    struct feed_event item = feed_event_of(feed, event, encoded);
    if (event->seq > feed->newest)
        feed->newest = event->seq;
    open_runs_note_live(&feed->runs, event);
    LIST_FOR_EACH(struct session, session, &feed->sessions, feed_link)
    {
        session_offer(session, &item);
    }
    feed_event_done(&item);
}

void fanout_handle_events(struct fanout *fanout, const struct wire_events *events)
{
    struct event event;
    size_t offset = 0;
    size_t start = 0;
    int rc;
    struct feed *feed = map_get(&fanout->feeds, events->user);
    if (!feed || !feed->epoch[0])
        return;
    if (!span_is(events->epoch, feed->epoch)) {
        feed_lose_state(feed);
        return;
    }
    while ((rc = event_decode_next(&event, events->events, &offset)) > 0) {
        fanout->counters->events_received++;
        deliver(feed, &event, span_of(events->events.data + start, offset - start));
        start = offset;
    }
    if (rc < 0) {
        fanout->counters->events_malformed++;
        log_error("fanout",
            "live events of user %s are malformed; sessions read them from "
            "history",
            feed->user);
    }
}

void fanout_handle_epoch_changed(struct fanout *fanout, const struct wire_epoch_changed *changed)
{
    struct feed *feed = map_get(&fanout->feeds, changed->user);
    if (feed && feed->epoch[0] && !span_is(changed->epoch, feed->epoch))
        feed_lose_state(feed);
}

/* ---- after the link was made again */

static void resume_sessions(struct feed *feed)
{
    LIST_FOR_EACH(struct session, session, &feed->sessions, feed_link)
    {
        session_send_ack(session);
        session_resume(session);
    }
}

static void reopen_done(struct link_call *call, const struct wire_message *answer)
{
    struct feed *feed = CONTAINER_OF(call, struct feed, reopen);
    if (!answer)
        return; /* lost once more; the next link asks again */
    if (answer->kind != WIRE_OPENED || answer->opened.resume == WIRE_RESUME_RESET ||
        !span_is(answer->opened.epoch, feed->epoch)) {
        feed_lose_state(feed);
        return;
    }
    feed_learn_opened(feed, &answer->opened);
    resume_sessions(feed);
}

static void reopen(struct feed *feed)
{
    struct wire_message message = {.kind = WIRE_OPEN,
        .open = {.user = span_of_string(feed->user),
            .mode = WIRE_OPEN_CURSOR,
            .epoch = span_of_string(feed->epoch),
            .after = feed->newest}};
    broker_link_cancel(&feed->reopen);
    if (broker_link_call(feed->link, &feed->reopen, &message) < 0)
        log_warn("fanout", "user %s could not be opened again yet", feed->user);
}

void fanout_handle_ready(struct fanout *fanout, const struct broker_link *link)
{
    size_t cursor = 0;
    struct feed *feed;
    while ((feed = map_next(&fanout->feeds, &cursor))) {
        if (feed->link != link)
            continue;
        if (feed->epoch[0] && feed->session_count)
            reopen(feed);
        LIST_FOR_EACH(struct session, session, &feed->sessions, feed_link)
        {
            session_reopen(session);
        }
    }
}

void fanout_tick(struct fanout *fanout)
{
    size_t cursor = 0;
    struct feed *feed;
    while ((feed = map_next(&fanout->feeds, &cursor))) {
        if (feed->session_count)
            continue;
        const struct wire_message message = {
            .kind = WIRE_CLOSE, .close = {.user = span_of_string(feed->user)}};
        broker_link_send(feed->link, &message);
        feed_free(feed);
        cursor--;
    }
}
