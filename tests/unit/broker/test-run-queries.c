/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is told about its runs. */
#include "broker-test.h"

#include "peers/run_queries.h"

#include <jansson.h>
#include <stdio.h>

struct query {
    const char *code;
    const char *message;
    json_t *result; /* NULL when refused */
};

static void query_free(struct query *query)
{
    json_decref(query->result);
}

static struct query finish(const char *code, const char *message, struct buffer *out)
{
    struct query query = {.code = code, .message = message};
    if (!code)
        query.result = json_loadb(out->data, out->len, 0, NULL);
    assert_int_equal(query.result == NULL, code != NULL);
    buffer_deinit(out);
    return query;
}

static struct query list(struct fixture *f, struct wire_runs_list request)
{
    struct buffer out = BUFFER_INIT;
    const char *message = NULL;
    request.limit = request.limit ? request.limit : RUN_QUERY_ROWS;
    const char *code = run_query_list(&f->gateways, &request, &out, &message);
    return finish(code, message, &out);
}

static struct query get(struct fixture *f, const char *user, const char *run_id)
{
    struct buffer out = BUFFER_INIT;
    const char *message = NULL;
    const struct wire_run_get request = {
        .user = span_of_string(user), .run_id = span_of_string(run_id)};
    const char *code = run_query_get(&f->gateways, &request, &out, &message);
    return finish(code, message, &out);
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* Appends "message:state " of each row; returns whether there is another page. */
static bool describe(struct buffer *words, const struct query *query, char next[256])
{
    size_t i;
    json_t *row;
    assert_null(query->code);
    json_array_foreach(json_object_get(query->result, "runs"), i, row)
    {
        buffer_printf(words, "%s:%s ", member(row, "message_id"), member(row, "state"));
    }
    snprintf(next, 256, "%s", member(query->result, "next"));
    return next[0] != '\0';
}

/* All pages of a list, one behind the other. */
static void assert_lists(struct fixture *f, struct wire_runs_list request, const char *expected)
{
    struct buffer words = BUFFER_INIT;
    char next[256] = "";
    bool more;
    do {
        char after[256];
        snprintf(after, sizeof(after), "%s", next);
        request.after = span_of_string(after);
        struct query query = list(f, request);
        more = describe(&words, &query, next);
        query_free(&query);
    } while (more);
    buffer_append_char(&words, '\0');
    assert_string_equal(words.data, expected);
    buffer_deinit(&words);
}

/* Three runs: one that runs, one that waits, one that was cancelled while it waited. */
static void three_runs(struct fixture *f, char ret_ids[3][IDENTIFIER_SIZE])
{
    static const char *const threads[] = {"t-1", "t-1", "t-2"};
    static const char *const messages[] = {"m-a", "m-b", "m-c"};
    fixture_worker(f, AGENT_PROCESS, 1, "librarian");
    for (int i = 0; i < 3; i++) {
        struct answer answer = chat(f, "ann", threads[i], messages[i]);
        assert_null(answer.code);
        memcpy(ret_ids[i], answer.run_id, IDENTIFIER_SIZE);
        fixture_turn(f);
    }
    assert_null(cancel_run(f, "ann", ret_ids[2]).code);
    fixture_turn(f);
}

static void test_record_of_a_run_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    char ids[3][IDENTIFIER_SIZE];
    three_runs(f, ids);
    struct query query = get(f, "ann", ids[0]);
    assert_null(query.code);
    assert_string_equal(member(query.result, "run_id"), ids[0]);
    assert_string_equal(member(query.result, "thread_id"), "t-1");
    assert_string_equal(member(query.result, "agent"), "librarian");
    assert_string_equal(member(query.result, "state"), "starting");
    assert_string_equal(member(query.result, "message_id"), "m-a");
    assert_true(json_is_false(json_object_get(query.result, "ended")));
    assert_int_equal(json_integer_value(json_object_get(query.result, "first_seq")), 1);
    assert_true(json_integer_value(json_object_get(query.result, "accepted_at")) > 0);
    query_free(&query);
}

static void test_ended_run_is_told_from_its_record(void **state)
{
    struct fixture *f = *state;
    char ids[3][IDENTIFIER_SIZE];
    three_runs(f, ids);
    struct query query = get(f, "ann", ids[2]);
    assert_null(query.code);
    assert_string_equal(member(query.result, "state"), "cancelled");
    assert_true(json_is_true(json_object_get(query.result, "ended")));
    assert_string_equal(member(query.result, "message_id"), "m-c");
    query_free(&query);
}

