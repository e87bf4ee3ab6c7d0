/* SPDX-License-Identifier: Apache-2.0 */
/* Folding of ended runs' text: what a reader gets from every cursor, whatever was folded. */
#include "history-test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "chance.h"
#include "event/codec.h"
#include "history/fold.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#define HOUR_MS (60ull * 60 * 1000)

/* ---- events */

static struct event text(const char *message, const char *data)
{
    return (struct event){.type = EVENT_PARTIAL_RESULT,
        .timestamp = 1795000000000,
        .user_tag = 7,
        .thread_id = SPAN_LITERAL("t-1"),
        .run_id = SPAN_LITERAL("r-1"),
        .message_id = span_of_string(message),
        .data = span_of_string(data)};
}

static void stage_event(struct fixture *fixture, struct event event)
{
    struct history_stream *stream = fixture_stream(fixture, "ann");
    _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
    event.seq = history_head(stream) + 1;
    event.timestamp += event.seq;
    event_encode(&bytes, &event);
    assert_return_code(history_append(fixture->history, stream, event.seq, buffer_span(&bytes)), 0);
}

static void stage_text(struct fixture *fixture, const char *message, const char *data)
{
    stage_event(fixture, text(message, data));
}

static void commit(struct fixture *fixture)
{
    assert_return_code(history_commit(fixture->history), 0);
}

static void fold_all(struct fixture *fixture)
{
    int rc;
    while ((rc = history_trim(fixture->history, clock_wall_ms() + 2 * HOUR_MS)) == 1)
        continue;
    assert_int_equal(rc, 0);
}

static void open_folding(struct fixture *fixture)
{
    fixture->options.fold_after_ms = HOUR_MS;
    fixture_open(fixture);
}

static uint64_t events(struct fixture *fixture)
{
    struct history_stream_usage usage;
    history_stream_usage(fixture_stream(fixture, "ann"), &usage);
    return usage.events;
}

/* ---- reading */

struct reading {
    struct buffer bytes;
    struct buffer text; /* of all deltas, decoded */
    uint64_t first;     /* first number of the first event */
    uint64_t last;
    size_t count;
    struct event newest;
};

static void reading_free(struct reading *reading)
{
    buffer_deinit(&reading->bytes);
    buffer_deinit(&reading->text);
}

