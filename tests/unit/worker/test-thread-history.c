/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "protocol/thread_history.h"

#include "base/json_scan.h"
#include "event/codec.h"

#include <errno.h>
#include <stdio.h>

/* A user's events, numbered from 1. */
struct past {
    struct buffer bytes;
    uint64_t last;
};

static void add_to(
    struct past *past, const char *thread, const char *run, enum event_type type, const char *data)
{
    struct event event = {.type = type,
        .seq = ++past->last,
        .thread_id = span_of_string(thread),
        .run_id = span_of_string(run),
        .message_id = type == EVENT_PARTIAL_RESULT ? SPAN_LITERAL("m") : span_of_string(run),
        .data = span_of_string(data)};
    if (type == EVENT_ERROR_EVENT)
        event.flags = EVENT_FLAG_FATAL;
    event_encode(&past->bytes, &event);
}

static void add(struct past *past, const char *run, enum event_type type, const char *data)
{
    add_to(past, "t", run, type, data);
}

static void add_run(struct past *past, const char *run, const char *question, const char *answer)
{
    char data[256];
    snprintf(data, sizeof(data), "{\"role\":\"user\",\"content\":\"%s\"}", question);
    add(past, run, EVENT_CHAT_MESSAGE, data);
    add(past, run, EVENT_AGENT_STARTED, "{\"agent\":\"a\"}");
    snprintf(data, sizeof(data), "{\"delta\":\"%s\"}", answer);
    add(past, run, EVENT_PARTIAL_RESULT, data);
    add(past, run, EVENT_AGENT_COMPLETED, "{\"outcome\":\"success\"}");
}

/* The events above `after`, at most `max` of them. */
static struct thread_page page_of(const struct past *past, uint64_t after, uint64_t max)
{
    struct thread_page page = {
        .asked = true, .after = after, .oldest = 1, .end = past->last, .last = after};
    struct event event;
    size_t at = 0, begin = past->bytes.len, end = past->bytes.len, before = 0;
    while (event_decode_next(&event, buffer_span(&past->bytes), &at) == 1) {
        if (event.seq == after + 1)
            begin = before;
        if (event.seq > after && event.seq <= after + max) {
            end = at;
            page.last = event.seq;
        }
        before = at;
    }
    page.events = span_of(past->bytes.data + begin, end - begin);
    return page;
}

static void read_all(struct thread_history *history, const struct past *past, uint64_t max)
{
    const struct thread_page first = {.oldest = 1, .end = past->last};
    assert_int_equal(thread_history_take(history, &first), 0);
    while (!history->done) {
        const struct thread_page page = page_of(past, history->at, max);
        assert_int_equal(thread_history_take(history, &page), 0);
    }
}

static void assert_messages(struct thread_history *history, const char *wanted)
{
    struct buffer out = BUFFER_INIT;
    assert_true(history->done);
    thread_history_append(&out, history);
    assert_true(json_scan_valid(buffer_span(&out)));
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, wanted);
    buffer_deinit(&out);
    thread_history_deinit(history);
}

static void check(struct past *past, uint64_t limit, const char *wanted)
{
    for (uint64_t max = 1; max < 8; max += 3) {
        struct thread_history history;
        thread_history_init(&history, "t", "own", limit);
        read_all(&history, past, max);
        assert_messages(&history, wanted);
    }
    buffer_deinit(&past->bytes);
}

#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define ASSISTANT(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

static void test_nothing_was_said_before_the_first_run(void **state)
{
    struct past past = {0};
    (void)state;
    check(&past, 20, "[]");
}

static void test_the_newest_messages_are_told_in_order(void **state)
{
    struct past past = {0}, same = {0};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct past *one = i ? &past : &same;
        add_run(one, "r1", "one", "first \\u2603");
        add_run(one, "r2", "two", "second");
    }
    check(&past, 20,
        "[" USER("one") "," ASSISTANT("first \\u2603") "," USER("two") "," ASSISTANT("second") "]");
    check(&same, 3, "[" ASSISTANT("first \\u2603") "," USER("two") "," ASSISTANT("second") "]");
}

static void test_what_does_not_belong_to_it_is_left_out(void **state)
{
    struct past past = {0};
    (void)state;
    add(&past, "older", EVENT_PARTIAL_RESULT, "{\"delta\":\"its beginning is gone\"}");
    add(&past, "older", EVENT_AGENT_COMPLETED, "{}");
    add_to(&past, "another", "r0", EVENT_CHAT_MESSAGE, "{\"content\":\"elsewhere\"}");
    add(&past, "r1", EVENT_CHAT_MESSAGE, "{\"content\":\"goes on\"}");
    add(&past, "r1", EVENT_PARTIAL_RESULT, "{\"delta\":\"still\"}");
    add(&past, "r2", EVENT_AGENT_STARTED, "{}");
    add(&past, "r2", EVENT_PARTIAL_RESULT, "{\"delta\":\"by a program\"}");
    add(&past, "r2", EVENT_ERROR_EVENT, "{\"fatal\":true}");
    add_run(&past, "own", "what is asked now, tried before", "half");
    check(&past, 20, "[" USER("goes on") "," ASSISTANT("by a program") "]");
}