static void test_runs_of_others_and_of_nobody_are_not_found(void **state)
{
    struct fixture *f = *state;
    char ids[3][IDENTIFIER_SIZE];
    three_runs(f, ids);
    assert_string_equal(get(f, "bob", ids[0]).code, "run_not_found");
    assert_string_equal(get(f, "bob", ids[2]).code, "run_not_found");
    assert_string_equal(get(f, "ann", "r-none").code, "run_not_found");
    assert_lists(f, (struct wire_runs_list){.user = SPAN_LITERAL("bob")}, "");
    assert_lists(f, (struct wire_runs_list){.user = SPAN_LITERAL("an")}, "");
}

static void test_list_has_the_open_runs_and_then_those_that_ended(void **state)
{
    struct fixture *f = *state;
    char ids[3][IDENTIFIER_SIZE];
    const char *all = "m-a:starting m-b:queued m-c:cancelled ";
    three_runs(f, ids);
    assert_lists(f, (struct wire_runs_list){.user = SPAN_LITERAL("ann")}, all);
    for (uint64_t limit = 1; limit <= 3; limit++)
        assert_lists(f, (struct wire_runs_list){.user = SPAN_LITERAL("ann"), .limit = limit}, all);
}

static void test_list_is_filtered_by_thread_and_state(void **state)
{
    struct fixture *f = *state;
    char ids[3][IDENTIFIER_SIZE];
    struct span ann = SPAN_LITERAL("ann");
    three_runs(f, ids);
    assert_lists(f, (struct wire_runs_list){.user = ann, .thread_id = SPAN_LITERAL("t-1")},
        "m-a:starting m-b:queued ");
    assert_lists(f, (struct wire_runs_list){.user = ann, .thread_id = SPAN_LITERAL("t-2")},
        "m-c:cancelled ");
    assert_lists(
        f, (struct wire_runs_list){.user = ann, .state = SPAN_LITERAL("queued")}, "m-b:queued ");
    assert_lists(f, (struct wire_runs_list){.user = ann, .state = SPAN_LITERAL("cancelled")},
        "m-c:cancelled ");
    assert_lists(f, (struct wire_runs_list){.user = ann, .state = SPAN_LITERAL("failed")}, "");
}

static void test_page_ends_where_enough_was_looked_at(void **state)
{
    struct fixture *f = *state;
    char message[32];
    char next[256];
    struct buffer words = BUFFER_INIT;
    f->config.broker_max_queued_per_user = 2000;
    f->config.broker_max_queued = 2000;
    fixture_worker(f, AGENT_PROCESS, 0, "librarian");
    for (int i = 0; i <= RUN_QUERY_LOOKS; i++) {
        snprintf(message, sizeof(message), "m-%d", i);
        assert_null(chat(f, "ann", "t-1", message).code);
    }
    fixture_turn(f);
    struct wire_runs_list request = {.user = SPAN_LITERAL("ann"), .thread_id = SPAN_LITERAL("t-2")};
    struct query query = list(f, request);
    assert_true(describe(&words, &query, next)); /* nothing found, and not at the end */
    assert_int_equal(words.len, 0);
    query_free(&query);
    assert_lists(f, request, "");
    request = (struct wire_runs_list){.user = SPAN_LITERAL("ann")};
    query = list(f, request);
    assert_int_equal(json_array_size(json_object_get(query.result, "runs")), RUN_QUERY_ROWS);
    query_free(&query);
    buffer_deinit(&words);
}

static void test_what_is_no_state_and_no_page_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const pages[] = {"x", "o", "o-1", "o12x", "p9", "o99999999999999999999"};
    struct query query = list(
        f, (struct wire_runs_list){.user = SPAN_LITERAL("ann"), .state = SPAN_LITERAL("resting")});
    assert_string_equal(query.code, "invalid_argument");
    assert_non_null(strstr(query.message, "state"));
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        query = list(f, (struct wire_runs_list){
                            .user = SPAN_LITERAL("ann"), .after = span_of_string(pages[i])});
        assert_string_equal(query.code, "invalid_argument");
        assert_non_null(strstr(query.message, "after"));
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_record_of_a_run_says_what_it_is),
        CASE(test_ended_run_is_told_from_its_record),
        CASE(test_runs_of_others_and_of_nobody_are_not_found),
        CASE(test_list_has_the_open_runs_and_then_those_that_ended),
        CASE(test_list_is_filtered_by_thread_and_state),
        CASE(test_page_ends_where_enough_was_looked_at),
        CASE(test_what_is_no_state_and_no_page_is_refused),
    };
    return cmocka_run_group_tests_name("broker-run-queries", tests, NULL, NULL);
}