static void append_delta(struct buffer *out, const struct event *event)
{
    json_t *data = json_loadb(event->data.data, event->data.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(data);
    const char *delta = json_string_value(json_object_get(data, "delta"));
    buffer_append_string(out, delta ? delta : "");
    json_decref(data);
}

/* All above `after`, in pages; events follow each other without a hole and without overlap. */
static void read_all(struct fixture *fixture, uint64_t after, size_t page, struct reading *reading)
{
    const struct history_stream *stream = fixture_stream(fixture, "ann");
    *reading = (struct reading){.last = after};
    size_t offset = 0;
    while (reading->last < history_committed_head(stream)) {
        uint64_t last = 0;
        assert_return_code(history_read(stream, reading->last, page, &reading->bytes, &last), 0);
        assert_true(last > reading->last);
        while (event_decode_next(&reading->newest, buffer_span(&reading->bytes), &offset) == 1) {
            assert_int_equal(event_first_seq(&reading->newest), reading->last + 1);
            append_delta(&reading->text, &reading->newest);
            reading->last = reading->newest.seq;
            reading->count++;
        }
        assert_int_equal(reading->last, last);
    }
}

static void assert_reads(struct fixture *fixture, uint64_t after, const char *expected)
{
    _cleanup_(reading_free) struct reading reading;
    read_all(fixture, after, 4096, &reading);
    buffer_append_char(&reading.text, '\0');
    assert_string_equal(reading.text.data, expected);
}

/* ---- tests */

static void test_text_of_an_ended_run_becomes_one_event_and_reads_the_same(void **state)
{
    struct fixture *fixture = *state;
    open_folding(fixture);
    stage_text(fixture, "m-1", "{\"delta\":\"one \"}");
    stage_text(fixture, "m-1", "{ \"delta\" : \"t\\u0077o \" }");
    commit(fixture);
    stage_text(fixture, "m-1", "{\"delta\":\"\\\"three\\\\\"}");
    stage_text(fixture, "m-1", "{\"delta\":\"\",\"final\":true}");
    commit(fixture);
    assert_reads(fixture, 0, "one two \"three\\");
    fold_all(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(events(fixture), 2); /* `final` was not flagged as such */
        assert_reads(fixture, 0, "one two \"three\\");
        assert_reads(fixture, 1, "two \"three\\");
        assert_reads(fixture, 2, "\"three\\");
        assert_reads(fixture, 3, "");
        fixture_reopen(fixture);
    }
    _cleanup_(reading_free) struct reading reading;
    read_all(fixture, 0, 4096, &reading);
    assert_int_equal(reading.newest.timestamp, 1795000000004);
}

static void test_the_end_of_a_message_is_folded_with_it_and_ends_it(void **state)
{
    struct fixture *fixture = *state;
    open_folding(fixture);
    stage_text(fixture, "m-1", "{\"delta\":\"a\"}");
    struct event end = text("m-1", "{\"delta\":\"b\", \"final\": true}");
    end.flags = EVENT_FLAG_FINAL;
    stage_event(fixture, end);
    stage_text(fixture, "m-1", "{\"delta\":\"c\"}");
    commit(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 2);
    _cleanup_(reading_free) struct reading reading;
    read_all(fixture, 0, 1, &reading);
    struct event first;
    size_t offset = 0;
    assert_int_equal(event_decode_next(&first, buffer_span(&reading.bytes), &offset), 1);
    assert_int_equal(first.flags, EVENT_FLAG_FINAL);
    assert_int_equal(first.first_seq, 1);
    assert_int_equal(first.seq, 2);
    assert_true(span_is(first.data, "{\"delta\":\"ab\",\"final\":true}"));
}

static void test_what_does_not_go_together_stays_apart(void **state)
{
    struct fixture *fixture = *state;
    open_folding(fixture);
    stage_text(fixture, "m-1", "{\"delta\":\"a\"}");
    stage_text(fixture, "m-2", "{\"delta\":\"b\"}"); /* another message */
    struct event other = text("m-2", "{\"delta\":\"c\"}");
    other.run_id = SPAN_LITERAL("r-2");
    stage_event(fixture, other); /* another run */
    other.flags = EVENT_FLAG_SYNTHETIC;
    stage_event(fixture, other); /* the broker's */
    other.flags = 0;
    other.data = SPAN_LITERAL("{\"delta\":\"d\",\"more\":1}");
    stage_event(fixture, other); /* says more */
    other.data = SPAN_LITERAL("{\"delta\":7}");
    stage_event(fixture, other);
    other.data = SPAN_LITERAL("{\"progress\":1}");
    stage_event(fixture, other);
    other.data = SPAN_LITERAL("{\"delta\":\"e\"}");
    other.tool_call_id = SPAN_LITERAL("c-1");
    stage_event(fixture, other); /* of a tool */
    stage_event(fixture, other);
    other.type = EVENT_AGENT_COMPLETED;
    stage_event(fixture, other);
    stage_event(fixture, other);
    commit(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 11);
}

static void test_of_consecutive_status_the_newest_stands_for_all(void **state)
{
    struct fixture *fixture = *state;
    open_folding(fixture);
    struct event status = text("m-1", "{\"status\":\"reading\"}");
    status.type = EVENT_AGENT_THINKING;
    stage_event(fixture, status);
    status.data = SPAN_LITERAL("{\"status\":\"still reading\"}");
    stage_event(fixture, status);
    status.data = SPAN_LITERAL("{\"status\":\"writing\"}");
    stage_event(fixture, status);
    status.data = SPAN_LITERAL("{\"delta\":\"hm\"}");
    stage_event(fixture, status); /* thoughts are not superseded */
    commit(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 2);
    for (uint64_t after = 0; after < 3; after++) {
        _cleanup_(reading_free) struct reading reading;
        read_all(fixture, after, 1, &reading);
        size_t offset = 0;
        struct event first;
        assert_int_equal(event_decode_next(&first, buffer_span(&reading.bytes), &offset), 1);
        assert_int_equal(first.seq, 3);
        assert_int_equal(event_first_seq(&first), after + 1);
        assert_true(span_is(first.data, "{\"status\":\"writing\"}"));
    }
}

static void test_text_of_an_open_run_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    open_folding(fixture);
    history_pin(fixture->history, fixture_stream(fixture, "ann"), 3);
    for (int i = 0; i < 6; i++)
        stage_text(fixture, "m-1", "{\"delta\":\"x\"}");
    commit(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 5);
    assert_reads(fixture, 0, "xxxxxx");
}

