/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "event/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define WELCOME_TIMEOUT_MS 30000
#define PONG_WAIT_MAX_MS 15000
#define PAGE_BYTES_MAX (256u << 10)

static void open_done(struct link_call *call, const struct wire_message *answer);
static void page_done(struct link_call *call, const struct wire_message *answer);

/* ---- life */

static int copy_filter(struct session *session, const struct filter *filter)
{
    if (!filter->count)
        return 0;
    session->filter = malloc(sizeof(*session->filter));
    if (!session->filter)
        return -ENOMEM;
    *session->filter = *filter;
    return 0;
}

int session_new(struct session **ret_session, struct session_host *host,
    const struct token_claims *claims, const struct handshake *handshake)
{
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return -ENOMEM;
    session->host = host;
    session->claims = *claims;
    session->mode = handshake->mode;
    session->after = handshake->after;
    session->wants_snapshots = handshake->snapshots;
    memcpy(session->epoch, handshake->epoch, sizeof(session->epoch));
    session->open.done = open_done;
    session->page.done = page_done;
    session->started_at = session->heard_at = clock_monotonic_ms();
    list_init(&session->host_link);
    list_init(&session->feed_link);
    list_init(&session->requests);
    identifier_make(session->id, "cn");
    outbox_init(&session->outbox, host->config->gateway_max_outbox);
    rate_init(&session->rate, host->config->gateway_max_messages_per_second, session->started_at);
    int rc = copy_filter(session, &handshake->filter);
    if (!rc)
        rc = fanout_feed(&session->feed, host->fanout, claims->user);
    if (rc) {
        session_free(session);
        return rc;
    }
    feed_join(session->feed, &session->feed_link);
    list_append(&host->sessions, &session->host_link);
    host->counters->connections++;
    *ret_session = session;
    return 0;
}

/* Nothing comes from the feed or the broker any more. */
static void detach(struct session *session)
{
    broker_link_cancel(&session->open);
    broker_link_cancel(&session->page);
    session_cancel_requests(session);
    session_forget_snapshots(session);
    if (session->feed)
        feed_leave(session->feed, &session->feed_link);
    session->feed = NULL;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    if (!list_empty(&session->host_link))
        session->host->counters->connections--;
    detach(session);
    list_remove(&session->host_link);
    outbox_deinit(&session->outbox);
    free(session->filter);
    free(session);
}

static void count_close(struct counters *counters, int code)
{
    switch (code) {
    case 4002: counters->closed_too_slow++; break;
    case 4003: counters->closed_silent++; break;
    case 4004: counters->closed_state_lost++; break;
    case 4400: counters->closed_protocol++; break;
    case 4401:
    case 4403: counters->closed_token++; break;
    case 4429: counters->closed_rate++; break;
    default: break;
    }
}

void session_close(struct session *session, int code, const char *reason)
{
    if (session->state == SESSION_CLOSING)
        return;
    bool welcomed = session_is_open(session);
    session->state = SESSION_CLOSING;
    count_close(session->host->counters, code);
    log_debug("session", "%s of user %s closes with %d: %s", session->id, session->claims.user,
        code, reason);
    detach(session);
    bool unread = code == 4002 || code == 4003; /* give the memory back now */
    if (unread || !welcomed)
        outbox_clear(&session->outbox);
    if (session->connection)
        ws_connection_close(session->connection, code, reason);
}

/* ---- sending */

static void overflow(struct session *session, int rc)
{
    session_close(session, 4002,
        rc == -ENOBUFS ? "too slow: resume with the cursor"
                       : "out of memory: resume with the "
                         "cursor");
}

static void send_frame(struct session *session, struct frame *frame)
{
    int rc = frame ? outbox_push(&session->outbox, frame) : -ENOMEM;
    if (rc)
        overflow(session, rc);
    else
        ws_connection_wake(session->connection);
}

void session_send_text(struct session *session, struct buffer *json)
{
    if (session->state == SESSION_CLOSING)
        return;
    _cleanup_(frame_unrefp) struct frame *frame =
        buffer_error(json) ? NULL : frame_new(FRAME_TEXT, buffer_span(json));
    send_frame(session, frame);
}

/* Replay asks for more only below this, so that a page and what is live meanwhile find room. */
static bool has_room(const struct session *session)
{
    return session->outbox.bytes < session->outbox.limit / 2;
}

/*
 * Events come in bursts that may be larger than the outbox, so what waits is first offered to the
 * socket: only a client whose socket takes nothing more is too slow.
 */
