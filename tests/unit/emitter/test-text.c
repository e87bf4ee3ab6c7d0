/* SPDX-License-Identifier: Apache-2.0 */
/* Text: escaped, cut at characters, put together again byte for byte. */
#include "emitter-test.h"

#include "base/cleanup.h"
#include "chance.h"

#include <jansson.h>

/* Reads all text of the user; each event's data must be JSON and must fit a record. */
static void read_text(struct buffer *ret_text, struct node *node, size_t *ret_events)
{
    struct event event;
    buffer_clear(ret_text);
    *ret_events = 0;
    while (node_next(&event, node, "ann")) {
        if (event.type != EVENT_PARTIAL_RESULT)
            continue;
        json_t *data = json_loadb(event.data.data, event.data.len, JSON_ALLOW_NUL, NULL);
        assert_non_null(data);
        json_t *delta = json_object_get(data, "delta");
        buffer_append(ret_text, json_string_value(delta), json_string_length(delta));
        json_decref(data);
        ++*ret_events;
    }
    node_release(node, "ann");
}

static void check_round_trip(struct node *node, rs_run *run, struct span text, size_t *ret_events)
{
    struct buffer found = BUFFER_INIT;
    size_t taken;
    assert_int_equal(rs_text(run, NULL, text.data, text.len, &taken), RS_OK);
    assert_int_equal(taken, text.len);
    read_text(&found, node, ret_events);
    assert_int_equal(found.len, text.len);
    assert_memory_equal(found.data, text.data, text.len);
    buffer_deinit(&found);
}

static void test_text_is_escaped(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    node_read(node, "ann");
    assert_int_equal(say(run, "m-1", "a\"b\\c\n\r\t\x01\x7f ä€🙂 </script>"), RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "partial_result message=m-1 "
        "{\"delta\":\"a\\\"b\\\\c\\n\\r\\t\\u0001\x7f ä€🙂 </script>\"}\n");
    rs_run_free(run);
}

static void test_text_may_contain_nul(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    size_t events;
    check_round_trip(node, run, SPAN_LITERAL("a\0b"), &events);
    assert_int_equal(events, 1);
    rs_run_free(run);
}

static void test_half_characters_are_refused(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    size_t taken = 99;
    assert_int_equal(rs_text(run, NULL, "\xe2\x82\xac", 2, &taken), RS_E_INVALID);
    assert_int_equal(taken, 0);
    assert_int_equal(rs_thinking_delta(run, NULL, "\xe2\x82\xac", 2, NULL), RS_E_INVALID);
    rs_run_free(run);
}

static void test_empty_text_is_no_event(void **state)
{
    struct node *node = *state;
    rs_run *run = run_new(node->emitter, "ann");
    assert_int_equal(rs_text(run, NULL, NULL, 0, NULL), RS_E_ORDER);
    assert_int_equal(rs_run_start(run), RS_OK);
    node_read(node, "ann");
    assert_int_equal(rs_text(run, NULL, NULL, 0, NULL), RS_OK);
    assert_string_equal(node_read(node, "ann"), "");
    assert_int_equal(rs_text_final(run, NULL), RS_E_ORDER);
    rs_run_free(run);
}

static void test_text_just_fits_or_becomes_two(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    char text[EVENT_MAX];
    size_t events;
    size_t room = rs_emitter_event_max(node->emitter) - strlen("r-1") - strlen("m-1") -
                  strlen("{\"delta\":\"\"}");
    memset(text, 'x', sizeof(text));
    assert_int_equal(say(run, "m-1", "-"), RS_OK);
    node_read(node, "ann");
    check_round_trip(node, run, span_of(text, room), &events);
    assert_int_equal(events, 1);
    check_round_trip(node, run, span_of(text, room + 1), &events);
    assert_int_equal(events, 2);
    rs_run_free(run);
}

static void append_any_character(struct buffer *text, struct chance *chance)
{
    static const char *const characters[] = {"a", "\"", "\\", "\n", "\x01", "ä", "€", "🙂"};
    buffer_append_string(text, characters[chance_below(chance, ARRAY_SIZE(characters))]);
}

static void test_any_text_is_cut_between_characters(void **state)
{
    struct node *node = *state;
    struct chance chance = chance_make();
    rs_run *run = run_started(node->emitter, "ann");
    struct buffer text = BUFFER_INIT;
    size_t events, most = 0;
    for (int round = 0; round < 200; round++) {
        buffer_clear(&text);
        for (size_t i = chance_below(&chance, 4000); i > 0; i--)
            append_any_character(&text, &chance);
        check_round_trip(node, run, buffer_span(&text), &events);
        most = events > most ? events : most;
    }
    assert_true(most >= 3);
    buffer_deinit(&text);
    rs_run_free(run);
}

static void test_text_goes_on_behind_what_was_taken_when_the_ring_filled_up(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    char text[2 * RING_BYTES];
    struct buffer found = BUFFER_INIT, all = BUFFER_INIT;
    size_t done = 0, taken, events;
    int rounds = 0, rc;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    do {
        rc = rs_text(run, "m-1", text + done, sizeof(text) - done, &taken);
        assert_true(rc == RS_OK || rc == RS_E_FULL);
        assert_true(taken > 0);
        done += taken;
        read_text(&found, node, &events);
        buffer_append_span(&all, buffer_span(&found));
        rounds++;
    } while (rc == RS_E_FULL && rounds < 100);
    assert_true(rounds > 1);
    assert_int_equal(all.len, sizeof(text));
    assert_memory_equal(all.data, text, sizeof(text));
    buffer_deinit(&found);
    buffer_deinit(&all);
    rs_run_free(run);
}

static void test_text_without_id_goes_to_the_current_message(void **state)
{
    struct node *node = *state;
    rs_run *run = run_started(node->emitter, "ann");
    struct event event;
    node_read(node, "ann");
    assert_int_equal(say(run, "m-1", "a"), RS_OK);
    assert_int_equal(say(run, NULL, "b"), RS_OK);
    assert_int_equal(rs_text_final(run, NULL), RS_OK);
    assert_string_equal(node_read(node, "ann"),
        "partial_result message=m-1 {\"delta\":\"a\"}\n"
        "partial_result message=m-1 {\"delta\":\"b\"}\n"
        "partial_result message=m-1 final {\"delta\":\"\",\"final\":true}\n");
    assert_int_equal(say(run, NULL, "c"), RS_OK);
    assert_true(node_next(&event, node, "ann"));
    assert_true(event.message_id.len > 2 && !span_is(event.message_id, "m-1"));
    rs_run_free(run);
}

#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, node_up, node_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_text_is_escaped),
        NODE_TEST(test_text_may_contain_nul),
        NODE_TEST(test_half_characters_are_refused),
        NODE_TEST(test_empty_text_is_no_event),
        NODE_TEST(test_text_just_fits_or_becomes_two),
        NODE_TEST(test_any_text_is_cut_between_characters),
        NODE_TEST(test_text_goes_on_behind_what_was_taken_when_the_ring_filled_up),
        NODE_TEST(test_text_without_id_goes_to_the_current_message),
    };
    return cmocka_run_group_tests_name("emitter-text", tests, NULL, NULL);
}
