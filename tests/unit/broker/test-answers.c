/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to what runs ask: to the right worker, and back. Each test has a user of its own. */
#include "peer-test.h"
#include "process-test.h"

#include <stdio.h>

struct cast {
    struct fixture *f;
    struct child child;
    struct peer worker;
    struct peer gateway;
    const char *user;
    bool worker_left;
    char run_id[IDENTIFIER_SIZE];
    uint64_t asked;   /* requests; far from those of peer_expect_nothing */
    uint64_t refused; /* counted before */
    uint64_t passed_on;
};

static void emit(struct cast *cast, enum event_type type, const char *data)
{
    struct event event = event_of(type, cast->run_id);
    event.data = span_of_string(data);
    child_emit(&cast->child, cast->user, event);
    fixture_turn(cast->f);
}

static void request(struct cast *cast, const char *interrupt_id)
{
    char data[128];
    snprintf(data, sizeof(data), "{\"interrupt_id\":\"%s\",\"reason\":\"?\"}", interrupt_id);
    emit(cast, EVENT_INTERRUPT_REQUESTED, data);
}

static void resolve(struct cast *cast, const char *interrupt_id)
{
    char data[128];
    snprintf(data, sizeof(data), "{\"interrupt_id\":\"%s\",\"reason\":\"resolved\"}", interrupt_id);
    emit(cast, EVENT_INTERRUPT_RESOLVED, data);
}

static void give_run(struct cast *cast, const char *message)
{
    assert_null(chat(cast->f, cast->user, message, message).code);
    fixture_turn(cast->f);
    struct wire_assign assign = peer_expect(&cast->worker, WIRE_ASSIGN).assign;
    snprintf(cast->run_id, sizeof(cast->run_id), "%.*s", SPAN_ARG(assign.run_id));
    child_emit(&cast->child, cast->user, started(cast->run_id));
    fixture_turn(cast->f);
}

static bool has_room(const void *context)
{
    const struct worker *worker = context;
    return worker->slots == 4;
}

/* A worker with a run that asks "i-1", and a gateway. */
static void cast_up(struct cast *ret_cast, struct fixture *f, const char *user)
{
    *ret_cast = (struct cast){.f = f,
        .user = user,
        .asked = 1000,
        .refused = f->counters.answers_refused,
        .passed_on = f->counters.answers_passed_on};
    child_start(&ret_cast->child, f);
    peer_connect(&ret_cast->worker, f,
        &(struct peer_options){.role = "worker",
            .pid = ret_cast->child.pid,
            .process = ret_cast->child.index,
            .agents = "librarian"});
    const struct wire_message available = {.kind = WIRE_AVAILABLE, .available = {.slots = 4}};
    peer_send(&ret_cast->worker, &available);
    peer_wait(&ret_cast->worker, has_room, peer_link(&ret_cast->worker)->peer, "room");
    peer_connect_gateway(&ret_cast->gateway, f);
    give_run(ret_cast, "m-1");
    request(ret_cast, "i-1");
    assert_state(f, ret_cast->run_id, "waiting");
}

static void cast_down(struct cast *cast)
{
    peer_leave(&cast->gateway);
    if (!cast->worker_left)
        peer_leave(&cast->worker);
    child_stop(&cast->child);
    fixture_turn(cast->f);
    fixture_turn(cast->f);
    assert_int_equal(cast->f->pipeline.runs.count, 0);
    assert_int_equal(cast->f->dispatch.answers.count, 0);
}

static void respond_as(struct cast *cast, const char *user, const char *run_id, const char *id)
{
    const struct wire_message message = {.kind = WIRE_INTERRUPT_RESPOND,
        .interrupt_respond = {.request = ++cast->asked,
            .user = span_of_string(user),
            .run_id = span_of_string(run_id),
            .interrupt_id = span_of_string(id),
            .status = SPAN_LITERAL("resolved"),
            .payload = SPAN_LITERAL("{\"go\":true}")}};
    peer_send(&cast->gateway, &message);
    peer_expect_nothing(&cast->gateway);
}

static void respond(struct cast *cast, const char *id)
{
    respond_as(cast, cast->user, NULL, id);
}

static void expect_reply(struct cast *cast, const char *code, bool retryable)
{
    fixture_turn(cast->f);
    struct wire_reply reply = peer_expect(&cast->gateway, WIRE_REPLY).reply;
    assert_int_equal(reply.request, cast->asked);
    if (!span_is(reply.code, code))
        fail_msg("code %.*s, not %s: %.*s", SPAN_ARG(reply.code), code, SPAN_ARG(reply.message));
    assert_int_equal(reply.retryable, retryable);
    if (!code[0])
        assert_true(span_is(reply.result, "{\"ok\":true}"));
}