static void test_nothing_is_folded_before_its_time_or_unasked(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int i = 0; i < 6; i++)
        stage_text(fixture, "m-1", "{\"delta\":\"x\"}");
    commit(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 6);
    fixture->options.fold_after_ms = 3 * HOUR_MS;
    fixture_reopen(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 6);
    fixture->options.fold_after_ms = HOUR_MS;
    fixture_reopen(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 1);
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    assert_int_equal(usage.events, 1);
    assert_int_equal(usage.folded, 5);
}

static void test_a_folded_event_stays_a_page(void **state)
{
    struct fixture *fixture = *state;
    char data[2048];
    open_folding(fixture);
    for (int i = 0; i < 100; i++) {
        snprintf(data, sizeof(data), "{\"delta\":\"%01000d\"}", i);
        stage_text(fixture, "m-1", data);
    }
    commit(fixture);
    fold_all(fixture);
    assert_in_range(events(fixture), 3, 5);
    _cleanup_(reading_free) struct reading reading;
    read_all(fixture, 0, 64u << 10, &reading);
    assert_int_equal(reading.text.len, 100000);
}

static void test_a_floor_within_a_folded_event_shows_the_rest(void **state)
{
    struct fixture *fixture = *state;
    open_folding(fixture);
    for (int i = 0; i < 4; i++)
        stage_text(fixture, "m-1", "{\"delta\":\"ab\"}");
    stage_event(fixture, (struct event){.type = EVENT_AGENT_COMPLETED, .data = SPAN_LITERAL("{}")});
    commit(fixture);
    fold_all(fixture);
    assert_int_equal(events(fixture), 2);
    fixture->options.max_bytes = 1;
    fixture_reopen(fixture);
    history_pin(fixture->history, fixture_stream(fixture, "ann"), 3);
    fold_all(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(history_oldest(fixture_stream(fixture, "ann")), 3);
        assert_reads(fixture, 2, "abab");
        fixture_reopen(fixture);
    }
}

/* ---- at random */

static const char *const pieces[] = {
    "a", "", "\\n", "\\ud83d", "\\ude00", "\xc3\xa9", "\\\\", "\\\"", "word ", "\xf0\x9f\x98\x80"};

static void append_random(struct fixture *fixture, struct chance *chance)
{
    char data[128];
    snprintf(data, sizeof(data), "{\"delta\":\"%s%s\"}",
        pieces[chance_below(chance, ARRAY_SIZE(pieces))],
        chance_below(chance, 4) ? "" : pieces[chance_below(chance, 3)]);
    struct event event = text(chance_below(chance, 8) ? "m-1" : "m-2", data);
    if (chance_below(chance, 10) == 0) {
        event.data = SPAN_LITERAL("{\"delta\":\"end\",\"final\":true}");
        event.flags = EVENT_FLAG_FINAL;
    }
    stage_event(fixture, event);
}

