/* SPDX-License-Identifier: Apache-2.0 */
/* A run by itself: its states, what it has open, and the record it is kept as. */
#include "broker-test.h"
#include "chance.h"

#include "base/cleanup.h"

#include <errno.h>

/* ---- states */

/*
 * From each state (a row) to each (a column), both in the order of states.def: '+' as the page
 * on lifecycles draws it; 'b' what states.def adds, since a run may be given to another worker,
 * end while it waits, or be stopped by its agent before it was asked to.
 */
static const char *const transitions[RUN_STATE_COUNT] = {
    [RUN_ACCEPTED] = ".+.......+",
    [RUN_QUEUED] = "..+..+...+",
    [RUN_STARTING] = ".b.+.+.b+.",
    [RUN_RUNNING] = "....+++b+.",
    [RUN_WAITING] = "...+.+bb+.",
    [RUN_CANCELLING] = "......b++.",
    [RUN_COMPLETED] = "..........",
    [RUN_CANCELLED] = "..........",
    [RUN_FAILED] = "..........",
    [RUN_REJECTED] = "..........",
};

static void test_states_follow_each_other_as_drawn(void **state)
{
    (void)state;
    for (enum run_state from = 0; from < RUN_STATE_COUNT; from++) {
        for (enum run_state to = 0; to < RUN_STATE_COUNT; to++) {
            bool drawn = transitions[from][to] != '.';
            if (run_state_follows(from, to) != drawn)
                fail_msg("%s -> %s", run_state_name(from), run_state_name(to));
        }
    }
}

static void test_final_states_lead_nowhere_and_others_somewhere(void **state)
{
    (void)state;
    for (enum run_state from = 0; from < RUN_STATE_COUNT; from++) {
        bool leads = false;
        for (enum run_state to = 0; to < RUN_STATE_COUNT; to++)
            leads |= run_state_follows(from, to);
        assert_int_equal(run_state_final(from), !leads);
    }
}

/* ---- open items */

static void tool_step(struct run *run, enum event_type type, const char *id, uint64_t now_ms)
{
    const struct event event = {
        .type = type, .tool_call_id = span_of_string(id), .timestamp = now_ms};
    assert_int_equal(lifecycle_apply(run, &event), 0);
}

static void test_open_items_are_found_by_their_whole_identifier(void **state)
{
    (void)state;
    struct run *run = run_new(NULL, SPAN_LITERAL("r-1"), RUN_RUNNING);
    tool_step(run, EVENT_TOOL_EXECUTING, "c-1", 5);
    tool_step(run, EVENT_TOOL_EXECUTING, "c-12", 6);
    assert_null(run_find_open(run, GRAMMAR_TOOL, SPAN_LITERAL("c-")));
    assert_null(run_find_open(run, GRAMMAR_TEXT, SPAN_LITERAL("c-1")));
    assert_int_equal(run_find_open(run, GRAMMAR_TOOL, SPAN_LITERAL("c-1"))->since_ms, 5);
    tool_step(run, EVENT_TOOL_COMPLETED, "c-1", 7);
    assert_null(run_find_open(run, GRAMMAR_TOOL, SPAN_LITERAL("c-1")));
    assert_non_null(run_find_open(run, GRAMMAR_TOOL, SPAN_LITERAL("c-12")));
    run_free(run); /* with what is still open */
}

static void test_text_longer_than_a_field_is_cut_and_ended(void **state)
{
    (void)state;
    char long_text[300];
    char field[IDENTIFIER_SIZE];
    memset(long_text, 'x', sizeof(long_text));
    memset(field, '?', sizeof(field));
    run_set_text(field, span_of(long_text, sizeof(long_text)));
    assert_int_equal(strlen(field), IDENTIFIER_MAX);
    run_set_text(field, SPAN_EMPTY);
    assert_string_equal(field, "");
}

static void test_age_is_acceptance_then_the_number_in_the_stream(void **state)
{
    (void)state;
    struct run *a = run_new(NULL, SPAN_LITERAL("r-b"), RUN_QUEUED);
    struct run *b = run_new(NULL, SPAN_LITERAL("r-a"), RUN_QUEUED);
    a->accepted_ms = b->accepted_ms = 10;
    assert_true(run_compare_age(a, b) > 0);
    a->first_seq = 3;
    b->first_seq = 5;
    assert_true(run_compare_age(a, b) < 0);
    b->accepted_ms = 9;
    assert_true(run_compare_age(a, b) > 0);
    assert_int_equal(run_compare_age(a, a), 0);
    run_free(a);
    run_free(b);
}

/* ---- the record */

static struct run *full_run(struct user *user)
{
    struct run *run = run_new(user, SPAN_LITERAL("r-1"), RUN_WAITING);
    assert_non_null(run);
    run_set_text(run->thread_id, SPAN_LITERAL("t-1"));
    run_set_text(run->request_id, SPAN_LITERAL("q-1"));
    run_set_text(run->message_id, SPAN_LITERAL("m-1"));
    run_set_text(run->agent, SPAN_LITERAL("librarian"));
    buffer_append_string(&run->content, "{\"a\":[1,2]}");
    run->grammar.state = GRAMMAR_RUNNING;
    run->dispatched = true;
    run->cancel_on_disconnect = true;
    run->placed = true;
    run->process = UINT32_MAX;
    run->incarnation = UINT64_MAX;
    run->arena_id = UINT64_MAX - 1;
    run->accepted_ms = 1795000000123;
    run->deadline_ms = 1795000009999;
    run->first_seq = 42;
    run->end_by_ms = 77;
    run_set_text(run->retry_of, SPAN_LITERAL("r-0"));
    return run;
}

