/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time does to a session: its welcome is late, its token ends, its client falls silent. Looked
 * at about once a second; the decisions take the time as an argument.
 *
 * Connections that were made at the same moment, as after a gateway went, would be pinged at the
 * same moment for ever. So each waits its own share of the heartbeat before it pings, between three
 * quarters and all of it.
 */
#include "session_private.h"

#include "base/cleanup.h"

#define PONG_WAIT_MAX_MS 15000

/* ---- the token */

static void tell_expiring(struct session *session)
{
    _cleanup_(buffer_deinit) struct buffer json = BUFFER_INIT;
    const struct config *config = session->host->config;
    uint64_t expires_at = session->expires_at;
    session->expiry_told = expires_at;
    session->host->counters->tokens_expiring++;
    control_append_token_expiring(
        &json, expires_at * 1000, auth_closes_at(config, expires_at) * 1000);
    session_send_text(session, &json);
}

/* Whether the session goes on. A new token has another expiry, which was not told yet. */
static bool check_token(struct session *session, uint64_t now_wall)
{
    const struct config *config = session->host->config;
    uint64_t expires_at = session->expires_at;
    if (now_wall >= auth_closes_at(config, expires_at)) {
        session_close(session, 4401, "the token has expired");
        return false;
    }
    if (session_is_open(session) && session->expiry_told != expires_at &&
        auth_expiring(config, expires_at, now_wall))
        tell_expiring(session);
    return session->state != SESSION_CLOSING;
}

/* ---- silence */

static uint64_t pong_wait(uint64_t heartbeat)
{
    return heartbeat < PONG_WAIT_MAX_MS ? heartbeat : PONG_WAIT_MAX_MS;
}

static uint64_t silence_before_ping(const struct session *session, uint64_t heartbeat)
{
    return heartbeat - heartbeat / 4 * session->ping_share / UINT8_MAX;
}

/*
 * An event stream has no pongs. What keeps it open goes out at a fixed pace; that its client is
 * gone is noticed by whoever has the socket.
 */
static void check_pace(struct session *session, uint64_t now_ms)
{
    uint64_t last = session->pinged_at ? session->pinged_at : session->started_at;
    if (now_ms - last < SESSION_COMMENT_MS)
        return;
    session->pinged_at = now_ms;
    session->host->counters->pings_sent++;
    session_send_ping(session);
}

static void check_silence(struct session *session, uint64_t now_ms)
{
    uint64_t heartbeat = session->host->config->gateway_heartbeat;
    if (session->pinged_at && now_ms - session->pinged_at >= pong_wait(heartbeat)) {
        session_close(session, 4003, "nothing was heard, not even a pong");
    } else if (!session->pinged_at &&
               now_ms - session->heard_at >= silence_before_ping(session, heartbeat)) {
        session->pinged_at = now_ms;
        session->host->counters->pings_sent++;
        session_send_ping(session);
    }
}

/* ---- all of it */

void session_tick(struct session *session, uint64_t now_ms, uint64_t now_wall)
{
    if (session->state == SESSION_CLOSING || !session->carrier || !check_token(session, now_wall))
        return;
    if (session_is_open(session) && session->format == FRAME_SSE)
        check_pace(session, now_ms);
    else if (session_is_open(session))
        check_silence(session, now_ms);
    else if (now_ms - session->started_at >= session->host->config->gateway_open_timeout)
        session_close(session, 4408, "the broker did not answer in time");
    session_resume(session);
}