static int queue_event(struct session *session, struct frame *frame)
{
    int rc = outbox_push(&session->outbox, frame);
    while (rc == -ENOBUFS && ws_connection_flush(session->connection))
        rc = outbox_push(&session->outbox, frame);
    return rc;
}

/* The frame as this view needs it, with a reference for the caller. NULL when memory is out. */
static struct frame *frame_for_view(struct session *session, struct feed_event *item)
{
    struct frame *shared = feed_event_frame(session->feed, item);
    if (!shared || session->view.prev == event_first_seq(item->event) - 1)
        return shared ? frame_ref(shared) : NULL;
    return frame_new_with_prev(shared, session->view.prev);
}

static void advance(struct session *session, uint64_t seq, bool sent)
{
    view_advance(&session->view, seq, sent);
    session_snapshots_passed(session);
}

static void send_event(struct session *session, struct feed_event *item)
{
    _cleanup_(frame_unrefp) struct frame *frame = frame_for_view(session, item);
    int rc = frame ? queue_event(session, frame) : -ENOMEM;
    if (rc) {
        overflow(session, rc);
        return;
    }
    session->host->counters->events_queued++;
    ws_connection_wake(session->connection);
    advance(session, item->event->seq, true);
}

static void take_event(struct session *session, struct feed_event *item)
{
    if (item->foreign ||
        (session->filter && !filter_passes(session->filter, item->event->thread_id)))
        advance(session, item->event->seq, false);
    else
        send_event(session, item);
}

