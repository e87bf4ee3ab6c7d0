/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "base/clock.h"

#define EXPIRY 1800000000u /* seconds since the Unix epoch */

/* alice's connection, whose token expires at EXPIRY; the welcome was sent. */
static struct session *welcomed(struct stage *stage)
{
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    assert_saw(socket, "welcome");
    socket->session->expires_at = EXPIRY;
    return socket->session;
}

static uint64_t heard(const struct session *session)
{
    return session->heard_at;
}

/* ---- the token */

static void test_a_client_is_warned_once_ahead_of_its_tokens_expiry(void **state)
{
    struct stage *stage = *state;
    struct session *session = welcomed(stage);
    struct ws_connection *socket = &stage->sockets[0];
    session_tick(session, heard(session), EXPIRY - 61);
    assert_int_equal(times_seen(socket, "token_expiring"), 0);
    session_tick(session, heard(session), EXPIRY - 60);
    session_tick(session, heard(session), EXPIRY - 59);
    assert_int_equal(times_seen(socket, "{\"type\":\"token_expiring\",\"expires_at\":1800000000000,"
                                        "\"closes_at\":1800000030000}"),
        1);
    assert_int_equal(stage->counters.tokens_expiring, 1);
    session->expires_at = EXPIRY + 3600; /* a new token */
    session_tick(session, heard(session), EXPIRY);
    assert_int_equal(stage->counters.tokens_expiring, 1);
    session_tick(session, heard(session), EXPIRY + 3540);
    assert_int_equal(stage->counters.tokens_expiring, 2);
    assert_int_equal(socket->close_code, 0);
}

static void test_a_token_of_little_time_is_told_of_behind_the_welcome(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    socket->session->expires_at = EXPIRY;
    session_tick(socket->session, heard(socket->session), EXPIRY - 1);
    opened(stage, WIRE_RESUME_LIVE, 0);
    session_tick(socket->session, heard(socket->session), EXPIRY - 1);
    assert_saw(socket, "welcome token_expiring");
}

static void test_no_warning_is_sent_where_none_is_wanted(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_token_warning = 0;
    struct session *session = welcomed(stage);
    session_tick(session, heard(session), EXPIRY + 1);
    assert_int_equal(stage->counters.tokens_expiring, 0);
}

static void test_a_connection_is_closed_when_grace_has_passed(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_token_grace = 45000;
    struct session *session = welcomed(stage);
    session_tick(session, heard(session), EXPIRY + 44);
    assert_int_equal(stage->sockets[0].close_code, 0);
    session_tick(session, heard(session), EXPIRY + 45);
    assert_int_equal(stage->sockets[0].close_code, 4401);
    assert_int_equal(stage->counters.closed_token, 1);
}

static void test_no_connection_is_closed_that_could_be_made_anew(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_token_grace = 0;
    stage->config.gateway_token_skew = 30000;
    struct session *session = welcomed(stage);
    session_tick(session, heard(session), EXPIRY + 29);
    assert_int_equal(stage->sockets[0].close_code, 0);
    session_tick(session, heard(session), EXPIRY + 30);
    assert_int_equal(stage->sockets[0].close_code, 4401);
}

/* ---- silence */

static void test_a_silent_client_is_pinged_and_then_closed(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_heartbeat = 25000;
    struct session *session = welcomed(stage);
    session->ping_share = 0;
    uint64_t began = heard(session);
    session_tick(session, began + 24999, 0);
    assert_int_equal(stage->counters.pings_sent, 0);
    session_tick(session, began + 25000, 0);
    assert_int_equal(stage->counters.pings_sent, 1);
    session_tick(session, began + 39999, 0);
    assert_int_equal(stage->sockets[0].close_code, 0);
    session_tick(session, began + 40000, 0);
    assert_int_equal(stage->sockets[0].close_code, 4003);
    assert_int_equal(stage->counters.closed_silent, 1);
    assert_int_equal(stage->counters.pings_sent, 1);
}

