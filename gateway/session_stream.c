/* SPDX-License-Identifier: Apache-2.0 */
#include "session_private.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "event/codec.h"

#include <assert.h>
#include <stdio.h>

#define PAGE_BYTES_MAX (256u << 10)

/* ---- live */

void session_advance(struct session *session, uint64_t seq, bool sent)
{
    view_advance(&session->view, seq, sent);
    session_snapshots_passed(session);
}

static void take_event(struct session *session, struct feed_event *item)
{
    if (item->foreign ||
        (session->filter && !filter_passes(session->filter, item->event->thread_id)))
        session_advance(session, item->event->seq, false);
    else if (session_send_event(session, item))
        session_advance(session, item->event->seq, true);
}

void session_offer(struct session *session, struct feed_event *item)
{
    struct view *view = &session->view;
    if (session->state != SESSION_OPEN || (view->replaying && !session_has_room(session)) ||
        session_snapshots_asked(session))
        return;
    bool was_live = !view->replaying;
    switch (view_offer_live(view, item->event->seq)) {
    case VIEW_TAKE: take_event(session, item); break;
    case VIEW_SEEN: return;
    case VIEW_AHEAD: session->host->counters->sessions_behind += was_live; break;
    }
    if (view->replaying)
        session_resume(session);
}

/* ---- replay */

static void send_caught_up(struct session *session)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    control_append_caught_up(&json, session->view.position);
    session_send_text(session, &json);
}

static void page_done(struct link_call *call, const struct wire_message *answer);

static void ask_page(struct session *session)
{
    uint64_t bytes = session->host->config->gateway_max_outbox / 4;
    struct wire_message message = {.kind = WIRE_READ,
        .read = {.user = span_of_string(session->user),
            .epoch = span_of_string(session->epoch),
            .after = session->view.position,
            .max_bytes = bytes < PAGE_BYTES_MAX ? bytes : PAGE_BYTES_MAX}};
    session->page_after = session->view.position;
    session->call.done = page_done;
    broker_link_call(session->link, &session->call, &message);
}

bool session_awaits_page(const struct session *session)
{
    if (session->state == SESSION_OPENING)
        return true;
    return session_is_open(session) && !session->paged && link_call_active(&session->call);
}

void session_resume(struct session *session)
{
    if (session->state != SESSION_OPEN || link_call_active(&session->call) ||
        session_snapshots_asked(session) || !session_has_room(session))
        return;
    assert(session->feed);
    if (!session_snapshots_step(session) || session->state != SESSION_OPEN)
        return;
    if (view_settle(&session->view, session->feed->newest))
        send_caught_up(session);
    if (session->state == SESSION_OPEN && session->view.replaying)
        ask_page(session);
}

static void send_gap(struct session *session, uint64_t from, uint64_t to, const char *reason)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    session->host->counters->gaps_sent++;
    control_append_gap(&json, from, to, reason);
    session_send_text(session, &json);
}

/* Events of a page may go past the limit, by one page: it was asked for with room left. */
static int take_page_events(struct session *session, struct span events)
{
    struct event event;
    size_t offset = 0;
    size_t start = 0;
    int rc;
    session->unbounded = true;
    while ((rc = event_decode_next(&event, events, &offset)) > 0 && session_is_open(session)) {
        struct span encoded = span_of(events.data + start, offset - start);
        start = offset;
        if (view_offer_page(&session->view, event.seq) != VIEW_TAKE)
            continue;
        open_runs_note_page(&session->feed->runs, &event);
        struct feed_event item = feed_event_of(session->feed, &event, encoded);
        session->host->counters->events_replayed++;
        take_event(session, &item);
        feed_event_done(&item);
    }
    session->unbounded = false;
    return rc;
}

static void handle_page(struct session *session, const struct wire_page *page)
{
    if (take_page_events(session, page->events) < 0) {
        session->host->counters->events_malformed++;
        log_error("session", "history of user %s is malformed behind %llu", session->user,
            (unsigned long long)session->view.position);
        session_close(session, 1011, "history could not be read");
        return;
    }
    if (!session_is_open(session))
        return;
    if (page->last > session->view.position)
        session_advance(session, page->last, false);
    if (!session_is_open(session))
        return;
    feed_learn(session->feed, span_of_string(session->epoch), page->head);
    if (page->last <= session->page_after && !session_snapshots_exhausted(session)) {
        if (view_exhaust(&session->view))
            send_caught_up(session);
    } else {
        session_resume(session);
    }
}

static void handle_gone(struct session *session, const struct wire_page *page, const char *reason)
{
    uint64_t from = session->view.position + 1;
    if (page->oldest <= from) {
        session_close(session, 1011, "history could not be read");
        return;
    }
    send_gap(session, from, page->oldest - 1, reason);
    if (!session_is_open(session))
        return;
    view_skip_gap(&session->view, page->oldest - 1);
    session_owe_snapshots(session);
    session_resume(session);
}

