/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway asks the broker, and what it is answered. Each test has users of its own. */
#include "peer-test.h"

#include "event/codec.h"

static void fill(struct fixture *f, const char *user, const char *run_id, int texts)
{
    assert_int_equal(push(f, user, started(run_id)), VERDICT_LEGAL);
    for (int i = 0; i < texts; i++)
        assert_int_equal(push(f, user, text_event(run_id, "m-1", 0)), VERDICT_LEGAL);
    fixture_turn(f);
}

static struct wire_opened open_at(
    struct peer *peer, const char *user, const char *epoch, uint64_t after)
{
    const struct wire_message open = {.kind = WIRE_OPEN,
        .open = {.request = ++peer->requests,
            .user = span_of_string(user),
            .mode = epoch ? WIRE_OPEN_CURSOR : WIRE_OPEN_START,
            .epoch = span_of_string(epoch),
            .after = after}};
    peer_send(peer, &open);
    return peer_expect(peer, WIRE_OPENED).opened;
}

static const char *epoch_of(struct fixture *f, const char *user)
{
    return history_epoch(fixture_user(f, user)->stream);
}

/* ---- opening */

static void test_live_view_begins_at_the_head_and_shows_open_runs(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    fill(f, "live", "r-live", 4);
    struct wire_opened opened = peer_open(&peer, "live");
    assert_int_equal(opened.resume, WIRE_RESUME_LIVE);
    assert_int_equal(opened.start, 5);
    assert_int_equal(opened.head, 5);
    assert_int_equal(opened.oldest, 1);
    assert_true(span_is(opened.epoch, epoch_of(f, "live")));
    assert_true(span_is(opened.runs,
        "[{\"run_id\":\"r-live\",\"thread_id\":\"t-1\",\"agent\":\"librarian\","
        "\"state\":\"running\"}]"));
    peer_leave(&peer);
}

static void test_view_from_the_start_begins_before_the_oldest(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    struct wire_opened opened = open_at(&peer, "begin", NULL, 0); /* of a user nobody knows */
    assert_int_equal(opened.resume, WIRE_RESUME_REPLAY);
    assert_int_equal(opened.start, 0);
    assert_int_equal(opened.head, 0);
    assert_true(span_is(opened.runs, "[]"));
    fill(f, "begin", "r-begin", 4);
    opened = open_at(&peer, "begin", NULL, 0);
    assert_int_equal(opened.start, 0);
    assert_int_equal(opened.head, 5);
    peer_leave(&peer);
}

static void test_cursor_is_taken_up_where_it_stands(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    fill(f, "curs", "r-curs", 4);
    for (uint64_t after = 0; after <= 5; after++) {
        struct wire_opened opened = open_at(&peer, "curs", epoch_of(f, "curs"), after);
        assert_int_equal(opened.resume, WIRE_RESUME_REPLAY);
        assert_int_equal(opened.start, after);
    }
    peer_leave(&peer);
}

static void test_cursor_of_another_numbering_begins_again(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    fill(f, "other", "r-other", 4);
    struct wire_opened opened = open_at(&peer, "other", "nosuchepoch", 3);
    assert_int_equal(opened.resume, WIRE_RESUME_RESET);
    assert_int_equal(opened.start, 0);
    assert_true(span_is(opened.epoch, epoch_of(f, "other")));
    peer_leave(&peer);
}

/* Numbers that were shown and are not there must not be shown again for others. */
static void test_cursor_ahead_of_what_is_kept_makes_a_new_numbering(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    char before[HISTORY_EPOCH_SIZE];
    peer_connect_gateway(&peer, f);
    fill(f, "ahead", "r-ahead", 2);
    peer_open(&peer, "ahead");
    strcpy(before, epoch_of(f, "ahead"));
    push(f, "ahead", text_event("r-ahead", "m-1", 0)); /* 4 is given, but nobody can have seen it */
    const struct wire_message open = {.kind = WIRE_OPEN,
        .open = {.request = ++peer.requests,
            .user = SPAN_LITERAL("ahead"),
            .mode = WIRE_OPEN_CURSOR,
            .epoch = span_of_string(before),
            .after = 4}};
    peer_send(&peer, &open);
    struct wire_epoch_changed changed = peer_expect(&peer, WIRE_EPOCH_CHANGED).epoch_changed;
    assert_true(span_is(changed.user, "ahead"));
    assert_true(span_is(changed.epoch, epoch_of(f, "ahead")));
    struct wire_opened opened = peer_expect(&peer, WIRE_OPENED).opened;
    assert_int_equal(opened.resume, WIRE_RESUME_RESET);
    assert_int_equal(opened.start, 0);
    assert_true(span_is(opened.epoch, epoch_of(f, "ahead")));
    assert_string_not_equal(before, epoch_of(f, "ahead"));
    fixture_turn(f);
    peer_leave(&peer);
}