static void test_an_event_stream_is_sent_a_comment_and_never_closed_for_silence(void **state)
{
    struct stage *stage = *state;
    const struct handshake handshake = {.mode = WIRE_OPEN_LIVE, .format = FRAME_SSE};
    struct ws_connection *socket = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_LIVE, 0);
    assert_int_equal(times_seen(socket, "\"heartbeat_ms\":15000,"), 1);
    struct session *session = socket->session;
    uint64_t began = session->started_at;
    session_tick(session, began + SESSION_COMMENT_MS - 1, 0);
    assert_int_equal(stage->counters.pings_sent, 0);
    for (uint64_t turns = 1; turns <= 5; turns++) {
        session_tick(session, began + turns * SESSION_COMMENT_MS, 0);
        session_tick(session, began + turns * SESSION_COMMENT_MS + 1000, 0);
        assert_int_equal(stage->counters.pings_sent, turns);
    }
    assert_int_equal(times_seen(socket, ":\n\n:\n\n"), 4);
    assert_int_equal(socket->close_code, 0);
}

static void test_whatever_a_client_sends_is_a_sign_of_life(void **state)
{
    struct stage *stage = *state;
    struct session *session = welcomed(stage);
    session->ping_share = 0;
    session_tick(session, heard(session) + 25000, 0);
    assert_int_equal(stage->counters.pings_sent, 1);
    session_handle_heard(session);
    session_tick(session, heard(session) + 24999, 0);
    assert_int_equal(stage->sockets[0].close_code, 0);
    assert_int_equal(stage->counters.pings_sent, 1);
}

static void test_clients_that_came_together_are_not_pinged_together(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_heartbeat = 25000;
    struct session *session = welcomed(stage);
    unsigned pings[26] = {0};
    for (unsigned share = 0; share <= UINT8_MAX; share++) {
        session->ping_share = (uint8_t)share;
        session->pinged_at = 0;
        for (unsigned second = 0; second <= 25 && !session->pinged_at; second++) {
            session_tick(session, session->heard_at + 1000 * second, 0);
            pings[second] += session->pinged_at != 0;
        }
        while (drain(&stage->sockets[0]))
            continue;
    }
    for (unsigned second = 0; second < 19; second++)
        assert_int_equal(pings[second], 0);
    assert_in_range(pings[19], 5, 15); /* from three quarters of the heartbeat on: 18.75 s */
    for (unsigned second = 20; second <= 25; second++)
        assert_in_range(pings[second], 35, 45);
}

static void test_shares_of_clients_that_come_one_after_the_other_are_far_apart(void **state)
{
    struct stage *stage = *state;
    for (size_t i = 0; i < 4; i++) {
        const struct session *session = join(stage, WIRE_OPEN_LIVE)->session;
        for (size_t j = 0; j < i; j++) {
            uint8_t apart = (uint8_t)(session->ping_share - stage->sockets[j].session->ping_share);
            assert_in_range(apart, 30, 256 - 30);
        }
    }
}

/* ---- the welcome */

static void test_a_connection_without_a_welcome_is_closed_in_time(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_open_timeout = 7000;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    struct session *session = socket->session;
    session_tick(session, session->started_at + 6999, 0);
    assert_int_equal(socket->close_code, 0);
    session_tick(session, session->started_at + 7000, 0);
    assert_int_equal(socket->close_code, 4408);
    assert_int_equal(stage->counters.closed_late, 1);
    session_tick(session, session->started_at + 9000, 0);
    assert_int_equal(stage->counters.closed_late, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_a_client_is_warned_once_ahead_of_its_tokens_expiry),
        STAGED(test_a_token_of_little_time_is_told_of_behind_the_welcome),
        STAGED(test_no_warning_is_sent_where_none_is_wanted),
        STAGED(test_a_connection_is_closed_when_grace_has_passed),
        STAGED(test_no_connection_is_closed_that_could_be_made_anew),
        STAGED(test_a_silent_client_is_pinged_and_then_closed),
        STAGED(test_an_event_stream_is_sent_a_comment_and_never_closed_for_silence),
        STAGED(test_whatever_a_client_sends_is_a_sign_of_life),
        STAGED(test_clients_that_came_together_are_not_pinged_together),
        STAGED(test_shares_of_clients_that_come_one_after_the_other_are_far_apart),
        STAGED(test_a_connection_without_a_welcome_is_closed_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
