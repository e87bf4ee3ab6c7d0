/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is, in whatever order requests come, workers get room and runs come back. */
#include "broker-test.h"

#include "chance.h"

#include <stdio.h>

static struct answer ask(
    struct fixture *f, const char *user, const char *thread, const char *message, const char *agent)
{
    struct answer answer = chat_as(f, &(struct wire_chat_send){.user = span_of_string(user),
                                          .thread_id = span_of_string(thread),
                                          .message_id = span_of_string(message),
                                          .agent = span_of_string(agent),
                                          .content = SPAN_LITERAL("1")});
    assert_null(answer.code);
    return answer;
}

/* So many requests of a user, each of a thread of its own. */
static void ask_often(struct fixture *f, const char *user, int count, const char *agent)
{
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "t-%d", i);
        ask(f, user, name, name, agent);
    }
}

/* Gives the worker room for one run, and says whose it was: "ann t-3". */
static const char *next(struct fixture *f, struct worker *worker)
{
    static char text[2 * IDENTIFIER_SIZE];
    size_t cursor = 0;
    text[0] = '\0';
    uint64_t assigned = f->counters.runs_assigned;
    fixture_room(f, worker, 1);
    dispatch_place(&f->dispatch);
    if (f->counters.runs_assigned == assigned)
        return text;
    for (struct run *run; (run = map_next(&f->pipeline.runs, &cursor));) {
        if (run->state == RUN_STARTING && run->confirmed != 0) {
            snprintf(text, sizeof(text), "%s %s", run->user->id, run->thread_id);
            run->confirmed = 0; /* told once */
        }
    }
    return text;
}

static void assert_next(struct fixture *f, struct worker *worker, const char *expected)
{
    assert_string_equal(next(f, worker), expected);
}

static struct worker *open_gate(struct fixture *f)
{
    f->config.broker_max_queued = 1000000;
    f->config.broker_max_queued_per_user = 1000000;
    return fixture_worker(f, 3, 0, "librarian");
}

static void test_users_take_turns(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    ask_often(f, "ann", 3, "librarian");
    ask_often(f, "bob", 2, "librarian");
    ask_often(f, "cid", 1, "librarian");
    const char *const order[] = {"ann t-0", "bob t-0", "cid t-0", "ann t-1", "bob t-1", "ann t-2"};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        assert_next(f, worker, order[i]);
    assert_next(f, worker, "");
}

static void test_ten_thousand_of_one_user_hold_up_anothers_first_by_one_run(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    ask_often(f, "ann", 10000, "librarian");
    assert_next(f, worker, "ann t-0");
    ask(f, "bob", "t-0", "m-0", "librarian");
    assert_next(f, worker, "ann t-1");
    assert_next(f, worker, "bob t-0");
    assert_next(f, worker, "ann t-2");
}

static void test_newcomers_do_not_starve_those_who_wait(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    char user[16];
    ask_often(f, "ann", 2, "librarian");
    ask(f, "bob", "t-0", "m-0", "librarian");
    for (int i = 0; i < 20; i++) {
        snprintf(user, sizeof(user), "new-%d", i);
        ask(f, user, "t-0", "m-0", "librarian");
    }
    assert_next(f, worker, "ann t-0");
    assert_next(f, worker, "bob t-0");
    assert_next(f, worker, "new-0 t-0");
}

static void test_user_has_one_turn_whatever_the_number_of_its_agents(void **state)
{
    struct fixture *f = *state;
    f->config.broker_max_queued_per_user = 100;
    struct worker *worker = fixture_worker(f, 3, 0, "librarian\nwriter\necho");
    ask(f, "ann", "t-0", "m-0", "librarian");
    ask(f, "ann", "t-1", "m-1", "writer");
    ask(f, "ann", "t-2", "m-2", "echo");
    ask(f, "bob", "t-0", "m-0", "echo");
    ask(f, "bob", "t-1", "m-1", "librarian");
    const char *const order[] = {"ann t-0", "bob t-0", "ann t-1", "bob t-1", "ann t-2"};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        assert_next(f, worker, order[i]);
}

static void test_agent_without_room_holds_up_no_other_of_the_same_user(void **state)
{
    struct fixture *f = *state;
    struct worker *writer = fixture_worker(f, 3, 0, "writer");
    struct worker *librarian = fixture_worker(f, 4, 0, "librarian");
    ask(f, "ann", "t-0", "m-0", "writer");
    ask(f, "ann", "t-1", "m-1", "librarian");
    assert_next(f, librarian, "ann t-1");
    assert_next(f, writer, "ann t-0");
}