/* Each renewal costs a sync. In one life of a broker a cursor can be right to ask for it once. */
static void test_made_up_cursors_renew_a_numbering_once_a_life(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    char epoch[HISTORY_EPOCH_SIZE];
    peer_connect_gateway(&peer, f);
    fill(f, "maker", "r-maker", 2);
    uint64_t renewed = f->counters.epochs_renewed;
    struct wire_opened opened = open_at(&peer, "maker", epoch_of(f, "maker"), 1000);
    assert_int_equal(opened.resume, WIRE_RESUME_RESET);
    assert_counted(f->counters.epochs_renewed - renewed, 1);
    strcpy(epoch, epoch_of(f, "maker"));
    const struct wire_message close_it = {
        .kind = WIRE_CLOSE, .close = {.user = SPAN_LITERAL("maker")}};
    for (uint64_t after = 4; after < 50; after++) {
        opened = open_at(&peer, "maker", epoch, after);
        assert_int_equal(opened.resume, WIRE_RESUME_RESET); /* never silence */
        assert_int_equal(opened.gap_from, 4);
        assert_int_equal(opened.gap_to, after);
        peer_send(&peer, &close_it);
    }
    assert_string_equal(epoch, epoch_of(f, "maker"));
    assert_counted(f->counters.epochs_renewed - renewed, 1);
    peer_leave(&peer);
}

static void test_request_for_nobody_is_refused(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    const struct wire_message bad[] = {
        {.kind = WIRE_OPEN, .open = {.request = 1, .user = SPAN_LITERAL("a b")}},
        {.kind = WIRE_OPEN, .open = {.request = 2, .user = SPAN_LITERAL("x"), .mode = 77}},
        {.kind = WIRE_READ, .read = {.request = 3}},
    };
    for (uint64_t i = 0; i < ARRAY_SIZE(bad); i++) {
        peer_send(&peer, &bad[i]);
        struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply;
        assert_int_equal(reply.request, i + 1);
        assert_true(span_is(reply.code, "invalid_argument"));
    }
    peer_leave(&peer);
}

static void test_message_that_is_not_a_gateways_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    peer_send(&peer, &(struct wire_message){.kind = WIRE_AVAILABLE, .available = {.slots = 4}});
    peer_expect_nothing(&peer);
    assert_true(list_empty(&f->workers.list));
    peer_leave(&peer);
}

/* ---- reading */

static struct wire_page read_page(
    struct peer *peer, const char *user, const char *epoch, uint64_t after, uint64_t max_bytes)
{
    const struct wire_message read = {.kind = WIRE_READ,
        .read = {.request = ++peer->requests,
            .user = span_of_string(user),
            .epoch = span_of_string(epoch),
            .after = after,
            .max_bytes = max_bytes}};
    peer_send(peer, &read);
    return peer_expect(peer, WIRE_PAGE).page;
}

static void test_pages_bring_every_event_once_whatever_their_size(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    fill(f, "page", "r-page", 30);
    const uint64_t sizes[] = {0, 200, 100000, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t after = 0;
        while (after < 31) {
            struct wire_page page = read_page(&peer, "page", epoch_of(f, "page"), after, sizes[i]);
            struct event event;
            uint64_t expected = after;
            assert_int_equal(page.status, WIRE_PAGE_OK);
            assert_int_equal(page.head, 31);
            assert_true(page.last > after);
            for (size_t at = 0; event_decode_next(&event, page.events, &at) == 1;)
                assert_int_equal(event.seq, ++expected);
            assert_int_equal(expected, page.last);
            after = page.last;
        }
    }
    assert_int_equal(read_page(&peer, "page", epoch_of(f, "page"), 31, 100).last, 31);
    peer_leave(&peer);
}

static void test_page_of_another_numbering_or_from_beyond_says_so(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    fill(f, "beyond", "r-beyond", 2);
    assert_int_equal(
        read_page(&peer, "beyond", "nosuchepoch", 0, 100).status, WIRE_PAGE_EPOCH_CHANGED);
    assert_int_equal(
        read_page(&peer, "beyond", epoch_of(f, "beyond"), 4, 100).status, WIRE_PAGE_EPOCH_CHANGED);
    peer_leave(&peer);
}

/* ---- requests that change something */

static struct wire_message chat_message(uint64_t request, const char *user)
{
    return (struct wire_message){.kind = WIRE_CHAT_SEND,
        .chat_send = {.request = request,
            .user = span_of_string(user),
            .thread_id = SPAN_LITERAL("t-1"),
            .message_id = SPAN_LITERAL("m-1"),
            .content = SPAN_LITERAL("\"hello\"")}};
}

static void test_request_is_answered_when_it_is_kept(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    struct worker *worker = fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    const struct wire_message ask = chat_message(5, "asks");
    peer_send(&peer, &ask);
    peer_expect_nothing(&peer);
    assert_int_equal(history_committed_head(fixture_user(f, "asks")->stream), 0);
    fixture_turn(f);
    struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_int_equal(reply.request, 5);
    assert_int_equal(reply.code.len, 0);
    assert_memory_equal(reply.result.data, "{\"run_id\":\"r-", 13);
    assert_stream(f, "asks", "chat_message run_queued");
    workers_remove(worker);
    peer_leave(&peer);
}

