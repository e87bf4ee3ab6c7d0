/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event.h"
#include "unit.h"

static void test_event_types_have_names_that_are_parsed_back(void **state)
{
    (void)state;
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        const char *name = event_type_name((enum event_type)type);
        assert_string_not_equal(name, "unknown");
        assert_int_equal(event_type_parse(span_of_string(name)), type);
    }
}

static void test_event_type_of_an_unknown_name_is_none(void **state)
{
    (void)state;
    assert_int_equal(event_type_parse(SPAN_LITERAL("unknown")), EVENT_NONE);
    assert_int_equal(event_type_parse(SPAN_LITERAL("agent_start")), EVENT_NONE);
    assert_int_equal(event_type_parse(SPAN_EMPTY), EVENT_NONE);
    assert_string_equal(event_type_name((enum event_type)200), "unknown");
    assert_string_equal(event_type_name(EVENT_NONE), "unknown");
}

/* The numbers lie in histories on disk: a type keeps its own for ever. */
static void test_event_types_keep_their_numbers(void **state)
{
    (void)state;
    assert_int_equal(EVENT_RUN_QUEUED, 1);
    assert_int_equal(EVENT_AGENT_STARTED, 3);
    assert_int_equal(EVENT_TOOL_COMPLETED, 6);
    assert_int_equal(EVENT_AGENT_COMPLETED, 8);
    assert_int_equal(EVENT_INTERRUPT_RESOLVED, 11);
}

static void test_event_classes_follow_the_contract(void **state)
{
    (void)state;
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        enum event_class expected = type == EVENT_PARTIAL_RESULT   ? EVENT_CLASS_TEXT
                                    : type == EVENT_AGENT_THINKING ? EVENT_CLASS_STATUS
                                                                   : EVENT_CLASS_EDGE;
        assert_int_equal(event_type_class((enum event_type)type), expected);
    }
}

static void test_event_is_terminal_when_it_ends_its_run(void **state)
{
    (void)state;
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        struct event event = {.type = (enum event_type)type};
        assert_int_equal(event_is_terminal(&event), type == EVENT_AGENT_COMPLETED);
        event.flags = EVENT_FLAG_FATAL;
        assert_int_equal(
            event_is_terminal(&event), type == EVENT_AGENT_COMPLETED || type == EVENT_ERROR_EVENT);
    }
}

static void test_event_user_tags_tell_users_apart(void **state)
{
    (void)state;
    assert_true(event_user_tag(SPAN_LITERAL("alice")) == event_user_tag(SPAN_LITERAL("alice")));
    assert_true(event_user_tag(SPAN_LITERAL("alice")) != event_user_tag(SPAN_LITERAL("alicf")));
    assert_true(event_user_tag(SPAN_LITERAL("a")) != event_user_tag(SPAN_LITERAL("aa")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_types_have_names_that_are_parsed_back),
        cmocka_unit_test(test_event_type_of_an_unknown_name_is_none),
        cmocka_unit_test(test_event_types_keep_their_numbers),
        cmocka_unit_test(test_event_classes_follow_the_contract),
        cmocka_unit_test(test_event_is_terminal_when_it_ends_its_run),
        cmocka_unit_test(test_event_user_tags_tell_users_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