static void assert_refused_with(
    struct cast *cast, const char *run_id, const char *id, const char *code)
{
    respond_as(cast, cast->user, run_id, id);
    expect_reply(cast, code, false);
}

static uint64_t expect_resolve(struct cast *cast, const char *id)
{
    struct wire_resolve answer = peer_expect(&cast->worker, WIRE_RESOLVE).resolve;
    assert_true(span_is(answer.run_id, cast->run_id));
    assert_true(span_is(answer.interrupt_id, id));
    assert_true(span_is(answer.status, "resolved"));
    assert_true(span_is(answer.payload, "{\"go\":true}"));
    return answer.answer;
}

static bool is_settled(const void *context)
{
    const struct cast *cast = context;
    return cast->f->dispatch.answers.count == 0;
}

static void say_resolved(struct cast *cast, uint64_t answer, const char *code)
{
    const struct wire_message message = {.kind = WIRE_RESOLVED,
        .resolved = {.answer = answer, .code = span_of_string(code), .message = SPAN_LITERAL("x")}};
    peer_send(&cast->worker, &message);
    peer_wait(&cast->worker, is_settled, cast, "the answer's end");
}

/* ---- the way there and back */

static void test_answer_goes_to_the_worker_and_its_word_comes_back(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "wins");
    respond(&cast, "i-1");
    uint64_t answer = expect_resolve(&cast, "i-1");
    resolve(&cast, "i-1");
    assert_state(cast.f, cast.run_id, "running");
    say_resolved(&cast, answer, "");
    expect_reply(&cast, "", false);
    assert_counted(cast.f->counters.answers_passed_on, cast.passed_on + 1);
    assert_counted(cast.f->counters.answers_refused, cast.refused);
    cast_down(&cast);
}

static void test_worker_decides_who_was_first(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "second");
    respond(&cast, "i-1");
    say_resolved(&cast, expect_resolve(&cast, "i-1"), "already_resolved");
    expect_reply(&cast, "already_resolved", false);
    respond(&cast, "i-1");
    say_resolved(&cast, expect_resolve(&cast, "i-1"), "no code");
    expect_reply(&cast, "internal", false);
    cast_down(&cast);
}

static void test_answer_by_run_is_given_to_that_run(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "named");
    char first[IDENTIFIER_SIZE];
    memcpy(first, cast.run_id, sizeof(first));
    give_run(&cast, "m-2");
    request(&cast, "i-1"); /* the same name in another run */
    respond(&cast, "i-1");
    expect_reply(&cast, "invalid_argument", false);
    respond_as(&cast, "named", cast.run_id, "i-1");
    say_resolved(&cast, expect_resolve(&cast, "i-1"), "");
    expect_reply(&cast, "", false);
    memcpy(cast.run_id, first, sizeof(first));
    respond_as(&cast, "named", first, "i-1");
    say_resolved(&cast, expect_resolve(&cast, "i-1"), "");
    expect_reply(&cast, "", false);
    cast_down(&cast);
}

/* ---- too late, and never */

static void test_late_answers_are_told_what_became_of_it(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "late");
    resolve(&cast, "i-1");
    assert_refused_with(&cast, NULL, "i-1", "already_resolved");
    assert_refused_with(&cast, cast.run_id, "i-1", "already_resolved");
    request(&cast, "i-2");
    emit(&cast, EVENT_AGENT_COMPLETED, "{\"outcome\":\"success\"}");
    assert_string_equal(ended_state(cast.f, cast.run_id), "completed");
    assert_refused_with(&cast, NULL, "i-1", "already_resolved");
    assert_refused_with(&cast, cast.run_id, "i-1", "already_resolved");
    assert_refused_with(&cast, NULL, "i-2", "already_finished");
    assert_refused_with(&cast, cast.run_id, "i-2", "already_finished");
    assert_refused_with(&cast, cast.run_id, "i-3", "already_finished");
    assert_counted(cast.f->counters.answers_refused, cast.refused + 7);
    assert_counted(cast.f->counters.answers_passed_on, cast.passed_on);
    cast_down(&cast);
}

static void test_what_nobody_asked_is_not_answered(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "never");
    assert_refused_with(&cast, NULL, "i-9", "run_not_found");
    assert_refused_with(&cast, "r-none", "i-1", "run_not_found");
    assert_refused_with(&cast, cast.run_id, "i-9", "invalid_argument");
    assert_refused_with(&cast, NULL, "a b", "invalid_argument");
    respond_as(&cast, "stranger", NULL, "i-1");
    expect_reply(&cast, "run_not_found", false);
    respond_as(&cast, "stranger", cast.run_id, "i-1");
    expect_reply(&cast, "run_not_found", false);
    cast_down(&cast);
}

