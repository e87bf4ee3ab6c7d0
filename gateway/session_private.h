/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "session.h"

/* What the files of a session share, and nobody else. */

/* ---- session_stream.c: opening, replay, live */

void session_stream_init(struct session *session);
/* Nothing comes from the broker for the stream any more. */
void session_stream_cancel(struct session *session);
/* The view has moved behind `seq`; `sent`: by an event that goes out. */
void session_advance(struct session *session, uint64_t seq, bool sent);

/* ---- session_send.c: into the outbox, and out of it */

/* Each closes the session with 4002 when there is no room; the events' position stands then. */
void session_send_frame(struct session *session, struct frame *frame);
/* Before everything that waits, and whatever the limit says. */
void session_send_first(struct session *session, struct buffer *json);
/*
 * Queues a control frame or reply; over the limit the session closes with 4002. A reply that comes
 * before the welcome waits for it.
 */
void session_send_text(struct session *session, struct buffer *json);
/* The event as this view needs it. Whether it is on its way. */
bool session_send_event(struct session *session, struct feed_event *item);
/* Replay asks for more only below this, so that a page and what is live meanwhile find room. */
bool session_has_room(const struct session *session);

/* ---- session_requests.c: what the client asks */

void session_cancel_requests(struct session *session);

/* ---- session_snapshots.c: what open runs show */

/*
 * After a gap, or when the client asked for them: from now on the client is owed what its open runs
 * show. The broker is asked when the view has reached what there is; the answer stands for all
 * events up to a number, and its frames go out exactly behind the event of that number.
 */
void session_owe_snapshots(struct session *session);
/* The broker was asked: the view stands still until the answer says where it goes. */
bool session_snapshots_asked(const struct session *session);
/* The view has moved: sends what belongs here. */
void session_snapshots_passed(struct session *session);
/* What there is was sent, as far as is known. False when the view must wait for the broker. */
bool session_snapshots_step(struct session *session);
/* The store has nothing more, whatever was announced. True while something is owed. */
bool session_snapshots_exhausted(struct session *session);
void session_forget_snapshots(struct session *session);
