/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "history/messages.h"

#include <errno.h>
#include <stdio.h>

static void assert_run(struct fixture *fixture, const char *run, const char *record)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    int rc = history_find_run(fixture->history, span_of_string(run), &out);
    assert_int_equal(rc, record ? 0 : -ENOENT);
    assert_true(span_is(buffer_span(&out), record ? record : ""));
}

static void assert_message(
    struct fixture *fixture, const char *user, const char *message, const char *run)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    int rc =
        history_find_message(fixture->history, span_of_string(user), span_of_string(message), &out);
    assert_int_equal(rc, run ? 0 : -ENOENT);
    assert_true(span_is(buffer_span(&out), run ? run : ""));
}

static void stage_run(struct fixture *fixture, const char *run, bool open, const char *record)
{
    assert_return_code(
        history_stage_run(fixture->history, span_of_string(run), open, span_of_string(record)), 0);
}

static int list(void *context, struct span run_id, struct span record)
{
    buffer_printf(context, "%.*s=%.*s ", SPAN_ARG(run_id), SPAN_ARG(record));
    return 0;
}

static void assert_open_runs(struct fixture *fixture, const char *expected)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    assert_return_code(history_each_open_run(fixture->history, list, &out), 0);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, expected);
}

static void test_a_run_is_found_staged_committed_and_reopened(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_run(fixture, "r-1", NULL);
    stage_run(fixture, "r-1", true, "running");
    assert_run(fixture, "r-1", "running");
    assert_return_code(history_commit(fixture->history), 0);
    assert_run(fixture, "r-1", "running");
    stage_run(fixture, "r-1", false, "done");
    assert_run(fixture, "r-1", "done");
    assert_return_code(history_commit(fixture->history), 0);
    fixture_reopen(fixture);
    assert_run(fixture, "r-1", "done");
}

static void test_what_was_only_staged_is_gone_after_reopening(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    stage_run(fixture, "r-1", true, "running");
    assert_return_code(history_stage_message(fixture->history, SPAN_LITERAL("ann"),
                           SPAN_LITERAL("m-1"), SPAN_LITERAL("r-1")),
        0);
    fixture_reopen(fixture);
    assert_run(fixture, "r-1", NULL);
    assert_message(fixture, "ann", "m-1", NULL);
}

static void test_open_runs_are_told_in_order_without_the_closed(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    stage_run(fixture, "r-3", true, "c");
    stage_run(fixture, "r-1", true, "a");
    stage_run(fixture, "r-2", false, "b");
    stage_run(fixture, "r-10", true, "d");
    assert_return_code(history_commit(fixture->history), 0);
    assert_open_runs(fixture, "r-1=a r-10=d r-3=c ");
    stage_run(fixture, "r-1", false, "a");
    stage_run(fixture, "r-0", true, "z");
    stage_run(fixture, "r-3", true, "newer");
    assert_open_runs(fixture, "r-0=z r-10=d r-3=newer ");
    assert_return_code(history_commit(fixture->history), 0);
    fixture_reopen(fixture);
    assert_open_runs(fixture, "r-0=z r-10=d r-3=newer ");
}

static int close_run(void *context, struct span run_id, struct span record)
{
    return history_stage_run(context, run_id, false, record);
}

static int stop(void *context, struct span run_id, struct span record)
{
    (void)run_id;
    (void)record;
    ++*(int *)context;
    return 7;
}

static void test_runs_can_be_closed_while_they_are_told(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    stage_run(fixture, "r-1", true, "a");
    stage_run(fixture, "r-2", true, "b");
    assert_return_code(history_commit(fixture->history), 0);
    int calls = 0;
    assert_int_equal(history_each_open_run(fixture->history, stop, &calls), 7);
    assert_int_equal(calls, 1);
    assert_return_code(history_each_open_run(fixture->history, close_run, fixture->history), 0);
    assert_open_runs(fixture, "");
}