void session_offer(struct session *session, struct feed_event *item)
{
    struct view *view = &session->view;
    if (session->state != SESSION_OPEN || (view->replaying && !has_room(session)) ||
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

static void ask_page(struct session *session)
{
    uint64_t bytes = session->outbox.limit / 4;
    struct wire_message message = {.kind = WIRE_READ,
        .read = {.user = span_of_string(session->claims.user),
            .epoch = span_of_string(session->epoch),
            .after = session->view.position,
            .max_bytes = bytes < PAGE_BYTES_MAX ? bytes : PAGE_BYTES_MAX}};
    session->page_after = session->view.position;
    broker_link_call(session->host->link, &session->page, &message);
}

void session_resume(struct session *session)
{
    if (session->state != SESSION_OPEN || link_call_active(&session->page) ||
        session_snapshots_asked(session) || !has_room(session))
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

/* Events of a page may go past the outbox's limit, by one page: it was asked for with room left. */
static int take_page_events(struct session *session, struct span events)
{
    struct event event;
    size_t offset = 0;
    int rc;
    size_t limit = session->outbox.limit;
    session->outbox.limit = SIZE_MAX / 2;
    while ((rc = event_decode_next(&event, events, &offset)) > 0 && session_is_open(session)) {
        if (view_offer_page(&session->view, event.seq) != VIEW_TAKE)
            continue;
        struct feed_event item = feed_event_of(session->feed, &event);
        session->host->counters->events_replayed++;
        take_event(session, &item);
        frame_unref(item.frame);
    }
    session->outbox.limit = limit;
    return rc;
}

static void handle_page(struct session *session, const struct wire_page *page)
{
    if (take_page_events(session, page->events) < 0) {
        session->host->counters->events_malformed++;
        log_error("session", "history of user %s is malformed behind %llu", session->claims.user,
            (unsigned long long)session->view.position);
        session_close(session, 1011, "history could not be read");
        return;
    }
    if (!session_is_open(session))
        return;
    if (page->last > session->view.position)
        advance(session, page->last, false);
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
    struct session *session = CONTAINER_OF(call, struct session, page);
    if (!answer)
        return; /* session_reopen or the next event asks again */
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

static const char *resume_name(uint64_t resume)
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
        .user_id = session->claims.user,
        .epoch = opened->epoch,
        .head = opened->head,
        .oldest = opened->oldest,
        .runs = opened->runs,
        .heartbeat_ms = config->gateway_heartbeat,
        .limits = {.max_frame = config->gateway_max_frame,
            .max_content = WIRE_CONTENT_MAX,
            .max_messages_per_second = config->gateway_max_messages_per_second,
            .max_pending_requests = SESSION_PENDING_MAX},
        .resume = resume_name(opened->resume),
    };
    control_append_welcome(&json, &welcome);
    _cleanup_(frame_unrefp) struct frame *frame =
        buffer_error(&json) ? NULL : frame_new(FRAME_TEXT, buffer_span(&json));
    int rc = frame ? outbox_push_first(&session->outbox, frame) : -ENOMEM;
    if (rc)
        overflow(session, rc);
    else
        ws_connection_wake(session->connection);
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

static void handle_opened(struct session *session, const struct wire_opened *opened)
{
    if (opened->epoch.len == 0 || opened->epoch.len >= sizeof(session->epoch)) {
        session_close(session, 1011, "the broker's answer makes no sense");
        return;
    }
    snprintf(session->epoch, sizeof(session->epoch), "%.*s", SPAN_ARG(opened->epoch));
    feed_learn(session->feed, opened->epoch, opened->head);
    session->state = SESSION_OPEN;
    view_begin(&session->view, opened->start, opened->head, session->mode != WIRE_OPEN_LIVE);
    send_welcome(session, opened);
    if (opened->resume == WIRE_RESUME_GAP && session_is_open(session))
        send_gap(session, opened->gap_from, opened->gap_to, "trimmed");
    if (opened->resume == WIRE_RESUME_RESET && session_is_open(session))
        send_gap(session, opened->gap_from, opened->gap_to, "epoch_changed");
    if ((session->wants_snapshots || begins_with_gap(opened)) && has_open_runs(opened))
        session_owe_snapshots(session);
    session_resume(session);
}

static void open_done(struct link_call *call, const struct wire_message *answer)
{
    struct session *session = CONTAINER_OF(call, struct session, open);
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
        .open = {.user = span_of_string(session->claims.user),
            .mode = session->mode,
            .epoch = span_of_string(session->epoch),
            .after = session->after}};
    broker_link_call(session->host->link, &session->open, &message);
}

void session_start(struct session *session, struct ws_connection *connection)
{
    session->connection = connection;
    ask_open(session);
}

void session_reopen(struct session *session)
{
    if (session->state == SESSION_OPENING && session->connection &&
        !link_call_active(&session->open))
        ask_open(session);
}

/* ---- the socket */

void session_handle_heard(struct session *session)
{
    session->heard_at = clock_monotonic_ms();
    session->pinged_at = 0;
}

void session_handle_writable(struct session *session, struct buffer *out, size_t want)
{
    size_t before = out->len;
    if (session->state == SESSION_OPENING)
        return;
    outbox_take(&session->outbox, out, want);
    if (out->len > before) {
        session->host->counters->bytes_sent += out->len - before;
        session->host->counters->writes++;
    }
    if (!outbox_empty(&session->outbox))
        session_handle_heard(session); /* a long queue moves: the peer reads, if slowly */
    if (session->state == SESSION_OPEN && session->view.replaying)
        session_resume(session);
}

/* ---- the gateway */

static uint64_t pong_wait(const struct session *session)
{
    uint64_t heartbeat = session->host->config->gateway_heartbeat;
    return heartbeat < PONG_WAIT_MAX_MS ? heartbeat : PONG_WAIT_MAX_MS;
}

static void check_silence(struct session *session, uint64_t now_ms)
{
    if (session->pinged_at && now_ms - session->pinged_at >= pong_wait(session)) {
        session_close(session, 4003, "nothing was heard, not even a pong");
    } else if (!session->pinged_at &&
               now_ms - session->heard_at >= session->host->config->gateway_heartbeat) {
        session->pinged_at = now_ms;
        send_frame(session, session->host->ping);
    }
}

void session_tick(struct session *session, uint64_t now_ms, uint64_t now_wall)
{
    bool opening = session->state == SESSION_OPENING;
    if (session->state == SESSION_CLOSING || !session->connection)
        return;
    if (auth_expired(session->host->auth, session->claims.expires_at, now_wall))
        session_close(session, 4401, "the token has expired");
    else if (opening && now_ms - session->started_at >= WELCOME_TIMEOUT_MS)
        session_close(session, 4408, "the broker did not answer in time");
    else if (!opening)
        check_silence(session, now_ms);
    session_resume(session);
}

void session_send_away(struct session *session, const char *reason, uint64_t reconnect_after_ms)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    if (session_is_open(session)) {
        const struct control_going_away going_away = {.reason = reason,
            .reconnect_after_ms = reconnect_after_ms,
            .epoch = session->epoch,
            .seq = session->view.position};
        control_append_going_away(&json, &going_away);
        session_send_text(session, &json);
    }
    session_close(session, 4001, reason);
}
