/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

static void test_session_sends_replies_behind_the_welcome(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    say(socket, "{\"id\":1,\"method\":\"ping\"}");
    assert_saw(socket, "");
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, "{\"id\":2,\"method\":\"ping\"}");
    say(socket, "{\"method\":\"ping\"}");
    assert_saw(socket, "welcome reply:1 reply:2");
}

static void test_session_hands_requests_to_the_broker_and_its_answer_back(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, "{\"id\":\"a\",\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r-1\"}}");
    assert_true(span_is(the_link.asked[0].run_cancel.user, "alice"));
    const struct wire_message reply = {
        .kind = WIRE_REPLY, .reply = {.result = SPAN_LITERAL("{\"status\":\"cancelling\"}")}};
    assert_true(answer(WIRE_RUN_CANCEL, &reply));
    assert_saw(socket, "welcome reply:\"a\"");
    assert_int_equal(socket->session->request_count, 0);
}

static void test_session_answers_unavailable_without_a_link(void **state)
{
    struct stage *stage = *state;
    const char *cancel = "{\"id\":5,\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\"}}";
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, cancel);
    lose_link(); /* under way */
    say(socket, cancel);
    assert_int_equal(times_seen(socket, "\"unavailable\""), 2);
    assert_int_equal(stage->counters.requests_failed, 2);
}

static void test_session_bounds_the_requests_that_wait(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    stage->config.gateway_max_pending_requests = 3;
    for (int i = 0; i < 3; i++)
        say(socket, "{\"id\":5,\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\"}}");
    assert_saw(socket, "welcome");
    assert_int_equal(stage->counters.requests_over_pending, 0);
    say(socket, "{\"id\":6,\"method\":\"run.cancel\",\"params\":{\"run_id\":\"r\"}}");
    assert_int_equal(times_seen(socket, "\"rate_limited\""), 1);
    assert_saw(socket, "reply:6");
    assert_int_equal(stage->counters.requests_over_pending, 1);
    assert_int_equal(the_link.call_count, 3);
    session_close(socket->session, 4001, "done");
    assert_int_equal(the_link.call_count, 0);
}

static void test_session_passes_on_acks_of_what_it_sent(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 5);
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":4}}");
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":3}}");
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":99}}");
    assert_int_equal(the_link.acks, 1);
    assert_int_equal(the_link.acked, 4);
    lose_link();
    restore_link(stage);
    opened(stage, WIRE_RESUME_REPLAY, stage->head); /* a new broker does not know it */
    assert_int_equal(the_link.acks, 2);
    assert_int_equal(the_link.acked, 4);
}

static void test_session_closes_on_frames_that_are_none(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    say(socket, "nonsense");
    assert_int_equal(socket->close_code, 4400);
    say(socket, "{\"id\":1,\"method\":\"ping\"}");
    live(stage, 1, 3);
    assert_saw(socket, "welcome"); /* closing: neither replies nor events */
}

static void test_session_limits_the_rate_and_ends_abuse(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_max_messages_per_second = 1;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    for (int i = 0; i < 30; i++)
        say(socket, "{\"id\":1,\"method\":\"ping\"}");
    assert_int_equal(socket->close_code, 4429);
    assert_in_range(stage->counters.requests_rate_limited, 9, 11);
}

static void test_session_is_told_where_to_resume_when_sent_away(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 5);
    session_send_away(socket->session, "draining", 700);
    assert_int_equal(socket->close_code, 4001);
    assert_int_equal(times_seen(socket, "\"cursor\":\"e1.5\""), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_session_sends_replies_behind_the_welcome),
        STAGED(test_session_hands_requests_to_the_broker_and_its_answer_back),
        STAGED(test_session_answers_unavailable_without_a_link),
        STAGED(test_session_bounds_the_requests_that_wait),
        STAGED(test_session_passes_on_acks_of_what_it_sent),
        STAGED(test_session_closes_on_frames_that_are_none),
        STAGED(test_session_limits_the_rate_and_ends_abuse),
        STAGED(test_session_is_told_where_to_resume_when_sent_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