static void test_a_message_is_one_users_own(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_return_code(history_stage_message(fixture->history, SPAN_LITERAL("ann"),
                           SPAN_LITERAL("m-1"), SPAN_LITERAL("r-1")),
        0);
    assert_message(fixture, "ann", "m-1", "r-1");
    assert_message(fixture, "an", "nm-1", NULL);
    assert_return_code(history_commit(fixture->history), 0);
    fixture_reopen(fixture);
    assert_message(fixture, "ann", "m-1", "r-1");
    assert_message(fixture, "bob", "m-1", NULL);
    assert_message(fixture, "ann", "m-2", NULL);
}

static void stage_message(
    struct fixture *fixture, const char *user, const char *message, const char *run)
{
    assert_return_code(history_stage_message(fixture->history, span_of_string(user),
                           span_of_string(message), span_of_string(run)),
        0);
}

/* Goes through them a list at a time. */
static void assert_messages(struct fixture *fixture, const char *user, const char *expected)
{
    struct message_list list;
    char after[IDENTIFIER_MAX + 1] = "";
    _cleanup_(buffer_deinit) struct buffer seen = BUFFER_INIT;
    do {
        assert_return_code(history_list_messages(fixture->history, span_of_string(user),
                               span_of_string(after), &list),
            0);
        for (size_t i = 0; i < list.count; i++) {
            const struct found_message *found = &list.messages[i];
            snprintf(after, sizeof(after), "%.*s", (int)found->message_len, found->message_id);
            buffer_printf(&seen, "%s=%.*s ", after, (int)found->run_len, found->run_id);
        }
    } while (list.count);
    buffer_append_char(&seen, '\0');
    assert_string_equal(seen.data, expected);
}

static void test_messages_of_a_user_are_gone_through_in_order(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    stage_message(fixture, "an", "m-0", "r-0");
    stage_message(fixture, "ann", "m-2", "r-2");
    stage_message(fixture, "ann", "m-1", "r-1");
    stage_message(fixture, "ann", "m-12", "r-3");
    stage_message(fixture, "anna", "m-9", "r-9");
    assert_messages(fixture, "ann", "m-1=r-1 m-12=r-3 m-2=r-2 ");
    assert_return_code(history_commit(fixture->history), 0);
    fixture_reopen(fixture); /* from here on in the store */
    assert_messages(fixture, "ann", "m-1=r-1 m-12=r-3 m-2=r-2 ");
    stage_message(fixture, "ann", "m-0", "r-4"); /* and these in memory */
    stage_message(fixture, "ann", "m-12", "r-5");
    stage_message(fixture, "ann", "m-3", "r-6");
    stage_message(fixture, "anna", "m-13", "r-7");
    assert_messages(fixture, "ann", "m-0=r-4 m-1=r-1 m-12=r-5 m-2=r-2 m-3=r-6 ");
    assert_messages(fixture, "bob", "");
}

static void test_more_messages_than_a_list_holds_are_each_there_once(void **state)
{
    struct fixture *fixture = *state;
    char id[16];
    _cleanup_(buffer_deinit) struct buffer expected = BUFFER_INIT;
    fixture_open(fixture);
    for (unsigned i = 0; i < 3 * MESSAGES_MAX; i++) {
        snprintf(id, sizeof(id), "m-%03u", i * 37 % (3 * MESSAGES_MAX)); /* in no order */
        stage_message(fixture, "ann", id, "r");
        if (i == 2 * MESSAGES_MAX) {
            assert_return_code(history_commit(fixture->history), 0);
            fixture_reopen(fixture);
        }
    }
    for (unsigned i = 0; i < 3 * MESSAGES_MAX; i++)
        buffer_printf(&expected, "m-%03u=r ", i);
    buffer_append_char(&expected, '\0');
    assert_messages(fixture, "ann", expected.data);
}

static void test_identifiers_out_of_bounds_are_refused_and_not_found(void **state)
{
    struct fixture *fixture = *state;
    char name[IDENTIFIER_MAX + 1];
    memset(name, 'r', sizeof(name));
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    struct span too_long = span_of(name, sizeof(name));
    struct span run = SPAN_LITERAL("r-1");
    fixture_open(fixture);
    assert_int_equal(history_stage_run(fixture->history, too_long, true, run), -EINVAL);
    assert_int_equal(history_stage_run(fixture->history, SPAN_EMPTY, true, run), -EINVAL);
    assert_int_equal(history_stage_message(fixture->history, too_long, run, run), -EINVAL);
    assert_int_equal(history_stage_message(fixture->history, run, too_long, run), -EINVAL);
    assert_int_equal(history_find_run(fixture->history, too_long, &out), -ENOENT);
    assert_int_equal(history_find_message(fixture->history, run, too_long, &out), -ENOENT);
}

