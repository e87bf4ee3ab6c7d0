/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "address.h"
#include "auth.h"
#include "backlog.h"
#include "carrier.h"
#include "control.h"
#include "fanout.h"
#include "handshake.h"
#include "outbox.h"
#include "quota.h"
#include "rate.h"
#include "view.h"

/*
 * One client connection, between its socket and its user's feed.
 *
 *   OPENING   the broker was asked where the view begins; nothing was sent yet
 *   OPEN      welcome is sent; the view decides what follows it
 *   CLOSING   a close code is on its way; no event and no reply is added any more
 *
 * A session is its connection's owner from the handshake to on_closed, which frees it. Closing it
 * for any reason takes it off its feed at once, so nothing reaches it afterwards.
 */
enum session_state {
    SESSION_OPENING,
    SESSION_OPEN,
    SESSION_CLOSING,
};

/* How often an event stream is sent a comment, in milliseconds. */
#define SESSION_COMMENT_MS 15000

/* What all sessions of a gateway share. */
struct session_host {
    const struct config *config;
    struct fanout *fanout;
    struct auth *auth;
    struct counters *counters;
    struct list_link sessions; /* of struct session, host_link */
    uint8_t next_ping_share;   /* the last session's, and so the next one's */
};

struct session {
    struct session_host *host; /* borrowed */
    struct list_link host_link;
    struct carrier *carrier; /* NULL until session_start */
    enum frame_format format;
    enum session_state state;
    char id[IDENTIFIER_MADE_SIZE];
    uint64_t expires_at;        /* the token, in seconds */
    struct quota_ticket ticket; /* returned with the session */
    struct address address;     /* the client's */

    struct broker_link *link; /* to the user's broker; borrowed */
    struct feed *feed;        /* NULL while closing */
    struct list_link feed_link;
    enum wire_open_mode mode;
    char epoch[EPOCH_SIZE];
    uint64_t after;
    struct filter *filter; /* NULL: every thread */
    struct view view;
    struct link_call call; /* where the view begins, and later a page of it */
    bool wants_snapshots;
    bool paged;     /* the first page has come */
    bool unbounded; /* what is sent was asked for with room left: a page, snapshots */
    bool full;      /* the socket takes nothing more */
    struct session_snapshots *snapshots; /* NULL: none are owed */
    uint64_t page_after;                 /* where the page under way begins */

    struct outbox outbox;
    struct backlog *backlog; /* behind the outbox, of a client that reads slowly; else NULL */
    struct rate rate;
    struct list_link requests; /* of struct session_request, link */
    size_t request_count;
    uint64_t acked;
    uint64_t started_at; /* monotonic milliseconds, as the others */
    uint64_t heard_at;
    uint64_t pinged_at;   /* 0: no ping is unanswered */
    uint64_t expiry_told; /* the expiry that token_expiring was sent for */
    uint8_t ping_share;   /* how much earlier than at the heartbeat it pings */
    char user[];
};

/* Takes its place in the user's feed. `handshake` is copied from. */
int session_new(struct session **ret_session, struct session_host *host,
    const struct token_claims *claims, const struct handshake *handshake);
/* Before session_start, or when the connection is gone. */
void session_free(struct session *session);
/* The connection is there: the broker is asked. */
void session_start(struct session *session, struct carrier *carrier);

static inline bool session_is_open(const struct session *session)
{
    return session->state == SESSION_OPEN;
}

/* ---- from the feed */

/* A live event of the user; skipped, sent, or left to be read from history. */
void session_offer(struct session *session, struct feed_event *item);
/* More may have become possible: a page, "caught up". */
void session_resume(struct session *session);
/* Tells the broker how far the client has come: a new one does not know. */
void session_send_ack(struct session *session); /* session_requests.c */
/* There is a new link: ask again for what the old one did not answer. */
void session_reopen(struct session *session);

/* ---- from the socket */

void session_handle_message(struct session *session, struct span message); /* _requests.c */
void session_handle_heard(struct session *session);
/* What waits, as parts of whole frames, at most `max`: how many. Valid until anything is queued. */
size_t session_gather(struct session *session, struct iovec *ret_parts, size_t max);
/* Welcome or the first page is on its way from the broker: what is to be sent may wait for it. */
bool session_awaits_page(const struct session *session);
/* So many bytes, up to the end of a frame, are the socket's now; `full`: it takes no more yet. */
void session_sent(struct session *session, size_t bytes, bool full);

/* ---- from the gateway */

/* Once a second: token expiry, silence, a welcome that never comes (session_time.c). */
void session_tick(struct session *session, uint64_t now_ms, uint64_t now_wall);
/* Says where to resume and when to come back, and closes with 4001. */
void session_send_away(struct session *session, const char *reason, uint64_t reconnect_after_ms);
void session_close(struct session *session, int code, const char *reason);
