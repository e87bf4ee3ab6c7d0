/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a view the state of open runs is told. */
#include "stage.h"

#include "session_private.h"

#include "chance.h"
#include "wire/snapshot.h"

#include <stdio.h>

#define RUNS "[{\"run_id\":\"r-1\"}]"

static void test_snapshot_comes_after_a_gap_before_caught_up(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 6);
    assert_int_equal(snapshot(stage, 9, "r-1", false), -1); /* first what is retained */
    page(stage, 100);
    assert_saw(socket, "welcome gap:1-6 7<6 8<7 9<8");
    assert_int_equal(snapshot(stage, 9, "r-1", false), 0);
    live(stage, 10, 10);
    assert_saw(socket, "snapshot:9 caught_up:9 10<9");
    assert_int_equal(stage->counters.snapshots_sent, 1);
}

static void test_snapshot_comes_after_a_reset(void **state)
{
    struct stage *stage = *state;
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_RESET, 0);
    assert_int_equal(snapshot(stage, 0, "r-1", false), 0);
    assert_saw(socket, "welcome gap:1-0 snapshot:0 caught_up:0");
}

static void test_nobody_is_asked_where_no_run_was_open(void **state)
{
    struct stage *stage = *state;
    stage->head = 9;
    stage->runs = "[]";
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 9);
    assert_int_equal(snapshot(stage, 9, "r-1", false), -1);
    assert_saw(socket, "welcome gap:1-9 caught_up:9");
}

static void test_view_stands_still_until_the_broker_says_where_it_goes(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 4);
    live(stage, 5, 6); /* not taken: the snapshot may be of before or after them */
    assert_saw(socket, "welcome gap:1-4");
    assert_int_equal(snapshot(stage, 5, "r-1", false), 0);
    assert_int_equal(page(stage, 100), 4); /* 5 and 6 in one page */
    assert_saw(socket, "5<4 snapshot:5 6<5 caught_up:6");
}

static void test_live_events_lead_to_the_snapshots_place_too(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 4);
    assert_int_equal(snapshot(stage, 6, "r-1", false), 0);
    live(stage, 5, 7);
    assert_saw(socket, "welcome gap:1-4 5<4 6<5 snapshot:6 7<6");
    page(stage, 100);
    assert_saw(socket, "caught_up:7");
}

static void test_parts_each_have_a_place_of_their_own(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 4);
    assert_int_equal(snapshot(stage, 4, "r-1", true), 0);
    assert_int_equal(snapshot(stage, 6, "r-2", false), 1);
    page(stage, 100);
    assert_saw(socket, "welcome gap:1-4 snapshot:4 5<4 6<5 snapshot:6 caught_up:6");
}

static void test_snapshot_of_a_thread_that_is_filtered_out_is_not_shown(void **state)
{
    struct stage *stage = *state;
    struct handshake handshake = {.mode = WIRE_OPEN_CURSOR, .epoch = "e1", .filter = {.count = 1}};
    snprintf(handshake.filter.threads[0], sizeof(handshake.filter.threads[0]), "odd");
    stage->head = 4;
    stage->runs = RUNS;
    struct ws_connection *socket = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_GAP, 4);
    assert_int_equal(snapshot(stage, 4, "r-1", false), 0);
    assert_saw(socket, "welcome gap:1-4 caught_up:4");
    assert_int_equal(stage->counters.snapshots_sent, 0);
}

static void test_client_that_asks_for_it_is_told_on_a_live_view(void **state)
{
    struct stage *stage = *state;
    const struct handshake handshake = {.mode = WIRE_OPEN_LIVE, .snapshots = true};
    stage->head = 4;
    stage->runs = RUNS;
    struct ws_connection *socket = join_with(stage, &handshake);
    opened(stage, WIRE_RESUME_LIVE, 4);
    assert_int_equal(snapshot(stage, 4, "r-1", false), 0);
    live(stage, 5, 5);
    assert_saw(socket, "welcome snapshot:4 5<4");
}

static void test_snapshot_is_asked_for_again_after_the_link_was_lost(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 4);
    lose_link();
    restore_link(stage);
    opened(stage, WIRE_RESUME_REPLAY, 4); /* the feed's */
    assert_int_equal(snapshot(stage, 4, "r-1", false), 0);
    assert_saw(socket, "welcome gap:1-4 snapshot:4 caught_up:4");
}

static void test_announced_events_that_never_come_do_not_hold_a_snapshot_up(void **state)
{
    struct stage *stage = *state;
    stage->head = 4;
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 4);
    assert_int_equal(snapshot(stage, 8, "r-1", false), 0);
    stage->head = 4;
    assert_int_equal(page(stage, 100), 4); /* empty */
    assert_saw(socket, "welcome gap:1-4 snapshot:8 caught_up:4");
}

