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

void session_send_frame(struct session *session, struct frame *frame)
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
    session_send_frame(session, frame);
}

void session_send_first(struct session *session, struct buffer *json)
{
    _cleanup_(frame_unrefp) struct frame *frame =
        buffer_error(json) ? NULL : frame_new(FRAME_TEXT, buffer_span(json));
    int rc = frame ? outbox_push_first(&session->outbox, frame) : -ENOMEM;
    if (rc)
        overflow(session, rc);
    else
        ws_connection_wake(session->connection);
}

bool session_has_room(const struct session *session)
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

bool session_send_event(struct session *session, struct feed_event *item)
{
    _cleanup_(frame_unrefp) struct frame *frame = frame_for_view(session, item);
    int rc = frame ? queue_event(session, frame) : -ENOMEM;
    if (rc) {
        overflow(session, rc);
        return false;
    }
    session->host->counters->events_queued++;
    ws_connection_wake(session->connection);
    return true;
}
