/* SPDX-License-Identifier: Apache-2.0 */
#include "session_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

/* 2^8 by the golden ratio: however many there are, they are spread evenly. */
#define PING_SHARE_STEP 159

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
    size_t user_size = strlen(claims->user) + 1;
    struct session *session = calloc(1, sizeof(*session) + user_size);
    if (!session)
        return -ENOMEM;
    session->host = host;
    memcpy(session->user, claims->user, user_size);
    session->expires_at = claims->expires_at;
    session->format = handshake->format;
    session->mode = handshake->mode;
    session->after = handshake->after;
    session->wants_snapshots = handshake->snapshots;
    /* One that is too long was never given out: so cut it is as wrong as before. */
    snprintf(session->epoch, sizeof(session->epoch), "%.*s", EPOCH_SIZE - 1, handshake->epoch);
    session->started_at = session->heard_at = clock_monotonic_ms();
    list_init(&session->host_link);
    list_init(&session->feed_link);
    list_init(&session->requests);
    identifier_make(session->id, "cn");
    session->ping_share = host->next_ping_share += PING_SHARE_STEP;
    outbox_init(&session->outbox);
    rate_init(&session->rate, host->config->gateway_max_messages_per_second, session->started_at);
    int rc = copy_filter(session, &handshake->filter);
    if (!rc)
        rc = fanout_feed(&session->feed, host->fanout, claims->user);
    if (rc) {
        session_free(session);
        return rc;
    }
    session->link = session->feed->link;
    feed_join(session->feed, &session->feed_link);
    list_append(&host->sessions, &session->host_link);
    host->counters->connections++;
    *ret_session = session;
    return 0;
}

/* Nothing comes from the feed or the broker any more. */
static void detach(struct session *session)
{
    session_stream_cancel(session);
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
    quota_ticket_return(&session->ticket, clock_monotonic_ms());
    session_forget_waiting(session);
    free(session->filter);
    free(session);
}

static void count_close(struct counters *counters, int code)
{
    switch (code) {
    case 1002:
    case 1007: counters->closed_malformed++; break;
    case 1009: counters->closed_too_large++; break;
    case 4002: counters->closed_too_slow++; break;
    case 4003: counters->closed_silent++; break;
    case 4004: counters->closed_state_lost++; break;
    case 4400: counters->closed_protocol++; break;
    case 4401: counters->closed_token++; break;
    case 4403: counters->closed_forbidden++; break;
    case 4408: counters->closed_late++; break;
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
    log_debug(
        "session", "%s of user %s closes with %d: %s", session->id, session->user, code, reason);
    detach(session);
    bool unread = code == 4002 || code == 4003; /* give the memory back now */
    if (unread || !welcomed)
        session_forget_waiting(session);
    if (session->carrier)
        carrier_close(session->carrier, code, reason);
}

/* ---- the socket */

void session_handle_heard(struct session *session)
{
    session->heard_at = clock_monotonic_ms();
    session->pinged_at = 0;
}

/* ---- the gateway */

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