static void test_run_that_is_being_cancelled_takes_no_answer(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "stops");
    cancel_run(cast.f, "stops", cast.run_id);
    fixture_turn(cast.f);
    peer_expect(&cast.worker, WIRE_CANCEL);
    assert_refused_with(&cast, NULL, "i-1", "already_finished");
    cast_down(&cast);
}

static void test_program_that_began_its_run_itself_takes_no_answers(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "own");
    struct event asks = event_of(EVENT_INTERRUPT_REQUESTED, "r-own");
    asks.data = SPAN_LITERAL("{\"interrupt_id\":\"i-own\",\"reason\":\"?\"}");
    assert_int_equal(push(cast.f, "own", started("r-own")), VERDICT_LEGAL);
    assert_int_equal(push(cast.f, "own", asks), VERDICT_LEGAL);
    assert_refused_with(&cast, NULL, "i-own", "unavailable");
    assert_int_equal(push(cast.f, "own", event_of(EVENT_AGENT_COMPLETED, "r-own")), VERDICT_LEGAL);
    fixture_turn(cast.f);
    cast_down(&cast);
}

/* ---- those in between go away */

static void test_answer_is_unavailable_when_its_worker_goes(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "goes");
    respond(&cast, "i-1");
    expect_resolve(&cast, "i-1");
    peer_leave(&cast.worker);
    cast.worker_left = true;
    expect_reply(&cast, "unavailable", true);
    respond(&cast, "i-1");
    expect_reply(&cast, "unavailable", true);
    cast_down(&cast);
}

static void test_answer_of_a_gateway_that_went_is_told_to_nobody(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "nobody");
    respond(&cast, "i-1");
    uint64_t answer = expect_resolve(&cast, "i-1");
    peer_leave(&cast.gateway);
    peer_connect_gateway(&cast.gateway, cast.f);
    say_resolved(&cast, answer, "");
    fixture_turn(cast.f);
    peer_expect_nothing(&cast.gateway);
    cast_down(&cast);
}

static void test_answers_under_way_are_bounded(void **state)
{
    struct cast cast;
    cast_up(&cast, *state, "many");
    cast.f->dispatch.answers.count = ANSWERS_WAITING_MAX;
    respond(&cast, "i-1");
    expect_reply(&cast, "queue_full", true);
    cast.f->dispatch.answers.count = 0;
    cast_down(&cast);
}

/* ---- the memory of them */

static void test_past_remembers_the_newest(void **state)
{
    (void)state;
    char id[16];
    struct interrupt_past past = {0};
    assert_int_equal(interrupt_past_find(&past, 1, SPAN_LITERAL("i-0")), INTERRUPT_UNKNOWN);
    for (int i = 0; i <= INTERRUPT_PAST_MAX; i++) {
        snprintf(id, sizeof(id), "i-%d", i);
        interrupt_past_add(
            &past, 1, span_of_string(id), i % 2 ? INTERRUPT_LEFT : INTERRUPT_RESOLVED);
    }
    assert_int_equal(interrupt_past_find(&past, 1, SPAN_LITERAL("i-0")), INTERRUPT_UNKNOWN);
    assert_int_equal(interrupt_past_find(&past, 1, SPAN_LITERAL("i-1")), INTERRUPT_LEFT);
    assert_int_equal(interrupt_past_find(&past, 1, SPAN_LITERAL("i-2")), INTERRUPT_RESOLVED);
    assert_int_equal(interrupt_past_find(&past, 2, SPAN_LITERAL("i-2")), INTERRUPT_UNKNOWN);
    interrupt_past_add(&past, 1, SPAN_LITERAL("i-2"), INTERRUPT_LEFT);
    assert_int_equal(interrupt_past_find(&past, 1, SPAN_LITERAL("i-2")), INTERRUPT_LEFT);
    interrupt_past_deinit(&past);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_goes_to_the_worker_and_its_word_comes_back),
        cmocka_unit_test(test_worker_decides_who_was_first),
        cmocka_unit_test(test_answer_by_run_is_given_to_that_run),
        cmocka_unit_test(test_late_answers_are_told_what_became_of_it),
        cmocka_unit_test(test_what_nobody_asked_is_not_answered),
        cmocka_unit_test(test_run_that_is_being_cancelled_takes_no_answer),
        cmocka_unit_test(test_program_that_began_its_run_itself_takes_no_answers),
        cmocka_unit_test(test_answer_is_unavailable_when_its_worker_goes),
        cmocka_unit_test(test_answer_of_a_gateway_that_went_is_told_to_nobody),
        cmocka_unit_test(test_answers_under_way_are_bounded),
        cmocka_unit_test(test_past_remembers_the_newest),
    };
    return cmocka_run_group_tests_name(
        "broker-answers", tests, linked_fixture_up, linked_fixture_down);
}