static void refuse_snapshot(struct stage *stage, struct wire_message message, int close_code)
{
    stage->runs = RUNS;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_RESET, 0);
    assert_true(answer(WIRE_SNAPSHOT_READ, &message));
    assert_int_equal(socket->close_code, close_code);
    assert_int_equal(times_seen(socket, "\"snapshot\""), 0);
}

static void test_snapshot_of_another_user_is_kept_back(void **state)
{
    const struct wire_message message = {
        .kind = WIRE_SNAPSHOT, .snapshot = {.user = SPAN_LITERAL("mallory")}};
    refuse_snapshot(*state, message, 1011);
    assert_int_equal(((struct stage *)*state)->counters.events_foreign, 1);
}

static void test_session_ends_when_its_numbering_is_gone(void **state)
{
    const struct wire_message message = {.kind = WIRE_SNAPSHOT,
        .snapshot = {.user = SPAN_LITERAL("alice"), .status = WIRE_PAGE_EPOCH_CHANGED}};
    refuse_snapshot(*state, message, 4004);
}

static void test_malformed_runs_end_the_session(void **state)
{
    const struct wire_message message = {.kind = WIRE_SNAPSHOT,
        .snapshot = {.user = SPAN_LITERAL("alice"), .runs = SPAN_LITERAL("\xc1")}};
    refuse_snapshot(*state, message, 1011);
}

/* Whatever order things come in: nothing is missing or twice, and the snapshot stands at its
 * number, before everything above it. */
static void test_snapshot_stands_at_its_number_whatever_happens(void **state)
{
    struct stage *stage = *state;
    struct chance chance = chance_make();
    stage->runs = RUNS;
    stage->head = 20;
    struct ws_connection *socket = join(stage, WIRE_OPEN_CURSOR);
    opened(stage, WIRE_RESUME_GAP, 10);
    uint64_t seq = 0;
    for (int step = 0; step < 200 || session_snapshots_asked(socket->session); step++) {
        switch (chance_below(&chance, 4)) {
        case 0: live(stage, stage->head + 1, stage->head + 1 + chance_below(&chance, 3)); break;
        case 1: stage->head += chance_below(&chance, 2); break;
        case 2:
            if (snapshot(stage, stage->head + chance_below(&chance, 3), "r-1", false) >= 0)
                seq = stage->head;
            break;
        default: page(stage, 1 + chance_below(&chance, 5));
        }
    }
    while (page(stage, 7) >= 0)
        continue;
    struct buffer wanted = BUFFER_INIT;
    buffer_append_string(&wanted, "welcome gap:1-10");
    for (uint64_t i = 11; i <= socket->session->view.position; i++) {
        buffer_printf(&wanted, " %d<%d", (int)i, (int)i - 1);
        if (i == seq)
            buffer_printf(&wanted, " snapshot:%d", (int)seq);
    }
    buffer_append_char(&wanted, '\0');
    struct buffer seen = BUFFER_INIT;
    see(&seen, socket);
    char *caught_up = strstr(seen.data, " caught_up:");
    assert_non_null(caught_up);
    size_t word = 1 + strcspn(caught_up + 1, " ");
    memmove(caught_up, caught_up + word, strlen(caught_up + word) + 1);
    assert_string_equal(seen.data, wanted.data);
    assert_true(seq > 0);
    buffer_deinit(&wanted);
    buffer_deinit(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_snapshot_comes_after_a_gap_before_caught_up),
        STAGED(test_snapshot_comes_after_a_reset),
        STAGED(test_nobody_is_asked_where_no_run_was_open),
        STAGED(test_view_stands_still_until_the_broker_says_where_it_goes),
        STAGED(test_live_events_lead_to_the_snapshots_place_too),
        STAGED(test_parts_each_have_a_place_of_their_own),
        STAGED(test_snapshot_of_a_thread_that_is_filtered_out_is_not_shown),
        STAGED(test_client_that_asks_for_it_is_told_on_a_live_view),
        STAGED(test_snapshot_is_asked_for_again_after_the_link_was_lost),
        STAGED(test_announced_events_that_never_come_do_not_hold_a_snapshot_up),
        STAGED(test_snapshot_of_another_user_is_kept_back),
        STAGED(test_session_ends_when_its_numbering_is_gone),
        STAGED(test_malformed_runs_end_the_session),
        STAGED(test_snapshot_stands_at_its_number_whatever_happens),
    };
    return cmocka_run_group_tests_name("gateway-session-snapshots", tests, NULL, NULL);
}
