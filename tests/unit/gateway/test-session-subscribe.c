/* SPDX-License-Identifier: Apache-2.0 */
/* Other views on the same connection, and filtered ones. */
#include "stage.h"

#include <stdio.h>

static const char *subscribe(const char *params)
{
    static char text[256];
    snprintf(text, sizeof(text), "{\"id\":7,\"method\":\"subscribe\",\"params\":{%s}}", params);
    return text;
}

/* A live connection that has seen 1 to 3. */
static struct ws_connection *join_live(struct stage *stage)
{
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 3);
    assert_saw(socket, "welcome 1<0 2<1 3<2");
    return socket;
}

static void test_subscribe_replays_then_says_caught_up_and_goes_on_live(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"e1.1\""));
    assert_int_equal(the_link.asked[0].open.mode, WIRE_OPEN_CURSOR);
    assert_int_equal(the_link.asked[0].open.after, 1);
    opened(stage, WIRE_RESUME_REPLAY, 1);
    assert_int_equal(page(stage, 100), 1);
    live(stage, 4, 4);
    assert_saw(socket, "reply:7 2<1 3<2 caught_up:3 4<3");
}

static void test_subscribe_from_the_start_shows_everything_again(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"start\""));
    assert_int_equal(the_link.asked[0].open.mode, WIRE_OPEN_START);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    page(stage, 100);
    assert_saw(socket, "reply:7 1<0 2<1 3<2 caught_up:3");
}

static void test_subscribe_without_a_cursor_is_live_and_says_so(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"threads\":[\"even\"]"));
    opened(stage, WIRE_RESUME_LIVE, 3);
    live(stage, 4, 6);
    assert_saw(socket, "reply:7 caught_up:3 4<3 6<4");
}

static void test_old_view_goes_on_until_the_broker_answers(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"e1.2\",\"threads\":[\"odd\"]"));
    live(stage, 4, 5);
    opened(stage, WIRE_RESUME_REPLAY, 2);
    page(stage, 100);
    assert_saw(socket, "4<3 5<4 reply:7 3<2 5<3 caught_up:5");
}

static void test_subscribe_during_a_replay_begins_anew(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    assert_int_equal(page(stage, 3), 0);
    say(socket, subscribe("\"cursor\":\"e1.7\""));
    opened(stage, WIRE_RESUME_REPLAY, 7);
    assert_int_equal(the_link.call_count, 1); /* what the old view had asked for is forgotten */
    assert_int_equal(page(stage, 100), 7);
    assert_saw(socket, "welcome 1<0 2<1 3<2 reply:7 8<7 9<8 caught_up:9");
}

static void test_filter_changes_and_falls_with_each_subscribe(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"start\",\"threads\":[\"even\"]"));
    opened(stage, WIRE_RESUME_REPLAY, 0);
    page(stage, 100);
    live(stage, 4, 5);
    assert_saw(socket, "reply:7 2<0 caught_up:3 4<2");
    say(socket, subscribe("\"cursor\":\"e1.4\",\"threads\":[\"odd\",\"even\"]"));
    opened(stage, WIRE_RESUME_REPLAY, 4);
    page(stage, 100);
    assert_saw(socket, "reply:7 5<4 caught_up:5");
    say(socket, subscribe("\"cursor\":\"e1.5\""));
    opened(stage, WIRE_RESUME_REPLAY, 5);
    live(stage, 6, 7);
    assert_saw(socket, "reply:7 caught_up:5 6<5 7<6");
}

static void test_subscribes_that_wait_are_views_one_behind_the_other(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"start\""));
    say(socket, subscribe("\"cursor\":\"e1.2\""));
    opened(stage, WIRE_RESUME_REPLAY, 0);
    opened(stage, WIRE_RESUME_REPLAY, 2);
    page(stage, 100);
    assert_saw(socket, "reply:7 reply:7 3<2 caught_up:3");
}

/* What waits in front of the reply stays in front of it. */
static void test_seam_stands_while_the_client_reads_nothing(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    socket->blocked = true;
    socket->session->full = true;
    live(stage, 4, 40);
    say(socket, subscribe("\"cursor\":\"e1.39\",\"threads\":[\"even\"]"));
    opened(stage, WIRE_RESUME_REPLAY, 39);
    page(stage, 100);
    live(stage, 41, 42);
    assert_non_null(socket->session->backlog);
    socket->blocked = false;
    struct buffer words = BUFFER_INIT;
    see(&words, socket);
    assert_non_null(strstr(words.data, "40<39 reply:7 40<39 caught_up:40 42<40"));
    assert_memory_equal(words.data, "4<3 ", 4);
    buffer_deinit(&words);
}

static void test_trimmed_cursor_gets_a_gap_and_snapshots(void **state)
{
    struct stage *stage = *state;
    stage->runs = "[{\"run_id\":\"r-1\"}]";
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"e1.0\""));
    opened(stage, WIRE_RESUME_GAP, 2);
    page(stage, 100);
    assert_int_equal(snapshot(stage, 3, "r-1", false), 0);
    assert_saw(socket, "reply:7 gap:1-2 3<2 snapshot:3 caught_up:3");
}

static void test_snapshots_come_when_a_subscribe_asks_for_them(void **state)
{
    struct stage *stage = *state;
    stage->runs = "[{\"run_id\":\"r-1\"}]";
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"snapshots\":true"));
    opened(stage, WIRE_RESUME_LIVE, 3);
    assert_int_equal(snapshot(stage, 3, "r-1", false), 0);
    assert_saw(socket, "reply:7 snapshot:3 caught_up:3");
}

