/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "session_private.h"

#include <stdio.h>

static void test_session_live_gets_welcome_and_then_what_happens(void **state)
{
    struct stage *stage = *state;
    stage->head = 7;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    assert_saw(socket, "");
    opened(stage, WIRE_RESUME_LIVE, 7);
    live(stage, 8, 10);
    assert_saw(socket, "welcome 8<7 9<8 10<9");
    assert_int_equal(the_link.call_count, 0);
}

static void test_session_replays_pages_then_says_caught_up(void **state)
{
    struct stage *stage = *state;
    stage->head = 7;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 2);
    assert_int_equal(page(stage, 3), 2);
    assert_saw(socket, "welcome 3<2 4<3 5<4");
    assert_int_equal(page(stage, 3), 5);
    assert_saw(socket, "6<5 7<6 caught_up:7");
    assert_int_equal(page(stage, 3), -1);
    live(stage, 8, 8);
    assert_saw(socket, "8<7");
}

static void test_session_with_nothing_to_replay_is_caught_up_at_once(void **state)
{
    struct stage *stage = *state;
    stage->head = 7;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 7);
    assert_saw(socket, "welcome caught_up:7");
}

static void test_session_holds_what_it_has_back_for_its_first_page_and_no_other(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    struct session *session = join(stage, WIRE_OPEN_CURSOR)->session;
    assert_true(session_awaits_page(session));
    opened(stage, WIRE_RESUME_REPLAY, 0);
    assert_true(session_awaits_page(session));
    assert_int_equal(page(stage, 2), 0);
    assert_false(session_awaits_page(session)); /* though another is under way */
    assert_int_equal(page(stage, 2), 2);
    assert_false(session_awaits_page(session));
}

static void test_session_with_no_page_to_come_holds_nothing_back(void **state)
{
    struct stage *stage = *state;
    struct session *session = join(stage, WIRE_OPEN_LIVE)->session;
    opened(stage, WIRE_RESUME_LIVE, 0);
    assert_false(session_awaits_page(session));
    session = join(stage, WIRE_OPEN_START)->session;
    opened(stage, WIRE_RESUME_REPLAY, 0);
    assert_false(session_awaits_page(session));
    session = join(stage, WIRE_OPEN_LIVE)->session;
    session_close(session, 4001, "away");
    assert_false(session_awaits_page(session));
}

static void test_session_splices_live_events_that_come_during_replay(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    live(stage, 5, 6); /* ahead of the view: read from history later */
    assert_int_equal(page(stage, 2), 0);
    live(stage, 7, 7);
    assert_int_equal(page(stage, 100), 2);
    live(stage, 6, 8); /* 6 and 7 are seen already */
    assert_saw(socket, "welcome 1<0 2<1 3<2 4<3 5<4 6<5 7<6 caught_up:7 8<7");
}

static void test_session_heals_a_hole_in_the_live_stream_from_history(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 1);
    live(stage, 4, 5);
    assert_saw(socket, "welcome 1<0");
    assert_int_equal(page(stage, 100), 1);
    live(stage, 6, 6);
    assert_saw(socket, "2<1 3<2 4<3 5<4 6<5");
    assert_int_equal(stage->counters.sessions_behind, 1);
}

static void test_sessions_of_one_user_share_frames_and_see_the_same(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *one = join(stage, WIRE_OPEN_LIVE);
    struct ws_connection *two = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    opened(stage, WIRE_RESUME_LIVE, 0);
    assert_saw(one, "welcome");
    assert_saw(two, "welcome");
    live(stage, 1, 50);
    assert_int_equal(stage->counters.events_encoded, 50);
    drain(one);
    drain(two);
    assert_true(span_equal(buffer_span(&one->seen), buffer_span(&two->seen)));
}

static void test_session_filter_leaves_the_chain_unbroken(void **state)
{
    struct stage *stage = *state;
    struct handshake handshake = {.mode = WIRE_OPEN_START, .filter = {.count = 1}};
    snprintf(handshake.filter.threads[0], sizeof(handshake.filter.threads[0]), "even");
    stage->head = 5;
    struct ws_connection *socket = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    page(stage, 100);
    live(stage, 6, 9);
    assert_saw(socket, "welcome 2<0 4<2 caught_up:5 6<4 8<6");
}