static void page_done(struct link_call *call, const struct wire_message *answer)
{
    struct session *session = CONTAINER_OF(call, struct session, call);
    if (!answer)
        return; /* session_reopen or the next event asks again */
    session->paged = true;
    if (answer->kind != WIRE_PAGE) {
        session_close(session, 1011, "history could not be read");
        return;
    }
    switch (answer->page.status) {
    case WIRE_PAGE_OK: handle_page(session, &answer->page); break;
    case WIRE_PAGE_TRIMMED: handle_gone(session, &answer->page, "trimmed"); break;
    case WIRE_PAGE_DAMAGED: handle_gone(session, &answer->page, "damaged"); break;
    default: session_close(session, 4004, "the stream was numbered anew");
    }
}

/* ---- opening */

const char *session_resume_name(uint64_t resume)
{
    static const char *const names[] = {[WIRE_RESUME_LIVE] = "live",
        [WIRE_RESUME_REPLAY] = "replay",
        [WIRE_RESUME_GAP] = "gap",
        [WIRE_RESUME_RESET] = "reset"};
    return resume < ARRAY_SIZE(names) ? names[resume] : "reset";
}

static void send_welcome(struct session *session, const struct wire_opened *opened)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    const struct config *config = session->host->config;
    const struct control_welcome welcome = {
        .connection_id = session->id,
        .user_id = session->user,
        .epoch = opened->epoch,
        .head = opened->head,
        .oldest = opened->oldest,
        .runs = opened->runs,
        .heartbeat_ms =
            session->format == FRAME_SSE ? SESSION_COMMENT_MS : config->gateway_heartbeat,
        .limits = {.max_frame = config->gateway_max_frame,
            .max_content = WIRE_CONTENT_MAX,
            .max_messages_per_second = config->gateway_max_messages_per_second,
            .max_pending_requests = config->gateway_max_pending_requests,
            .max_filter_threads = config->gateway_max_filter_threads},
        .resume = session_resume_name(opened->resume),
    };
    control_append_welcome(&json, &welcome);
    session_send_first(session, &json);
}

static bool begins_with_gap(const struct wire_opened *opened)
{
    return opened->resume == WIRE_RESUME_GAP || opened->resume == WIRE_RESUME_RESET;
}

/* Of a run that begins later the view has every event. */
static bool has_open_runs(const struct wire_opened *opened)
{
    return opened->runs.len && !span_is(opened->runs, "[]");
}

void session_begin_view(struct session *session, const struct wire_opened *opened, bool asked)
{
    feed_learn_opened(session->feed, opened);
    view_begin(&session->view, opened->start, opened->head, asked);
}

void session_begin_sending(struct session *session, const struct wire_opened *opened)
{
    if (opened->resume == WIRE_RESUME_GAP && session_is_open(session))
        send_gap(session, opened->gap_from, opened->gap_to, "trimmed");
    if (opened->resume == WIRE_RESUME_RESET && session_is_open(session))
        send_gap(session, opened->gap_from, opened->gap_to, "epoch_changed");
    if (session_is_open(session) && has_open_runs(opened) &&
        (session->wants_snapshots || begins_with_gap(opened)))
        session_owe_snapshots(session);
    session_resume(session);
}

static void handle_opened(struct session *session, const struct wire_opened *opened)
{
    if (opened->epoch.len == 0 || opened->epoch.len >= sizeof(session->epoch)) {
        session_close(session, 1011, "the broker's answer makes no sense");
        return;
    }
    snprintf(session->epoch, sizeof(session->epoch), "%.*s", SPAN_ARG(opened->epoch));
    session_begin_view(session, opened, session->mode != WIRE_OPEN_LIVE);
    session->state = SESSION_OPEN;
    send_welcome(session, opened);
    session_begin_sending(session, opened);
}

static void open_done(struct link_call *call, const struct wire_message *answer)
{
    struct session *session = CONTAINER_OF(call, struct session, call);
    if (!answer)
        return; /* session_reopen asks again, or the time for a welcome runs out */
    if (answer->kind == WIRE_OPENED)
        handle_opened(session, &answer->opened);
    else
        session_close(session, 1011, "the broker could not open the stream");
}

static void ask_open(struct session *session)
{
    struct wire_message message = {.kind = WIRE_OPEN,
        .open = {.user = span_of_string(session->user),
            .mode = session->mode,
            .epoch = span_of_string(session->epoch),
            .after = session->after}};
    session->call.done = open_done;
    broker_link_call(session->link, &session->call, &message);
}

void session_stream_cancel(struct session *session)
{
    broker_link_cancel(&session->call);
}

void session_start(struct session *session, struct carrier *carrier)
{
    session->carrier = carrier;
    ask_open(session);
}

void session_reopen(struct session *session)
{
    if (session->state == SESSION_OPENING && session->carrier && !link_call_active(&session->call))
        ask_open(session);
}