/* The text of each number, as JSON has it, before anything was folded. */
static void remember(struct fixture *fixture, struct buffer *ret_texts, size_t *ends)
{
    _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
    uint64_t last;
    const struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_return_code(history_read(stream, 0, SIZE_MAX, &bytes, &last), 0);
    struct event event;
    for (size_t at = 0; event_decode_next(&event, buffer_span(&bytes), &at) == 1;) {
        struct fold_piece piece;
        _cleanup_(buffer_deinit) struct buffer one = BUFFER_INIT;
        event_encode(&one, &event);
        fold_parse(&piece, buffer_span(&one), SPAN_EMPTY);
        assert_int_equal(piece.is.kind, FOLD_TEXT);
        buffer_append_span(ret_texts, piece.is.text);
        ends[event.seq] = ret_texts->len;
    }
}

static void assert_raw_text(struct fixture *fixture, uint64_t after, struct span expected)
{
    _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
    _cleanup_(buffer_deinit) struct buffer raw = BUFFER_INIT;
    const struct history_stream *stream = fixture_stream(fixture, "ann");
    for (uint64_t last = after; last < history_committed_head(stream);) {
        buffer_clear(&bytes);
        assert_return_code(history_read(stream, last, 500, &bytes, &last), 0);
        struct event event;
        for (size_t at = 0; event_decode_next(&event, buffer_span(&bytes), &at) == 1;) {
            const char *end = memmem(event.data.data, event.data.len, "\",\"final\":true}", 15);
            size_t len = event.data.len - 10 - (end ? 15 : 2);
            buffer_append(&raw, event.data.data + 10, len);
        }
    }
    assert_true(span_equal(buffer_span(&raw), expected));
}

static void test_text_is_the_exact_concatenation_from_every_cursor(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    _cleanup_(buffer_deinit) struct buffer texts = BUFFER_INIT;
    size_t ends[401] = {0};
    open_folding(fixture);
    for (int i = 0; i < 400; i++) {
        append_random(fixture, &chance);
        if (chance_below(&chance, 5) == 0)
            commit(fixture);
    }
    commit(fixture);
    remember(fixture, &texts, ends);
    uint64_t steps[] = {100, 250, 0};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        /* The first time what is above 100 stays as it is, and it is not met again. */
        history_pin(fixture->history, fixture_stream(fixture, "ann"), steps[i]);
        stage_text(fixture, "m-3", "{\"delta\":\"\"}");
        commit(fixture);
        fold_all(fixture);
        for (uint64_t after = 0; after < 400; after++)
            assert_raw_text(
                fixture, after, span_of(texts.data + ends[after], texts.len - ends[after]));
        fixture_reopen(fixture);
    }
    assert_in_range(events(fixture), 100, 390);
}

/* An event and its cuts, as they stand in a batch. */
struct stored {
    struct buffer bytes;
    uint32_t cuts_size;
};

static struct span event_of(const struct stored *stored)
{
    return span_of(stored->bytes.data, stored->bytes.len - stored->cuts_size);
}

static struct span cuts_of(const struct stored *stored)
{
    return span_of(stored->bytes.data + stored->bytes.len - stored->cuts_size, stored->cuts_size);
}

static struct fold_piece piece_of(const struct stored *stored)
{
    struct fold_piece piece;
    fold_parse(&piece, event_of(stored), cuts_of(stored));
    assert_int_equal(piece.is.kind, FOLD_TEXT);
    return piece;
}

static void fold_two(struct stored *ret, const struct stored *a, const struct stored *b)
{
    _cleanup_(fold_group_deinit) struct fold_group group = {0};
    struct fold_piece first = piece_of(a);
    struct fold_piece second = piece_of(b);
    fold_begin(&group, &first);
    assert_true(fold_fits(&group, &second));
    fold_add(&group, &second);
    assert_return_code(fold_finish(&group, &ret->bytes, &ret->cuts_size), 0);
}