static void test_run_that_came_back_goes_before_all_others(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    ask_often(f, "ann", 2, "librarian");
    ask_often(f, "bob", 2, "librarian");
    ask_often(f, "cid", 1, "librarian");
    assert_next(f, worker, "ann t-0");
    assert_next(f, worker, "bob t-0");
    struct thread *thread =
        threads_find(&f->pipeline.queue.threads, SPAN_LITERAL("ann"), SPAN_LITERAL("t-0"));
    dispatch_requeue(&f->dispatch, LIST_FIRST(struct run, &thread->active, thread_link));
    assert_next(f, worker, "ann t-0");
    assert_next(f, worker, "cid t-0");
}

static void test_full_house_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    ask_often(f, "ann", 1000, "librarian");
    dispatch_place(&f->dispatch);
    assert_false(f->pipeline.queue.changed || f->workers.changed);
    worker->slots = 1; /* behind its back: it does not even look */
    dispatch_place(&f->dispatch);
    assert_int_equal(f->counters.runs_assigned, 0);
    f->workers.changed = true;
    dispatch_place(&f->dispatch);
    assert_counted(f->counters.runs_assigned, 1);
}

static void test_position_counts_the_users_own_requests_before_it(void **state)
{
    struct fixture *f = *state;
    open_gate(f);
    ask_often(f, "ann", 2, "librarian");
    ask_often(f, "bob", 3, "librarian");
    struct kept kept;
    keep_stream(&kept, f, "bob");
    assert_int_equal(kept.count, 0); /* not committed yet */
    kept_free(&kept);
    fixture_commit(f);
    keep_stream(&kept, f, "bob");
    assert_member(&kept.events[1], "position", "0");
    assert_member(&kept.events[3], "position", "1");
    assert_member(&kept.events[5], "position", "2");
    kept_free(&kept);
}

static void test_order_within_a_user_is_that_of_acceptance_whatever_the_clock_does(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    struct answer first = ask(f, "ann", "t-0", "m-0", "librarian");
    ask(f, "ann", "t-1", "m-1", "librarian");
    fixture_find(f, first.run_id)->accepted_ms += 1000000; /* the clock went back since */
    pipeline_stage(&f->pipeline, fixture_find(f, first.run_id));
    fixture_commit(f);
    fixture_restart(f);
    fixture_recover(f);
    worker = fixture_worker(f, 3, 0, "librarian");
    assert_next(f, worker, "ann t-0");
    assert_next(f, worker, "ann t-1");
}

static void test_turns_after_a_restart_are_in_the_order_of_acceptance(void **state)
{
    struct fixture *f = *state;
    open_gate(f);
    const char *const users[] = {"zoe", "ann", "kim", "bob"};
    for (uint64_t i = 0; i < 4; i++) {
        struct answer answer = ask(f, users[i], "t-0", "m-0", "librarian");
        fixture_find(f, answer.run_id)->accepted_ms = 1000 + i;
        pipeline_stage(&f->pipeline, fixture_find(f, answer.run_id));
    }
    fixture_commit(f);
    fixture_restart(f);
    fixture_recover(f);
    struct worker *worker = fixture_worker(f, 3, 0, "librarian");
    assert_next(f, worker, "zoe t-0");
    assert_next(f, worker, "ann t-0");
    assert_next(f, worker, "kim t-0");
    assert_next(f, worker, "bob t-0");
}

static void test_programs_own_run_keeps_its_thread_busy(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    assert_int_equal(push(f, "ann", started("r-own")), VERDICT_LEGAL);
    ask(f, "ann", "t-1", "m-1", "librarian");
    assert_next(f, worker, "");
    assert_int_equal(push(f, "ann", event_of(EVENT_AGENT_COMPLETED, "r-own")), VERDICT_LEGAL);
    assert_next(f, worker, "ann t-1");
}

/* ---- against a plain model: what is placed is always the first that may be */

#define MODEL_USERS 5
#define MODEL_THREADS 3

static size_t count_waiting(struct fixture *f, struct user *user)
{
    size_t count = 0;
    LIST_FOR_EACH(struct run, run, &user->runs, user_link)
    count += run->state == RUN_QUEUED;
    assert_int_equal(count, user->queued);
    (void)f;
    return count;
}

