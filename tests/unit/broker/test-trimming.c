/* SPDX-License-Identifier: Apache-2.0 */
/* Retention with runs: what of them stays, and what is said when they hold the store. */
#include "broker-test.h"

#include "upkeep/trimming.h"

#include "base/clock.h"

static struct trimming trimming_of(struct fixture *f)
{
    return (struct trimming){.history = f->history, .counters = &f->counters};
}

static void trim_all(struct trimming *trimming)
{
    do
        trimming_turn(trimming, clock_wall_ms(), false);
    while (trimming->more);
}

static uint64_t oldest(struct fixture *f, const char *user)
{
    return history_oldest(fixture_user(f, user)->stream);
}

static void push_texts(struct fixture *f, const char *user, const char *run_id, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(push(f, user, text_event(run_id, "m-1", 0)), VERDICT_LEGAL);
    fixture_commit(f);
}

static void end_run(struct fixture *f, const char *user, const char *run_id)
{
    assert_int_equal(push(f, user, event_of(EVENT_AGENT_COMPLETED, run_id)), VERDICT_LEGAL);
}

static void test_an_open_runs_events_stay_and_go_when_it_has_ended(void **state)
{
    struct fixture *f = *state;
    f->config.history_max_events_per_user = 5;
    fixture_restart(f);
    struct trimming trimming = trimming_of(f);
    push(f, "ann", started("r-1"));
    push_texts(f, "ann", "r-1", 3);
    end_run(f, "ann", "r-1"); /* 1 to 6, with the end of its text */
    push(f, "ann", started("r-2"));
    push_texts(f, "ann", "r-2", 10);
    uint64_t first = fixture_find(f, "r-2")->first_seq;
    trim_all(&trimming);
    assert_int_equal(oldest(f, "ann"), first);
    end_run(f, "ann", "r-2");
    trim_all(&trimming); /* its end is not kept yet */
    assert_int_equal(oldest(f, "ann"), first);
    fixture_commit(f);
    trim_all(&trimming);
    assert_int_equal(oldest(f, "ann"), history_head(fixture_user(f, "ann")->stream) - 4);
}

static void test_of_two_open_runs_the_older_one_counts(void **state)
{
    struct fixture *f = *state;
    f->config.history_max_events_per_user = 2;
    fixture_restart(f);
    struct trimming trimming = trimming_of(f);
    push(f, "ann", started("r-1"));
    push_texts(f, "ann", "r-1", 3);
    push(f, "ann", started("r-2"));
    push_texts(f, "ann", "r-2", 3);
    end_run(f, "ann", "r-2");
    push_texts(f, "ann", "r-1", 3);
    trim_all(&trimming);
    assert_int_equal(oldest(f, "ann"), 1);
}

static void test_runs_that_are_still_open_after_a_restart_keep_their_events(void **state)
{
    struct fixture *f = *state;
    f->config.history_max_events_per_user = 2;
    fixture_restart(f);
    fixture_worker(f, 4, 1, "librarian");
    struct answer answer = chat(f, "ann", "t-1", "m-1");
    assert_null(answer.code);
    fixture_commit(f);
    fixture_restart(f);
    fixture_recover(f);
    struct trimming trimming = trimming_of(f);
    push(f, "ann", started("r-2"));
    push_texts(f, "ann", "r-2", 10);
    trim_all(&trimming);
    assert_int_equal(oldest(f, "ann"), 1);
}

static void test_a_store_that_open_runs_hold_above_its_limit_is_told_of_once(void **state)
{
    struct fixture *f = *state;
    f->config.history_max_bytes = 8000;
    fixture_restart(f);
    struct trimming trimming = trimming_of(f);
    push(f, "ann", started("r-1"));
    for (int i = 0; i < 20; i++) {
        push_texts(f, "ann", "r-1", 10);
        trim_all(&trimming);
    }
    assert_true(trimming.excess);
    assert_counted(f->counters.history_excesses, 1);
    assert_int_equal(oldest(f, "ann"), 1);
    end_run(f, "ann", "r-1");
    fixture_commit(f);
    trim_all(&trimming);
    assert_false(trimming.excess);
    assert_counted(f->counters.history_excesses, 1);
    assert_true(oldest(f, "ann") > 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_an_open_runs_events_stay_and_go_when_it_has_ended),
        CASE(test_of_two_open_runs_the_older_one_counts),
        CASE(test_runs_that_are_still_open_after_a_restart_keep_their_events),
        CASE(test_a_store_that_open_runs_hold_above_its_limit_is_told_of_once),
    };
    return cmocka_run_group_tests_name("broker-trimming", tests, NULL, NULL);
}