/* ---- positions */

static void stage_position(struct fixture *fixture, const struct history_position *position)
{
    assert_return_code(history_stage_position(fixture->history, position), 0);
}

static void assert_position(
    struct fixture *fixture, const struct history_position *asked, uint64_t expected)
{
    struct history_position position = *asked;
    position.position = 0;
    int rc = history_find_position(fixture->history, &position);
    assert_int_equal(rc, expected ? 0 : -ENOENT);
    assert_int_equal(position.position, expected);
}

static void test_the_newest_position_of_a_ring_counts(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (uint64_t i = 1; i <= 10; i++) {
        stage_position(fixture, &(struct history_position){77, 1, 1, i * 100});
        stage_position(fixture, &(struct history_position){77, 2, 1, i * 10});
        stage_position(fixture, &(struct history_position){77, 1, 1, i * 100 + 1});
        assert_position(fixture, &(struct history_position){77, 1, 1, 0}, i * 100 + 1);
        assert_return_code(history_commit(fixture->history), 0);
    }
    stage_position(fixture, &(struct history_position){77, 2, 1, 999});
    fixture_reopen(fixture);
    assert_position(fixture, &(struct history_position){77, 1, 1, 0}, 1001);
    assert_position(fixture, &(struct history_position){77, 2, 1, 0}, 100);
    assert_position(fixture, &(struct history_position){77, 3, 1, 0}, 0);
    assert_position(fixture, &(struct history_position){77, 1, 2, 0}, 0);
    assert_position(fixture, &(struct history_position){78, 1, 1, 0}, 0);
}

static void test_a_rings_new_generation_retires_the_old(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    stage_position(fixture, &(struct history_position){77, 1, 1, 500});
    assert_return_code(history_commit(fixture->history), 0);
    stage_position(fixture, &(struct history_position){77, 1, 2, 3});
    assert_return_code(history_commit(fixture->history), 0);
    fixture_reopen(fixture);
    assert_position(fixture, &(struct history_position){77, 1, 1, 0}, 0);
    assert_position(fixture, &(struct history_position){77, 1, 2, 0}, 3);
}

static void test_a_new_arena_retires_the_old(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    stage_position(fixture, &(struct history_position){77, 1, 1, 500});
    stage_position(fixture, &(struct history_position){77, 2, 1, 500});
    assert_return_code(history_commit(fixture->history), 0);
    stage_position(fixture, &(struct history_position){77, 2, 1, 600});
    stage_position(fixture, &(struct history_position){78, 1, 1, 5});
    assert_return_code(history_commit(fixture->history), 0);
    for (int i = 0; i < 2; i++) {
        assert_position(fixture, &(struct history_position){78, 1, 1, 0}, 5);
        assert_position(fixture, &(struct history_position){78, 2, 1, 0}, 0);
        assert_position(fixture, &(struct history_position){77, 1, 1, 0}, 0);
        fixture_reopen(fixture);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_run_is_found_staged_committed_and_reopened),
        CASE(test_what_was_only_staged_is_gone_after_reopening),
        CASE(test_open_runs_are_told_in_order_without_the_closed),
        CASE(test_runs_can_be_closed_while_they_are_told),
        CASE(test_a_message_is_one_users_own),
        CASE(test_messages_of_a_user_are_gone_through_in_order),
        CASE(test_more_messages_than_a_list_holds_are_each_there_once),
        CASE(test_identifiers_out_of_bounds_are_refused_and_not_found),
        CASE(test_the_newest_position_of_a_ring_counts),
        CASE(test_a_rings_new_generation_retires_the_old),
        CASE(test_a_new_arena_retires_the_old),
    };
    return cmocka_run_group_tests_name("history-records", tests, NULL, NULL);
}