static void test_folded_events_can_be_folded_again(void **state)
{
    (void)state;
    struct stored stored[7] = {0};
    char data[32];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(data, sizeof(data), "{\"delta\":\"%.*s\"}", (int)(i + 1), "wxyz");
        struct event event = text("m-1", data);
        event.seq = i + 11;
        event_encode(&stored[i].bytes, &event);
    }
    fold_two(&stored[4], &stored[0], &stored[1]);
    fold_two(&stored[5], &stored[2], &stored[3]);
    fold_two(&stored[6], &stored[4], &stored[5]);
    assert_true(span_is(piece_of(&stored[6]).is.event.data, "{\"delta\":\"wwxwxywxyz\"}"));
    static const char *const rests[] = {"wxwxywxyz", "wxywxyz", "wxyz"};
    for (uint64_t from = 12; from <= 14; from++) {
        _cleanup_(buffer_deinit) struct buffer rest = BUFFER_INIT;
        struct fold_piece piece;
        assert_return_code(
            fold_append_rest(&rest, event_of(&stored[6]), cuts_of(&stored[6]), from), 0);
        struct event event;
        size_t offset = 0;
        assert_int_equal(event_decode_next(&event, buffer_span(&rest), &offset), 1);
        assert_int_equal(event_first_seq(&event), from);
        assert_int_equal(event.seq, 14);
        fold_parse(&piece, buffer_span(&rest), span_of(cuts_of(&stored[6]).data, 4 * (14 - from)));
        assert_true(span_is(piece.is.text, rests[from - 12]));
    }
    for (uint64_t from = 10; from <= 15; from += from == 11 ? 4 : 1) {
        _cleanup_(buffer_deinit) struct buffer rest = BUFFER_INIT;
        assert_int_equal(
            fold_append_rest(&rest, event_of(&stored[6]), cuts_of(&stored[6]), from), -EBADMSG);
    }
    for (size_t i = 0; i < ARRAY_SIZE(stored); i++)
        buffer_deinit(&stored[i].bytes);
}

static void test_a_message_cannot_be_mistaken_for_one_that_can_be_folded(void **state)
{
    (void)state;
    static const char *const data[] = {"{\"delta\":\"a\"", "{\"delta\":\"a\\\"}",
        "{\"delta\":\"a\"}}", "{\"delta\":\"a\",\"delta\":\"b\"}", "{\"delta\":null}", "{}", "",
        "[\"delta\"]", "{\"delta\":\"a\",\"final\":true}", "{\"delta\":\"a\\", "{\"delta\"",
        "{\"delta\":"};
    for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
        _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
        struct event event = text("m-1", data[i]);
        struct fold_piece piece;
        event.seq = 5;
        event_encode(&bytes, &event);
        fold_parse(&piece, buffer_span(&bytes), SPAN_EMPTY);
        if (piece.is.kind != FOLD_NOTHING)
            fail_msg("%s", data[i]);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_text_of_an_ended_run_becomes_one_event_and_reads_the_same),
        CASE(test_the_end_of_a_message_is_folded_with_it_and_ends_it),
        CASE(test_what_does_not_go_together_stays_apart),
        CASE(test_of_consecutive_status_the_newest_stands_for_all),
        CASE(test_text_of_an_open_run_is_left_alone),
        CASE(test_nothing_is_folded_before_its_time_or_unasked),
        CASE(test_a_folded_event_stays_a_page),
        CASE(test_a_floor_within_a_folded_event_shows_the_rest),
        CASE(test_text_is_the_exact_concatenation_from_every_cursor),
        cmocka_unit_test(test_folded_events_can_be_folded_again),
        cmocka_unit_test(test_a_message_cannot_be_mistaken_for_one_that_can_be_folded),
    };
    return cmocka_run_group_tests_name("history-fold", tests, NULL, NULL);
}