static void test_session_says_what_is_gone_when_the_cursor_was_trimmed(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 6);
    page(stage, 100);
    assert_saw(socket, "welcome gap:1-6 7<6 8<7 9<8 caught_up:9");
}

static void test_session_says_what_is_trimmed_under_its_replay(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 2);
    const struct wire_message trimmed = {
        .kind = WIRE_PAGE, .page = {.status = WIRE_PAGE_TRIMMED, .head = 9, .oldest = 8}};
    assert_true(answer(WIRE_READ, &trimmed));
    page(stage, 100);
    assert_int_equal(snapshot(stage, 9, NULL, false), 0);
    assert_saw(socket, "welcome gap:3-7 8<7 9<8 caught_up:9");
}

static void test_session_is_closed_when_the_numbering_changes(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *old = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    struct ws_connection *young = join(stage, WIRE_OPEN_START);
    opened_in(stage, "e2", WIRE_RESUME_REPLAY, 0);
    assert_int_equal(old->close_code, 4004);
    assert_int_equal(stage->counters.closed_state_lost, 1);
    assert_int_equal(young->close_code, 0);
    assert_saw(young, "welcome caught_up:0");
    const struct wire_epoch_changed changed = {SPAN_LITERAL("alice"), SPAN_LITERAL("e3")};
    fanout_handle_epoch_changed(&stage->fanout, &changed);
    assert_int_equal(young->close_code, 4004);
}

static void test_kicked_user_is_closed_everywhere_and_nobody_else(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *open = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    struct ws_connection *opening = join(stage, WIRE_OPEN_LIVE);
    fanout_kick(&stage->fanout, SPAN_LITERAL("mallory"));
    assert_int_equal(open->close_code, 0);
    fanout_kick(&stage->fanout, SPAN_LITERAL("alice"));
    assert_int_equal(open->close_code, 4403);
    assert_int_equal(opening->close_code, 4403);
    assert_int_equal(stage->counters.closed_forbidden, 2);
}

static void test_session_never_shows_an_event_of_another_user(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 1);
    live_of(stage, 2, 2, "mallory");
    live(stage, 3, 3);
    assert_saw(socket, "welcome 1<0 3<1");
    assert_int_equal(stage->counters.events_foreign, 1);
}

static void test_session_that_reads_nothing_is_closed_and_others_are_not(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_max_outbox = 4096;
    struct ws_connection *slow = join(stage, WIRE_OPEN_LIVE);
    struct ws_connection *fast = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    opened(stage, WIRE_RESUME_LIVE, 0);
    slow->blocked = true;
    live(stage, 1, 500); /* one burst, far larger than the outbox */
    assert_int_equal(slow->close_code, 4002);
    assert_int_equal(stage->counters.closed_too_slow, 1);
    assert_int_equal(session_waiting(slow->session), 0);
    assert_int_equal(fast->close_code, 0);
    assert_int_equal(fast->session->view.position, 500);
}

static void test_session_is_closed_when_its_history_is_malformed(void **state)
{
    struct stage *stage = *state;
    stage->head = 5;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    const struct wire_message garbage = {.kind = WIRE_PAGE,
        .page = {.status = WIRE_PAGE_OK, .last = 5, .head = 5, .events = SPAN_LITERAL("\xc1")}};
    assert_true(answer(WIRE_READ, &garbage));
    assert_int_equal(socket->close_code, 1011);
    assert_int_equal(stage->counters.events_malformed, 1);
}

static void test_session_replay_waits_for_the_socket(void **state)
{
    struct stage *stage = *state;
    stage->config.gateway_max_outbox = 4096;
    stage->head = 500;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    socket->blocked = true;
    opened(stage, WIRE_RESUME_REPLAY, 0);
    int pages = 0;
    while (page(stage, 10) >= 0)
        pages++;
    assert_in_range(pages, 1, 4); /* half an outbox, then nothing is asked for */
    live(stage, 501, 510);        /* and what is live is left to history */
    for (int i = 0; i < 100; i++) {
        uint64_t next = socket->session->view.position + 1;
        live(stage, next, next); /* even the very next one */
    }
    assert_int_equal(socket->close_code, 0);
    assert_in_range(session_waiting(socket->session), 2048, 4096);
    socket->blocked = false;
    do {
        drain(socket);
    } while (page(stage, 10) >= 0);
    assert_int_equal(socket->session->view.position, 510);
    assert_false(socket->session->view.replaying);
}