static void test_messages_of_a_run_are_told_apart(void **state)
{
    struct past past = {0};
    struct event event = {.type = EVENT_PARTIAL_RESULT,
        .seq = 4,
        .thread_id = SPAN_LITERAL("t"),
        .run_id = SPAN_LITERAL("r"),
        .message_id = SPAN_LITERAL("m2"),
        .data = SPAN_LITERAL("{\"delta\":\"b\"}")};
    (void)state;
    add(&past, "r", EVENT_CHAT_MESSAGE, "{\"content\":[{\"text\":\"x\"}]}");
    add(&past, "r", EVENT_PARTIAL_RESULT, "{\"delta\":\"a\"}");
    add(&past, "r", EVENT_PARTIAL_RESULT, "{\"delta\":\"\",\"final\":true}");
    event_encode(&past.bytes, &event);
    past.last = 4;
    add(&past, "r", EVENT_AGENT_COMPLETED, "{}");
    check(&past, 20,
        "[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}," ASSISTANT("a\\n\\nb") "]");
}

static void test_the_window_ends_below_the_run_and_begins_not_too_far_away(void **state)
{
    struct thread_history history;
    (void)state;
    thread_history_init(&history, "t", "", 1);
    assert_int_equal(
        thread_history_take(&history, &(struct thread_page){.oldest = 1, .end = 100000}), 0);
    assert_int_equal(history.at, 100000 - THREAD_HISTORY_EVENTS_MIN);
    thread_history_init(&history, "t", "", 1000);
    assert_int_equal(
        thread_history_take(&history, &(struct thread_page){.oldest = 1, .end = 100000}), 0);
    assert_int_equal(history.at, 100000 - THREAD_HISTORY_EVENTS_MAX);
    thread_history_init(&history, "t", "", 20);
    assert_int_equal(
        thread_history_take(&history, &(struct thread_page){.oldest = 99000, .end = 100000}), 0);
    assert_int_equal(history.at, 98999);
}

static void test_what_is_gone_or_damaged_is_where_it_begins(void **state)
{
    struct thread_history history;
    struct past past = {0};
    (void)state;
    add_run(&past, "r1", "one", "1");
    add_run(&past, "r2", "two", "2");
    for (int damaged = 0; damaged < 2; damaged++) {
        thread_history_init(&history, "t", "", 20);
        assert_int_equal(
            thread_history_take(&history, &(struct thread_page){.oldest = 1, .end = 8}), 0);
        struct thread_page page = page_of(&past, 0, 1);
        assert_int_equal(thread_history_take(&history, &page), 0);
        page = (struct thread_page){.asked = true,
            .after = 1,
            .trimmed = !damaged,
            .damaged = damaged,
            .oldest = damaged ? 1 : 5,
            .end = 8,
            .last = damaged ? 4 : 1};
        assert_int_equal(thread_history_take(&history, &page), 0);
        page = page_of(&past, 4, 8);
        assert_int_equal(thread_history_take(&history, &page), 0);
        assert_messages(&history, "[" USER("two") "," ASSISTANT("2") "]");
    }
    buffer_deinit(&past.bytes);
}

static void test_a_window_with_too_many_bytes_begins_anew_nearer_to_the_end(void **state)
{
    static char data[THREAD_HISTORY_BYTES_MAX / 2];
    struct thread_history history;
    struct past past = {0};
    (void)state;
    memset(data, ' ', sizeof(data) - 1);
    memcpy(data, "{\"content\":\"big\"", 16);
    data[sizeof(data) - 2] = '}';
    for (int i = 0; i < 4; i++)
        add(&past, "r", EVENT_CHAT_MESSAGE, data);
    add_run(&past, "r2", "two", "2");
    thread_history_init(&history, "t", "", 20);
    read_all(&history, &past, 1);
    assert_messages(&history, "[" ASSISTANT("2") "]");
    buffer_deinit(&past.bytes);
}

static void test_pages_that_were_not_asked_for_change_nothing(void **state)
{
    struct thread_history history;
    struct past past = {0};
    (void)state;
    add_run(&past, "r1", "one", "1");
    thread_history_init(&history, "t", "", 20);
    struct thread_page page = page_of(&past, 0, 9);
    assert_int_equal(thread_history_take(&history, &page), 0);
    assert_false(history.known);
    assert_int_equal(
        thread_history_take(&history, &(struct thread_page){.oldest = 1, .end = 4}), 0);
    page = page_of(&past, 2, 9);
    assert_int_equal(thread_history_take(&history, &page), 0);
    assert_int_equal(history.at, 0);
    page = (struct thread_page){
        .asked = true, .last = 4, .end = 4, .events = SPAN_LITERAL("nonsense")};
    assert_int_equal(thread_history_take(&history, &page), -EBADMSG);
    thread_history_deinit(&history);
    buffer_deinit(&past.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_was_said_before_the_first_run),
        cmocka_unit_test(test_the_newest_messages_are_told_in_order),
        cmocka_unit_test(test_what_does_not_belong_to_it_is_left_out),
        cmocka_unit_test(test_messages_of_a_run_are_told_apart),
        cmocka_unit_test(test_the_window_ends_below_the_run_and_begins_not_too_far_away),
        cmocka_unit_test(test_what_is_gone_or_damaged_is_where_it_begins),
        cmocka_unit_test(test_a_window_with_too_many_bytes_begins_anew_nearer_to_the_end),
        cmocka_unit_test(test_pages_that_were_not_asked_for_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
