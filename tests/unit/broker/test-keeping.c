/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker does while history cannot be written. The limit on a file's size plays the disk.
 */
#include "process-test.h"

#include "loop/keeping.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

/* More than the other files of a fixture have, and less than an event of `fill_disk`. */
#define FULL_AT (256u << 10)

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_return_code(getrlimit(RLIMIT_FSIZE, &limit), errno);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    assert_return_code(setrlimit(RLIMIT_FSIZE, &limit), errno);
}

/* Stages more than there is room for. */
static void fill_disk(struct fixture *f)
{
    static char large[512 << 10];
    memset(large, ' ', sizeof(large));
    large[0] = '{';
    large[sizeof(large) - 1] = '}';
    push(f, "large", started("r-large"));
    struct event event = text_event("r-large", "m-1", 0);
    event.data = span_of(large, sizeof(large));
    assert_int_equal(push(f, "large", event), VERDICT_LEGAL);
    limit_files(FULL_AT);
}

static struct keeping keeping_of(struct fixture *f, bool live)
{
    return (struct keeping){.history = f->history,
        .drain = f->drain,
        .effects = &f->effects,
        .gateways = &f->gateways,
        .counters = &f->counters,
        .live = live};
}

static uint64_t shown(struct fixture *f, const char *user)
{
    return history_shown_head(fixture_user(f, user)->stream);
}

static int down(void **state)
{
    limit_files(RLIM_INFINITY);
    return fixture_down(state);
}

static void test_a_turn_is_kept_while_there_is_room(void **state)
{
    struct fixture *f = *state;
    struct keeping keeping = keeping_of(f, true);
    push(f, "ann", started("r-1"));
    assert_int_equal(keeping_turn(&keeping, 0), KEPT_ALL);
    assert_true(keeping_takes_in(&keeping));
    assert_counted(f->counters.commits, 1);
    assert_int_equal(f->counters.events_shown_early, 0);
    assert_string_equal(keeping_state_name(keeping.state), "serving");
}

static void test_held_back_nothing_is_shown_or_taken_in_until_a_commit_succeeds(void **state)
{
    struct fixture *f = *state;
    struct keeping keeping = keeping_of(f, false);
    fill_disk(f);
    assert_int_equal(keeping_turn(&keeping, 1000), KEPT_NOT);
    assert_false(keeping_takes_in(&keeping));
    assert_true(f->gateways.stalled);
    assert_int_equal(shown(f, "large"), 0);
    assert_counted(f->counters.commit_failures, 1);
    assert_string_equal(keeping_state_name(keeping.state), "history_unwritable");
    limit_files(RLIM_INFINITY);
    assert_int_equal(keeping_turn(&keeping, keeping.next_try_ms), KEPT_ALL);
    assert_true(keeping_takes_in(&keeping));
    assert_false(f->gateways.stalled);
    assert_stream(f, "large", "agent_started partial_result");
}

static void test_live_events_are_shown_from_memory_and_kept_later(void **state)
{
    struct fixture *f = *state;
    struct keeping keeping = keeping_of(f, true);
    fill_disk(f);
    assert_int_equal(keeping_turn(&keeping, 1000), KEPT_SHOW);
    assert_true(keeping_takes_in(&keeping));
    assert_true(f->gateways.stalled);
    assert_int_equal(shown(f, "large"), 2);
    assert_counted(f->counters.events_shown_early, 2);
    assert_string_equal(keeping_state_name(keeping.state), "history_unwritable_live");
    push(f, "ann", started("r-1"));
    assert_int_equal(keeping_turn(&keeping, 1001), KEPT_SHOW);
    assert_int_equal(shown(f, "ann"), 1);
    assert_counted(f->counters.events_shown_early, 3);
    limit_files(RLIM_INFINITY);
    assert_int_equal(keeping_turn(&keeping, keeping.next_try_ms), KEPT_ALL);
    assert_stream(f, "ann", "agent_started");
    assert_counted(f->counters.events_shown_early, 3);
}

static void test_a_commit_is_tried_again_after_a_pause_only(void **state)
{
    struct fixture *f = *state;
    struct keeping keeping = keeping_of(f, true);
    fill_disk(f);
    uint64_t now = 1000;
    keeping_turn(&keeping, now);
    assert_in_range(keeping.next_try_ms, now + 100, now + 2000);
    limit_files(RLIM_INFINITY);
    assert_int_equal(keeping_turn(&keeping, keeping.next_try_ms - 1), KEPT_SHOW);
    assert_counted(f->counters.commit_failures, 1);
    assert_int_equal(keeping_turn(&keeping, keeping.next_try_ms), KEPT_ALL);
}

static void test_live_stops_taking_in_when_as_much_waits_as_may(void **state)
{
    struct fixture *f = *state;
    struct child child;
    f->config.history_max_staged = 1;
    fixture_restart(f);
    struct keeping keeping = keeping_of(f, true);
    child_start(&child, f);
    fill_disk(f);
    child_emit(&child, "ann", started("r-1"));
    assert_int_equal(drain_turn(f->drain, 100), 1);
    assert_int_equal(keeping_turn(&keeping, 1000), KEPT_SHOW);
    assert_false(keeping_takes_in(&keeping));
    assert_counted(f->counters.staged_full, 1);
    assert_int_equal(shown(f, "ann"), 1);
    assert_string_equal(keeping_state_name(keeping.state), "history_unwritable_full");
    assert_int_equal(keeping_turn(&keeping, keeping.next_try_ms), KEPT_SHOW);
    assert_counted(f->counters.staged_full, 1);
    limit_files(RLIM_INFINITY);
    assert_int_equal(keeping_turn(&keeping, keeping.next_try_ms), KEPT_ALL);
    assert_true(keeping_takes_in(&keeping));
    drain_release(f->drain);
    child_stop(&child);
}

static void test_live_survives_the_broker_with_nothing_lost(void **state)
{
    struct fixture *f = *state;
    struct child child;
    struct keeping keeping = keeping_of(f, true);
    child_start(&child, f);
    child_emit(&child, "ann", started("r-1"));
    fixture_turn(f);
    char epoch[HISTORY_EPOCH_SIZE];
    snprintf(epoch, sizeof(epoch), "%s", history_epoch(fixture_user(f, "ann")->stream));
    fill_disk(f);
    child_emit(&child, "ann", tool_event(EVENT_TOOL_EXECUTING, "r-1", "c-1"));
    drain_turn(f->drain, 100);
    assert_int_equal(keeping_turn(&keeping, 1000), KEPT_SHOW);
    assert_int_equal(shown(f, "ann"), 2);
    limit_files(RLIM_INFINITY);
    fixture_restart(f); /* its rings' space was not given back */
    fixture_recover(f);
    assert_string_not_equal(epoch, history_epoch(fixture_user(f, "ann")->stream));
    assert_stream(f, "ann", "agent_started tool_executing");
    child_stop(&child);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_turn_is_kept_while_there_is_room),
        CASE(test_held_back_nothing_is_shown_or_taken_in_until_a_commit_succeeds),
        CASE(test_live_events_are_shown_from_memory_and_kept_later),
        CASE(test_a_commit_is_tried_again_after_a_pause_only),
        CASE(test_live_stops_taking_in_when_as_much_waits_as_may),
        CASE(test_live_survives_the_broker_with_nothing_lost),
    };
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests_name("broker-keeping", tests, NULL, NULL);
}