static void test_cancel_is_answered_with_the_runs_state(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    fill(f, "stops", "r-stops", 0);
    const struct wire_message cancel = {.kind = WIRE_RUN_CANCEL,
        .run_cancel = {
            .request = 6, .user = SPAN_LITERAL("stops"), .run_id = SPAN_LITERAL("r-stops")}};
    peer_send(&peer, &cancel);
    peer_expect_nothing(&peer);
    fixture_turn(f);
    struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_true(span_is(reply.result, "{\"run_id\":\"r-stops\",\"status\":\"cancelling\"}"));
    peer_leave(&peer);
}

static bool begins_with(struct span text, const char *beginning)
{
    size_t len = strlen(beginning);
    return text.len >= len && memcmp(text.data, beginning, len) == 0;
}

static void test_questions_about_runs_are_answered_with_records(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    fill(f, "query", "r-query", 0);
    const struct wire_message get = {.kind = WIRE_RUN_GET,
        .run_get = {
            .request = 6, .user = SPAN_LITERAL("query"), .run_id = SPAN_LITERAL("r-query")}};
    const struct wire_message list = {.kind = WIRE_RUNS_LIST,
        .runs_list = {.request = 7, .user = SPAN_LITERAL("query"), .limit = 10}};
    const struct wire_message foreign = {.kind = WIRE_RUN_GET,
        .run_get = {
            .request = 8, .user = SPAN_LITERAL("other"), .run_id = SPAN_LITERAL("r-query")}};
    peer_send(&peer, &get);
    peer_send(&peer, &list);
    peer_send(&peer, &foreign);
    peer_expect_nothing(&peer);
    fixture_turn(f);
    const char *record = "{\"run_id\":\"r-query\",\"thread_id\":\"t-1\",\"agent\":\"librarian\","
                         "\"state\":\"running\",\"ended\":false,";
    struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_int_equal(reply.request, 6);
    assert_true(begins_with(reply.result, record));
    reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_int_equal(reply.request, 7);
    assert_true(begins_with(reply.result, "{\"runs\":[{"));
    assert_true(begins_with(span_of(reply.result.data + 9, reply.result.len - 9), record));
    reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_true(span_is(reply.code, "run_not_found"));
    assert_int_equal(reply.result.len, 0);
    peer_leave(&peer);
}

static void test_refusal_has_code_message_and_no_result(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    const struct wire_message ask = chat_message(7, "nobody");
    peer_send(&peer, &ask);
    peer_expect_nothing(&peer);
    fixture_turn(f);
    struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply;
    assert_true(span_is(reply.code, "agent_not_found"));
    assert_int_not_equal(reply.message.len, 0);
    assert_int_equal(reply.result.len, 0);
    peer_leave(&peer);
}

static void test_nothing_new_is_taken_while_history_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    peer_connect_gateway(&peer, f);
    f->gateways.stalled = true;
    const struct wire_message ask = chat_message(8, "stalled");
    peer_send(&peer, &ask);
    struct wire_reply reply = peer_expect(&peer, WIRE_REPLY).reply; /* at once */
    assert_int_equal(reply.request, 8);
    assert_true(span_is(reply.code, "unavailable"));
    assert_int_equal(reply.retryable, 1);
    f->gateways.stalled = false;
    fixture_turn(f);
    assert_stream(f, "stalled", "");
    peer_leave(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_view_begins_at_the_head_and_shows_open_runs),
        cmocka_unit_test(test_view_from_the_start_begins_before_the_oldest),
        cmocka_unit_test(test_cursor_is_taken_up_where_it_stands),
        cmocka_unit_test(test_cursor_of_another_numbering_begins_again),
        cmocka_unit_test(test_cursor_ahead_of_what_is_kept_makes_a_new_numbering),
        cmocka_unit_test(test_made_up_cursors_renew_a_numbering_once_a_life),
        cmocka_unit_test(test_request_for_nobody_is_refused),
        cmocka_unit_test(test_message_that_is_not_a_gateways_is_passed_over),
        cmocka_unit_test(test_pages_bring_every_event_once_whatever_their_size),
        cmocka_unit_test(test_page_of_another_numbering_or_from_beyond_says_so),
        cmocka_unit_test(test_request_is_answered_when_it_is_kept),
        cmocka_unit_test(test_cancel_is_answered_with_the_runs_state),
        cmocka_unit_test(test_questions_about_runs_are_answered_with_records),
        cmocka_unit_test(test_refusal_has_code_message_and_no_result),
        cmocka_unit_test(test_nothing_new_is_taken_while_history_cannot_be_written),
    };
    return cmocka_run_group_tests_name(
        "broker-gateway-port", tests, linked_fixture_up, linked_fixture_down);
}