static void assert_same_run(const struct run *a, const struct run *b)
{
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->thread_id, b->thread_id);
    assert_string_equal(a->request_id, b->request_id);
    assert_string_equal(a->message_id, b->message_id);
    assert_string_equal(a->agent, b->agent);
    assert_ptr_equal(a->user, b->user);
    assert_true(span_equal(buffer_span(&a->content), buffer_span(&b->content)));
    assert_int_equal(a->state, b->state);
    assert_int_equal(run_started(a), run_started(b));
    assert_int_equal(a->dispatched, b->dispatched);
    assert_int_equal(a->cancel_on_disconnect, b->cancel_on_disconnect);
    assert_int_equal(a->placed, b->placed);
    assert_int_equal(a->process, b->process);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->arena_id, b->arena_id);
    assert_int_equal(a->accepted_ms, b->accepted_ms);
    assert_int_equal(a->deadline_ms, b->deadline_ms);
    assert_int_equal(a->first_seq, b->first_seq);
    assert_int_equal(a->end_by_ms != 0, b->end_by_ms != 0);
    assert_string_equal(a->retry_of, b->retry_of);
}

static void assert_survives_its_record(struct run *run)
{
    _cleanup_(buffer_deinit) struct buffer record = BUFFER_INIT;
    struct span user_id;
    enum run_state state;
    struct run *copy;
    run_encode(&record, run);
    assert_int_equal(buffer_error(&record), 0);
    assert_int_equal(run_peek(buffer_span(&record), &user_id, &state), 0);
    assert_true(span_is(user_id, run->user->id));
    assert_int_equal(state, run->state);
    assert_int_equal(run_peek_thread(buffer_span(&record), &user_id), 0);
    assert_true(span_is(user_id, run->thread_id));
    assert_int_equal(
        run_decode(&copy, run->user, span_of_string(run->id), buffer_span(&record)), 0);
    assert_same_run(run, copy);
    run_free(copy);
}

static void test_run_is_read_back_from_its_record_as_it_was(void **state)
{
    (void)state;
    struct user user = {.id = "ann"};
    list_init(&user.runs);
    struct run *run = full_run(&user);
    assert_survives_its_record(run);
    run_free(run);
    run = run_new(&user, SPAN_LITERAL("r-2"), RUN_ACCEPTED);
    assert_survives_its_record(run);
    run_free(run);
}

static void try_record(struct user *user, struct span record)
{
    struct span user_id;
    enum run_state state = RUN_STATE_COUNT;
    struct run *run = NULL;
    int peeked = run_peek(record, &user_id, &state);
    int rc = run_decode(&run, user, SPAN_LITERAL("r-1"), record);
    (void)run_peek_thread(record, &user_id);
    assert_true(peeked == 0 ? state < RUN_STATE_COUNT : peeked == -EBADMSG);
    assert_true(rc == 0 || rc == -EBADMSG);
    assert_true(peeked == 0 || rc != 0);
    assert_int_equal(run != NULL, rc == 0);
    if (run)
        assert_in_range(strlen(run->thread_id), 0, IDENTIFIER_MAX);
    run_free(run);
}

/* In memory of just that size, so that a byte read beyond it is seen. */
static void try_copy(struct user *user, const char *bytes, size_t len)
{
    _cleanup_free_ char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    try_record(user, span_of(copy, len));
}

static void test_damaged_record_is_refused_or_read_but_never_harms(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    struct user user = {.id = "ann"};
    list_init(&user.runs);
    struct run *run = full_run(&user);
    _cleanup_(buffer_deinit) struct buffer record = BUFFER_INIT;
    run_encode(&record, run);
    char bytes[1024];
    assert_in_range(record.len, 1, sizeof(bytes) - 16);
    for (size_t len = 0; len < record.len; len++)
        try_copy(&user, record.data, len);
    for (int i = 0; i < 20000; i++) {
        memcpy(bytes, record.data, record.len);
        size_t len =
            chance_mutate(&chance, bytes, record.len, sizeof(bytes), "\xdc\xd9\xc4\xcf\xff\x7f");
        try_copy(&user, bytes, len);
    }
    run_free(run);
}

static void test_record_of_another_version_or_shape_is_refused(void **state)
{
    (void)state;
    struct user user = {.id = "ann"};
    list_init(&user.runs);
    struct run *run = full_run(&user);
    _cleanup_(buffer_deinit) struct buffer record = BUFFER_INIT;
    run_encode(&record, run);
    struct run *copy;
    /* array 16 marker, its length, then the version */
    assert_int_equal((unsigned char)record.data[0], 0xdc);
    record.data[3]++;
    assert_int_equal(run_decode(&copy, &user, SPAN_LITERAL("r-1"), buffer_span(&record)), -EBADMSG);
    record.data[3]--;
    record.data[2]++;
    assert_int_equal(run_decode(&copy, &user, SPAN_LITERAL("r-1"), buffer_span(&record)), -EBADMSG);
    run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_follow_each_other_as_drawn),
        cmocka_unit_test(test_final_states_lead_nowhere_and_others_somewhere),
        cmocka_unit_test(test_open_items_are_found_by_their_whole_identifier),
        cmocka_unit_test(test_text_longer_than_a_field_is_cut_and_ended),
        cmocka_unit_test(test_age_is_acceptance_then_the_number_in_the_stream),
        cmocka_unit_test(test_run_is_read_back_from_its_record_as_it_was),
        cmocka_unit_test(test_damaged_record_is_refused_or_read_but_never_harms),
        cmocka_unit_test(test_record_of_another_version_or_shape_is_refused),
    };
    return cmocka_run_group_tests_name("broker-run", tests, NULL, NULL);
}
