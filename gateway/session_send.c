/* SPDX-License-Identifier: Apache-2.0 */
#include "session_private.h"

#include "base/cleanup.h"

#include <errno.h>

static void overflow(struct session *session, int rc)
{
    session_close(session, 4002,
        rc == -ENOBUFS ? "too slow: resume with the cursor"
                       : "out of memory: resume with the "
                         "cursor");
}

/* ---- frames that are this connection's alone */

static int make_control(struct slice *ret_slice, struct session *session, struct buffer *json)
{
    struct slab_pool *slabs = &session->host->fanout->slabs;
    struct buffer *out = buffer_error(json) ? NULL : slab_pool_open(slabs);
    if (!out)
        return -ENOMEM;
    size_t start = out->len;
    frame_append_control(out, session->format, buffer_span(json));
    return slab_pool_take(ret_slice, slabs, start);
}

static int make_ping(struct slice *ret_slice, struct session *session)
{
    struct slab_pool *slabs = &session->host->fanout->slabs;
    struct buffer *out = slab_pool_open(slabs);
    if (!out)
        return -ENOMEM;
    size_t start = out->len;
    frame_append_ping(out, session->format);
    return slab_pool_take(ret_slice, slabs, start);
}

static void queued(struct session *session, int rc)
{
    if (rc)
        overflow(session, rc);
    else
        carrier_wake(session->carrier);
}

void session_send_ping(struct session *session)
{
    struct slice slice = {0};
    int rc = make_ping(&slice, session);
    if (!rc)
        rc = outbox_push(&session->outbox, &slice);
    slice_unref(&slice);
    queued(session, rc);
}

void session_send_text(struct session *session, struct buffer *json)
{
    struct slice slice = {0};
    if (session->state == SESSION_CLOSING)
        return;
    int rc = make_control(&slice, session, json);
    if (!rc)
        rc = outbox_push(&session->outbox, &slice);
    slice_unref(&slice);
    queued(session, rc);
}

void session_send_first(struct session *session, struct buffer *json)
{
    struct slice slice = {0};
    int rc = make_control(&slice, session, json);
    if (!rc)
        rc = outbox_push_first(&session->outbox, &slice);
    slice_unref(&slice);
    queued(session, rc);
}

/* ---- events */

bool session_has_room(const struct session *session)
{
    return session->outbox.bytes < session->outbox.limit / 2;
}

/* So much is not left to the turn's end: written while it is in the cache, its memory serves again.
 */
#define WRITE_BYTES (64u << 10)

/*
 * Events come in bursts that may be larger than the outbox, so what waits is first offered to the
 * socket: only a client whose socket takes nothing more is too slow.
 */
static int queue_event(struct session *session, const struct slice *slice)
{
    int rc = outbox_push(&session->outbox, slice);
    if (!rc && session->outbox.bytes >= WRITE_BYTES)
        carrier_flush(session->carrier);
    if (rc == -ENOBUFS && carrier_flush(session->carrier))
        rc = outbox_push(&session->outbox, slice);
    return rc;
}

bool session_send_event(struct session *session, struct feed_event *item)
{
    struct slice slice = {0};
    int rc = feed_event_frame(&slice, session->feed, item,
        &(struct feed_view){.format = session->format, .prev = session->view.prev});
    if (!rc)
        rc = queue_event(session, &slice);
    slice_unref(&slice);
    session->host->counters->events_queued += rc == 0;
    queued(session, rc);
    return rc == 0;
}

/* ---- out of the outbox */

size_t session_gather(struct session *session, struct iovec *ret_parts, size_t max)
{
    return session->state == SESSION_OPENING ? 0 : outbox_parts(&session->outbox, ret_parts, max);
}

void session_sent(struct session *session, size_t bytes, bool full)
{
    outbox_sent(&session->outbox, bytes);
    session->host->counters->bytes_sent += bytes;
    session->host->counters->writes += bytes > 0;
    if (full && bytes)
        session_handle_heard(session); /* a long queue moves: the peer reads, if slowly */
    if (full)
        outbox_settle(&session->outbox); /* without memory for it: as it is */
    if (session->state == SESSION_OPEN && session->view.replaying && !session->taking_page)
        session_resume(session);
}