static void check_books(struct fixture *f)
{
    size_t waiting = 0;
    char user[16];
    for (int i = 0; i < MODEL_USERS; i++) {
        snprintf(user, sizeof(user), "u-%d", i);
        waiting += count_waiting(f, fixture_user(f, user));
    }
    assert_int_equal(waiting, f->pipeline.queue.count);
}

/* The oldest run of each thread, and of each user, is the one that is begun. */
static void check_oldest(struct fixture *f, const struct run *begun)
{
    LIST_FOR_EACH(struct run, run, &begun->user->runs, user_link)
    {
        if (run->state != RUN_QUEUED || run->first_seq > begun->first_seq)
            continue;
        /* An older one that waits has a thread that is busy. */
        assert_false(list_empty(&run->thread->active));
        assert_true(strcmp(run->thread_id, begun->thread_id) != 0);
    }
    (void)f;
}

static void step(struct fixture *f, struct worker *worker, struct chance *chance, int number)
{
    char user[16];
    char thread[16];
    char message[16];
    snprintf(user, sizeof(user), "u-%zu", chance_below(chance, MODEL_USERS));
    snprintf(thread, sizeof(thread), "t-%zu", chance_below(chance, MODEL_THREADS));
    snprintf(message, sizeof(message), "m-%d", number);
    struct run *run =
        queue_foremost(&f->pipeline.queue, fixture_user(f, user), span_of_string(thread));
    switch (chance_below(chance, 5)) {
    case 0:
    case 1: ask(f, user, thread, message, "librarian"); break;
    case 2: fixture_room(f, worker, worker->slots + 1); break;
    case 3:
        if (run && run->state == RUN_STARTING)
            dispatch_requeue(&f->dispatch, run);
        else if (run && run->state == RUN_QUEUED)
            dispatch_stop(&f->dispatch, run, SPAN_LITERAL("chance"));
        break;
    default:
        if (run && run->state == RUN_STARTING) {
            struct event begin = started(run->id);
            char id[IDENTIFIER_SIZE];
            memcpy(id, run->id, sizeof(id));
            const struct origin origin = {run->process, run->incarnation};
            assert_int_equal(push_from(f, user, begin, &origin), VERDICT_LEGAL);
            assert_int_equal(
                push_from(f, user, event_of(EVENT_AGENT_COMPLETED, id), &origin), VERDICT_LEGAL);
        }
    }
}

static void test_books_and_order_hold_over_any_course_of_events(void **state)
{
    struct fixture *f = *state;
    struct worker *worker = open_gate(f);
    struct chance chance = chance_make();
    for (int i = 0; i < 3000; i++) {
        step(f, worker, &chance, i);
        uint64_t assigned = f->counters.runs_assigned;
        const struct queue *queue = &f->pipeline.queue;
        dispatch_place(&f->dispatch);
        check_books(f);
        size_t cursor = 0;
        for (struct run *run; (run = map_next(&f->pipeline.runs, &cursor));) {
            if (run->state == RUN_STARTING && run->attempts == 1 && run->confirmed) {
                check_oldest(f, run);
                run->confirmed = 0;
            }
        }
        assert_true(f->counters.runs_assigned >= assigned);
        assert_true(queue->count == 0 || worker->slots == 0 || !queue->changed);
        if (i % 100 == 0)
            fixture_commit(f);
    }
    assert_true(f->counters.runs_assigned > 300);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_users_take_turns),
        CASE(test_ten_thousand_of_one_user_hold_up_anothers_first_by_one_run),
        CASE(test_newcomers_do_not_starve_those_who_wait),
        CASE(test_user_has_one_turn_whatever_the_number_of_its_agents),
        CASE(test_agent_without_room_holds_up_no_other_of_the_same_user),
        CASE(test_run_that_came_back_goes_before_all_others),
        CASE(test_full_house_costs_nothing),
        CASE(test_position_counts_the_users_own_requests_before_it),
        CASE(test_order_within_a_user_is_that_of_acceptance_whatever_the_clock_does),
        CASE(test_turns_after_a_restart_are_in_the_order_of_acceptance),
        CASE(test_programs_own_run_keeps_its_thread_busy),
        CASE(test_books_and_order_hold_over_any_course_of_events),
    };
    return cmocka_run_group_tests_name("broker-queue", tests, NULL, NULL);
}
