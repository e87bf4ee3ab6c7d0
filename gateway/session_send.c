/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the outbox, and out of it. As long as the socket takes what it is given, frames go into the
 * outbox and out at the turn's end. When it takes no more the session is behind: what comes then is
 * kept in the backlog, events as the broker sent them, and becomes frames when there is room. Past
 * a mark the backlog is folded, and past the limit, when folding makes no more room, the client is
 * too slow.
 *
 * Control frames have CONTROL_BYTES beyond the limit to themselves, so that a client whose events
 * fill the rest still gets replies, pings and farewells.
 */
#include "session_private.h"

#include "event/codec.h"

#include <errno.h>
#include <stdlib.h>

#define CONTROL_BYTES (64u << 10)
#define WRITE_BYTES (64u << 10)
/* This part of the limit may wait unfolded. */
#define FOLD_MARK(limit) ((limit) / 4)

static void overflow(struct session *session, int rc)
{
    session_close(session, 4002,
        rc == -ENOBUFS ? "too slow: resume with the cursor"
                       : "out of memory: resume with the cursor");
}

static void queued(struct session *session, int rc)
{
    if (rc)
        overflow(session, rc);
    else
        carrier_wake(session->carrier);
}

/* ---- how much waits */

static size_t limit_of(const struct session *session)
{
    return session->host->config->gateway_max_outbox;
}

size_t session_waiting(const struct session *session)
{
    return session->outbox.bytes + (session->backlog ? backlog_size(session->backlog) : 0);
}

bool session_has_room(const struct session *session)
{
    return session_waiting(session) < limit_of(session) / 2;
}

/*
 * So much is not left to the turn's end: written while it is in the cache, its memory serves again.
 * And what cannot be folded any more must not be all that may wait.
 */
static size_t write_bytes(const struct session *session)
{
    size_t mark = FOLD_MARK(limit_of(session));
    return mark < WRITE_BYTES ? mark : WRITE_BYTES;
}

/* Alone, a frame of any size can be sent. */
static bool fits(const struct session *session, size_t len, size_t beyond)
{
    size_t waiting = session_waiting(session);
    return !waiting || session->unbounded || waiting + len <= limit_of(session) + beyond;
}

/* ---- the backlog */

/* What comes now must wait behind what was kept. */
static bool is_behind(const struct session *session)
{
    return session->full || session->backlog;
}

static int fall_behind(struct session *session)
{
    if (session->backlog)
        return 0;
    session->backlog = malloc(sizeof(*session->backlog));
    if (!session->backlog)
        return -ENOMEM;
    backlog_init(session->backlog, FOLD_MARK(limit_of(session)));
    session->host->counters->sessions_slow++;
    return 0;
}

static void catch_up(struct session *session)
{
    backlog_deinit(session->backlog);
    free(session->backlog);
    session->backlog = NULL;
}

void session_forget_waiting(struct session *session)
{
    if (session->backlog)
        catch_up(session);
    outbox_clear(&session->outbox);
}

static void fold(struct session *session, bool anyway)
{
    session->host->counters->events_folded += backlog_fold(session->backlog, anyway);
}

static int keep_frame(struct session *session, const struct slice *slice)
{
    int rc = fall_behind(session);
    return rc ? rc : backlog_push_frame(session->backlog, span_of(slice_data(slice), slice->len));
}

static int keep_event(struct session *session, const struct feed_event *item)
{
    size_t len = item->encoded.len;
    int rc = fall_behind(session);
    if (!rc && !fits(session, len, 0))
        fold(session, true);
    if (!rc && !fits(session, len, 0))
        return -ENOBUFS;
    if (!rc)
        rc = backlog_push_event(session->backlog, item->encoded, session->view.prev);
    if (!rc)
        fold(session, false);
    return rc;
}

/* ---- frames that are this connection's alone */

typedef void append_frame(struct buffer *out, enum frame_format format, const void *what);

static void append_control(struct buffer *out, enum frame_format format, const void *json)
{
    frame_append_control(out, format, buffer_span(json));
}

static void append_ping(struct buffer *out, enum frame_format format, const void *nothing)
{
    (void)nothing;
    frame_append_ping(out, format);
}

static void append_event(struct buffer *out, enum frame_format format, const void *event)
{
    frame_append_event(out, format, event);
}

