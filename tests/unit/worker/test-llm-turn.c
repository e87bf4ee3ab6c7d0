/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "llm/turn.h"

#include <errno.h>
#include <stdio.h>

#define DELTA(inside) "{\"choices\":[{\"index\":0,\"delta\":{" inside "}}]}"
#define USED                                                                                       \
    "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}"
#define CALLS(inside) DELTA("\"tool_calls\":[" inside "]")

/* Takes the pieces in, up to one that is refused. */
static int take(struct llm_turn *turn, const char *const *pieces, size_t count)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < count; i++) {
        struct llm_chunk chunk;
        const char *reason = NULL;
        rc = llm_chunk_parse(&chunk, span_of_string(pieces[i]), &reason);
        if (!rc)
            rc = llm_turn_add(turn, &chunk, &reason);
        if (rc == -EBADMSG)
            assert_non_null(reason);
    }
    return rc;
}

static void assert_text(const struct buffer *buffer, const char *text)
{
    if (!span_is(buffer_span(buffer), text))
        fail_msg("\"%.*s\" is not \"%s\"", SPAN_ARG(buffer_span(buffer)), text);
}

static void assert_call(
    const struct llm_call *call, const char *id, const char *name, const char *arguments)
{
    assert_text(&call->id, id);
    assert_text(&call->name, name);
    assert_text(&call->arguments, arguments);
}

static void test_text_thoughts_and_end_are_put_together(void **state)
{
    static const char *const pieces[] = {
        DELTA("\"role\":\"assistant\",\"content\":\"\""),
        DELTA("\"reasoning_content\":\"hm\""),
        DELTA("\"reasoning\":\"!\",\"content\":null"),
        DELTA("\"content\":\"a\\n\\u2603\""),
        "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"another's\"}}]}",
        DELTA("\"content\":\"b\""),
        "{\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":null}",
        USED,
    };
    struct llm_turn turn = {0};
    (void)state;
    assert_int_equal(take(&turn, pieces, 2), 0);
    assert_text(&turn.thoughts, "hm");
    assert_int_equal(take(&turn, pieces + 2, 1), 0);
    assert_text(&turn.thoughts, "!");
    assert_int_equal(take(&turn, pieces + 3, 1), 0);
    assert_text(&turn.news, "a\n\xe2\x98\x83");
    assert_int_equal(turn.finish, LLM_FINISH_NONE);
    assert_int_equal(take(&turn, pieces + 4, 4), 0);
    assert_text(&turn.text, "a\n\xe2\x98\x83"
                            "b");
    assert_int_equal(turn.finish, LLM_FINISH_LENGTH);
    assert_true(turn.has_usage && turn.usage.total == 7 && turn.usage.prompt == 3);
    llm_turn_reset(&turn);
    assert_true(!turn.text.len && !turn.has_usage && turn.finish == LLM_FINISH_NONE);
    llm_turn_deinit(&turn);
}

static void test_a_refusal_is_text_that_is_told_apart(void **state)
{
    static const char *const pieces[] = {DELTA("\"refusal\":\"\""), DELTA("\"refusal\":\"No.\"")};
    struct llm_turn turn = {0};
    (void)state;
    assert_int_equal(take(&turn, pieces, 1), 0);
    assert_false(turn.refused);
    assert_int_equal(take(&turn, pieces + 1, 1), 0);
    assert_true(turn.refused);
    assert_text(&turn.text, "No.");
    llm_turn_deinit(&turn);
}

static void test_fragments_of_calls_find_their_call(void **state)
{
    static const char *const pieces[] = {
        CALLS("{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"one\","
              "\"arguments\":\"\"}},"
              "{\"index\":2,\"id\":\"b\",\"function\":{\"name\":\"t\"}}"),
        CALLS("{\"index\":2,\"function\":{\"name\":\"wo\",\"arguments\":\"{\\\"x\"}}"),
        CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"one\",\"arguments\":\"{}\"}},"
              "{\"index\":2,\"function\":{\"arguments\":\"\\\":1}\"}}"),
        CALLS("{\"index\":5,\"id\":\"c\",\"function\":{\"name\":\"three\",\"arguments\":{\"y\": "
              "2}}}"),
    };
    struct llm_turn turn = {0};
    (void)state;
    assert_int_equal(take(&turn, pieces, 4), 0);
    assert_int_equal(turn.call_count, 3);
    assert_call(&turn.calls[0], "a", "one", "{}");
    assert_call(&turn.calls[1], "b", "two", "{\"x\":1}");
    assert_call(&turn.calls[2], "c", "three", "{\"y\": 2}");
    llm_turn_deinit(&turn);
}