static void test_cursor_of_another_epoch_is_refused_and_the_view_stays(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"e0.2\",\"threads\":[\"odd\"]"));
    opened(stage, WIRE_RESUME_RESET, 0);
    assert_int_equal(times_seen(socket, "\"cursor_expired\""), 1);
    assert_int_equal(times_seen(socket, "{\"epoch\":\"e1\",\"head\":3,\"oldest\":1}"), 1);
    live(stage, 4, 5);
    assert_saw(socket, "reply:7 4<3 5<4");
    assert_int_equal(socket->close_code, 0);
}

static void test_malformed_cursor_is_refused_and_the_view_stays(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"nonsense\""));
    assert_int_equal(times_seen(socket, "\"invalid_argument\""), 1);
    assert_int_equal(the_link.call_count, 0);
    live(stage, 4, 4);
    assert_saw(socket, "reply:7 4<3");
}

static void test_subscribe_is_unavailable_without_a_broker_and_the_view_stays(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"start\""));
    lose_link();
    say(socket, subscribe("\"cursor\":\"start\""));
    assert_int_equal(times_seen(socket, "\"unavailable\""), 2);
    restore_link(stage);
    opened(stage, WIRE_RESUME_REPLAY, 3);
    live(stage, 4, 4);
    assert_saw(socket, "reply:7 reply:7 4<3");
}

static void test_subscribe_that_meets_another_numbering_ends_the_connection(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, subscribe("\"cursor\":\"e1.2\""));
    opened_in(stage, "e2", WIRE_RESUME_RESET, 0);
    assert_int_equal(socket->close_code, 4004);
    assert_int_equal(the_link.call_count, 0);
}

/* What was acknowledged of the old view says nothing of the new one. */
static void test_acks_are_measured_by_the_view_that_is_shown(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join_live(stage);
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":3}}");
    assert_int_equal(the_link.acked, 3);
    say(socket, subscribe("\"cursor\":\"start\""));
    opened(stage, WIRE_RESUME_REPLAY, 0);
    say(socket, "{\"id\":8,\"method\":\"ack\",\"params\":{\"seq\":3}}");
    assert_int_equal(times_seen(socket, "\"invalid_argument\""), 1);
    page(stage, 100);
    say(socket, "{\"method\":\"ack\",\"params\":{\"seq\":2}}");
    assert_int_equal(the_link.acked, 2);
}

static void test_filtered_view_is_told_its_gaps_and_keeps_its_chain(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    struct handshake handshake = {.mode = WIRE_OPEN_CURSOR, .epoch = "e1", .filter = {.count = 1}};
    snprintf(handshake.filter.threads[0], sizeof(handshake.filter.threads[0]), "even");
    struct ws_connection *socket = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_GAP, 3);
    assert_int_equal(page(stage, 3), 3);
    const struct wire_message trimmed = {
        .kind = WIRE_PAGE, .page = {.status = WIRE_PAGE_TRIMMED, .head = 9, .oldest = 8}};
    assert_true(answer(WIRE_READ, &trimmed));
    page(stage, 100);
    assert_int_equal(snapshot(stage, 9, NULL, false), 0);
    assert_saw(socket, "welcome gap:1-3 4<3 6<4 gap:7-7 8<7 caught_up:9");
}

static void test_several_threads_are_one_view(void **state)
{
    struct stage *stage = *state;
    struct handshake handshake = {.mode = WIRE_OPEN_LIVE, .filter = {.count = 3}};
    snprintf(handshake.filter.threads[0], sizeof(handshake.filter.threads[0]), "none");
    snprintf(handshake.filter.threads[1], sizeof(handshake.filter.threads[1]), "even");
    snprintf(handshake.filter.threads[2], sizeof(handshake.filter.threads[2]), "odd");
    struct ws_connection *socket = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 3);
    assert_saw(socket, "welcome 1<0 2<1 3<2");
    assert_int_equal(stage->counters.events_encoded, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_subscribe_replays_then_says_caught_up_and_goes_on_live),
        STAGED(test_subscribe_from_the_start_shows_everything_again),
        STAGED(test_subscribe_without_a_cursor_is_live_and_says_so),
        STAGED(test_old_view_goes_on_until_the_broker_answers),
        STAGED(test_subscribe_during_a_replay_begins_anew),
        STAGED(test_filter_changes_and_falls_with_each_subscribe),
        STAGED(test_subscribes_that_wait_are_views_one_behind_the_other),
        STAGED(test_seam_stands_while_the_client_reads_nothing),
        STAGED(test_trimmed_cursor_gets_a_gap_and_snapshots),
        STAGED(test_snapshots_come_when_a_subscribe_asks_for_them),
        STAGED(test_cursor_of_another_epoch_is_refused_and_the_view_stays),
        STAGED(test_malformed_cursor_is_refused_and_the_view_stays),
        STAGED(test_subscribe_is_unavailable_without_a_broker_and_the_view_stays),
        STAGED(test_subscribe_that_meets_another_numbering_ends_the_connection),
        STAGED(test_acks_are_measured_by_the_view_that_is_shown),
        STAGED(test_filtered_view_is_told_its_gaps_and_keeps_its_chain),
        STAGED(test_several_threads_are_one_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