static int make_frame(
    struct slice *ret_slice, struct session *session, append_frame *append, const void *what)
{
    struct slab_pool *slabs = &session->host->fanout->slabs;
    struct buffer *out = slab_pool_open(slabs);
    if (!out)
        return -ENOMEM;
    size_t start = out->len;
    append(out, session->format, what);
    return slab_pool_take(ret_slice, slabs, start);
}

static void send_control(struct session *session, append_frame *append, const void *what)
{
    struct slice slice = {0};
    int rc = make_frame(&slice, session, append, what);
    if (!rc && !fits(session, slice.len, CONTROL_BYTES))
        rc = -ENOBUFS;
    if (!rc)
        rc = is_behind(session) ? keep_frame(session, &slice)
                                : outbox_push(&session->outbox, &slice);
    slice_unref(&slice);
    queued(session, rc);
}

void session_send_ping(struct session *session)
{
    send_control(session, append_ping, NULL);
}

void session_send_text(struct session *session, struct buffer *json)
{
    if (session->state == SESSION_CLOSING)
        return;
    if (buffer_error(json))
        overflow(session, -ENOMEM);
    else
        send_control(session, append_control, json);
}

void session_send_first(struct session *session, struct buffer *json)
{
    struct slice slice = {0};
    int rc = buffer_error(json);
    if (!rc)
        rc = make_frame(&slice, session, append_control, json);
    if (!rc)
        rc = outbox_push_first(&session->outbox, &slice);
    slice_unref(&slice);
    queued(session, rc);
}

/* ---- events */

static int push_event(struct session *session, struct feed_event *item)
{
    struct slice slice = {0};
    const struct feed_view view = {.format = session->format, .prev = session->view.prev};
    int rc = feed_event_frame(&slice, session->feed, item, &view);
    if (!rc)
        rc = outbox_push(&session->outbox, &slice);
    slice_unref(&slice);
    return rc;
}

/*
 * A burst may be larger than all that may wait, so what waits is offered to the socket meanwhile:
 * only a client whose socket takes nothing more is behind.
 */
bool session_send_event(struct session *session, struct feed_event *item)
{
    if (!is_behind(session) && session->outbox.bytes >= write_bytes(session))
        carrier_flush(session->carrier);
    int rc = is_behind(session) ? keep_event(session, item) : push_event(session, item);
    session->host->counters->events_queued += rc == 0;
    queued(session, rc);
    return rc == 0;
}

/* ---- out again */

static int refill_one(struct session *session, const struct backlog_item *item)
{
    struct slice slice = {0};
    struct event event;
    size_t offset = 0;
    int rc;
    if (!item->is_event) {
        struct buffer *out = slab_pool_open(&session->host->fanout->slabs);
        if (!out)
            return -ENOMEM;
        size_t start = out->len;
        buffer_append_span(out, item->bytes);
        rc = slab_pool_take(&slice, &session->host->fanout->slabs, start);
    } else {
        event_decode_next(&event, item->bytes, &offset); /* as it was when it was kept */
        const struct frame_event frame = {&event, item->prev, session->epoch};
        rc = make_frame(&slice, session, append_event, &frame);
    }
    if (!rc)
        rc = outbox_push(&session->outbox, &slice);
    slice_unref(&slice);
    return rc;
}

/* What was kept becomes frames, as much as is written at once. */
static void refill(struct session *session)
{
    struct backlog_item item;
    int rc = 0;
    while (!rc && session->outbox.bytes < write_bytes(session) &&
           backlog_take(&item, session->backlog))
        rc = refill_one(session, &item);
    if (rc)
        overflow(session, rc);
    else if (!backlog_size(session->backlog))
        catch_up(session);
}

size_t session_gather(struct session *session, struct iovec *ret_parts, size_t max)
{
    if (session->state == SESSION_OPENING)
        return 0;
    session->full = false;
    if (session->backlog)
        refill(session);
    return outbox_parts(&session->outbox, ret_parts, max);
}

void session_sent(struct session *session, size_t bytes, bool full)
{
    outbox_sent(&session->outbox, bytes);
    session->host->counters->bytes_sent += bytes;
    session->host->counters->writes += bytes > 0;
    session->full = full;
    if (full && bytes && session->format != FRAME_SSE)
        session_handle_heard(session); /* a long queue moves: the peer reads, if slowly */
    if (full)
        outbox_settle(&session->outbox); /* without memory for it: as it is */
    if (session->state == SESSION_OPEN && session->view.replaying && !session->unbounded)
        session_resume(session);
}