static void test_session_keeps_its_place_when_the_link_is_lost(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    live(stage, 1, 3);
    lose_link();
    stage->head = 6; /* happened meanwhile */
    restore_link(stage);
    assert_int_equal(the_link.asked[0].open.after, 3);
    assert_int_equal(the_link.asked[0].open.mode, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_REPLAY, 3);
    page(stage, 100);
    live(stage, 7, 7);
    assert_saw(socket, "welcome 1<0 2<1 3<2 4<3 5<4 6<5 7<6");
}

static void test_session_asks_again_for_a_page_the_link_lost(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    lose_link();
    restore_link(stage);
    opened(stage, WIRE_RESUME_REPLAY, 4);
    assert_int_equal(page(stage, 100), 0);
    assert_saw(socket, "welcome 1<0 2<1 3<2 4<3 caught_up:4");
}

static void test_session_that_was_opening_is_opened_by_the_next_link(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_START);
    lose_link();
    restore_link(stage);
    opened(stage, WIRE_RESUME_REPLAY, 0);
    assert_saw(socket, "welcome caught_up:0");
}

static void test_session_is_closed_when_a_new_broker_knows_another_numbering(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    lose_link();
    restore_link(stage);
    opened_in(stage, "e9", WIRE_RESUME_RESET, 0);
    assert_int_equal(socket->close_code, 4004);
}

static void test_feed_is_let_go_a_tick_after_its_last_session(void **state)
{
    struct stage *stage = *state;
    struct ws_connection *socket = join(stage, WIRE_OPEN_LIVE);
    opened(stage, WIRE_RESUME_LIVE, 0);
    fanout_tick(&stage->fanout);
    assert_int_equal(the_link.closes, 0);
    session_close(socket->session, 4001, "done");
    assert_int_equal(stage->counters.users, 1);
    fanout_tick(&stage->fanout);
    assert_int_equal(the_link.closes, 1);
    assert_int_equal(stage->counters.users, 0);
    live(stage, 1, 1); /* still on its way: nobody's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_session_live_gets_welcome_and_then_what_happens),
        STAGED(test_session_replays_pages_then_says_caught_up),
        STAGED(test_session_with_nothing_to_replay_is_caught_up_at_once),
        STAGED(test_session_holds_what_it_has_back_for_its_first_page_and_no_other),
        STAGED(test_session_with_no_page_to_come_holds_nothing_back),
        STAGED(test_session_splices_live_events_that_come_during_replay),
        STAGED(test_session_heals_a_hole_in_the_live_stream_from_history),
        STAGED(test_sessions_of_one_user_share_frames_and_see_the_same),
        STAGED(test_session_filter_leaves_the_chain_unbroken),
        STAGED(test_session_says_what_is_gone_when_the_cursor_was_trimmed),
        STAGED(test_session_says_what_is_trimmed_under_its_replay),
        STAGED(test_session_is_closed_when_the_numbering_changes),
        STAGED(test_kicked_user_is_closed_everywhere_and_nobody_else),
        STAGED(test_session_never_shows_an_event_of_another_user),
        STAGED(test_session_that_reads_nothing_is_closed_and_others_are_not),
        STAGED(test_session_is_closed_when_its_history_is_malformed),
        STAGED(test_session_replay_waits_for_the_socket),
        STAGED(test_session_keeps_its_place_when_the_link_is_lost),
        STAGED(test_session_asks_again_for_a_page_the_link_lost),
        STAGED(test_session_that_was_opening_is_opened_by_the_next_link),
        STAGED(test_session_is_closed_when_a_new_broker_knows_another_numbering),
        STAGED(test_feed_is_let_go_a_tick_after_its_last_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
