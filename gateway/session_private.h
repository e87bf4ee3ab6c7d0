/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "session.h"

/* What the files of a session share, and nobody else. */

/* ---- session_stream.c: opening, replay, live */

/* Nothing comes from the broker for the stream any more. */
void session_stream_cancel(struct session *session);
/* A view begins where the broker says. `asked`: the client gave a cursor, and is told when it is
 * caught up. */
void session_begin_view(struct session *session, const struct wire_opened *opened, bool asked);
/* The gap it begins with, snapshots when they are due, and what is there to send. */
void session_begin_sending(struct session *session, const struct wire_opened *opened);
/* "live", "replay", "gap", "reset". */
const char *session_resume_name(uint64_t resume);
/* The view has moved behind `seq`; `sent`: by an event that goes out. */
void session_advance(struct session *session, uint64_t seq, bool sent);

/* ---- session_send.c: into the outbox, and out of it */

/* Each closes the session with 4002 when there is no room; the events' position stands then. */
void session_send_ping(struct session *session);
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
/* Bytes that wait. */
size_t session_waiting(const struct session *session);
void session_forget_waiting(struct session *session);

/* ---- session_requests.c: what the client asks */

/* A request that waits for the broker. */
struct session_request {
    struct session *session;
    struct list_link link; /* in session.requests */
    struct link_call call;
    struct buffer id;                     /* as in protocol_request; empty: nobody waits */
    struct protocol_subscribe *subscribe; /* owned; NULL: another method */
};

/* Sends `message`; `done` is called with the answer, unless the session ends before. Takes over
 * what of `decoded` it needs; refuses by itself when nothing can be sent. */
void session_forward(struct session *session, struct protocol_request *decoded,
    struct wire_message *message,
    void (*done)(struct link_call *call, const struct wire_message *answer));
/* First thing in a `done`: the session's end does not free the request any more. */
void session_request_take(struct session_request *request);
/* Last thing in a `done`. */
void session_request_free(struct session_request *request);
void session_cancel_requests(struct session *session);

/* Each does nothing for an empty `id`, but refusals are counted. */
void session_reply(struct session *session, struct span id, struct span result);
void session_refuse(
    struct session *session, struct span id, const struct protocol_error *error, struct span data);
void session_refuse_unavailable(struct session *session, struct span id);
/* The broker's REPLY, as the client's. */
void session_pass_reply(struct session *session, struct span id, const struct wire_reply *reply);

/* ---- session_subscribe.c: another view on the same connection */

void session_handle_subscribe(struct session *session, struct protocol_request *request);

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