static void test_calls_without_numbers_begin_with_their_id(void **state)
{
    static const char *const pieces[] = {
        CALLS("{\"id\":\"a\",\"function\":{\"name\":\"one\",\"arguments\":\"{\"}}"),
        CALLS("{\"function\":{\"arguments\":\"}\"}}"),
        CALLS("{\"id\":\"b\",\"function\":{\"name\":\"two\",\"arguments\":\"{}\"}}"),
    };
    struct llm_turn turn = {0};
    (void)state;
    assert_int_equal(take(&turn, pieces, 3), 0);
    assert_int_equal(turn.call_count, 2);
    assert_call(&turn.calls[0], "a", "one", "{}");
    assert_call(&turn.calls[1], "b", "two", "{}");
    llm_turn_deinit(&turn);
}

static void test_pieces_that_are_none_are_refused_with_a_reason(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "{",
        "[]",
        "7",
        "{}",
        "{\"choices\":7}",
        "{\"choices\":[7]}",
        "{\"object\":\"x\"}",
        "{\"choices\":[{\"delta\":7}]}",
        DELTA("\"content\":7"),
        DELTA("\"content\":\"\\ud83d\""),
        DELTA("\"content\":\"\\u0000\""),
        DELTA("\"refusal\":[]"),
        DELTA("\"tool_calls\":{}"),
        CALLS("7"),
        CALLS("{\"index\":0,\"id\":7}"),
        CALLS("{\"index\":0,\"function\":{\"name\":[]}}"),
        CALLS("{\"index\":0,\"function\":{\"arguments\":7}}"),
        "{\"choices\":[{\"finish_reason\":7}]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct llm_turn turn = {0};
        if (take(&turn, &bad[i], 1) != -EBADMSG)
            fail_msg("taken: %s", bad[i]);
        llm_turn_deinit(&turn);
    }
}

static void test_an_answer_has_a_largest_size_and_number_of_calls(void **state)
{
    struct llm_turn turn = {0};
    char call[128];
    const char *piece = call;
    (void)state;
    for (size_t i = 0; i < LLM_CALLS_MAX; i++) {
        snprintf(call, sizeof(call), CALLS("{\"index\":%zu,\"id\":\"x\"}"), i);
        assert_int_equal(take(&turn, &piece, 1), 0);
    }
    snprintf(call, sizeof(call), CALLS("{\"index\":%d,\"id\":\"x\"}"), LLM_CALLS_MAX);
    assert_int_equal(take(&turn, &piece, 1), -EBADMSG);
    llm_turn_reset(&turn);
    struct buffer text = BUFFER_INIT;
    buffer_append_string(&text, "{\"choices\":[{\"delta\":{\"content\":\"");
    memset(buffer_reserve(&text, LLM_ANSWER_MAX / 4), 'x', LLM_ANSWER_MAX / 4);
    text.len += LLM_ANSWER_MAX / 4;
    buffer_append_string(&text, "\"}}]}");
    buffer_append_char(&text, '\0');
    piece = text.data;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(take(&turn, &piece, 1), 0);
    assert_int_equal(take(&turn, &piece, 1), -EBADMSG);
    buffer_deinit(&text);
    llm_turn_deinit(&turn);
}

static void test_what_a_server_says_of_its_error_is_found(void **state)
{
    static const struct row {
        const char *body;
        const char *message;
        long status;
        bool no_quota;
    } rows[] = {
        {"{\"error\":{\"message\":\"no\",\"code\":\"insufficient_quota\"}}", "no", 0, true},
        {" {\"error\":{\"message\":\"no\",\"code\":429}} ", "no", 429, false},
        {"{\"error\":\"plain\"}", "plain", 0, false},
        {"{\"error\":{\"message\":7,\"code\":7}}", "", 0, false},
        {"<html>", "", 0, false},
        {"", "", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct llm_server_error error;
        llm_server_error_of_body(&error, span_of_string(rows[i].body));
        assert_text(&error.message, rows[i].message);
        assert_int_equal(error.status, rows[i].status);
        assert_int_equal(error.no_quota, rows[i].no_quota);
        buffer_deinit(&error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_thoughts_and_end_are_put_together),
        cmocka_unit_test(test_a_refusal_is_text_that_is_told_apart),
        cmocka_unit_test(test_fragments_of_calls_find_their_call),
        cmocka_unit_test(test_calls_without_numbers_begin_with_their_id),
        cmocka_unit_test(test_pieces_that_are_none_are_refused_with_a_reason),
        cmocka_unit_test(test_an_answer_has_a_largest_size_and_number_of_calls),
        cmocka_unit_test(test_what_a_server_says_of_its_error_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
