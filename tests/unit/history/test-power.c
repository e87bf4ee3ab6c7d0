/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include "base/cleanup.h"

#include <stdio.h>

/*
 * The loss of power: the store's files are copied while it is open, the copy is made to look like
 * another boot's, and opened. What had not reached the disk is played by taking each page either
 * from the last sync or from now, at random (power.h). Syncs under way: test-sync.c.
 */

static void remember_epoch(struct fixture *fixture, char ret_epoch[HISTORY_EPOCH_SIZE])
{
    snprintf(ret_epoch, HISTORY_EPOCH_SIZE, "%s", history_epoch(fixture_stream(fixture, "ann")));
}

/* Opens what is on disk now, after another boot when told so; the former is closed. */
static void open_copy(struct fixture *fixture, const char *name, bool other_boot)
{
    char copy[PATHS_MAX];
    static char directory[PATHS_MAX];
    sibling_directory(fixture, name, copy);
    copy_store(fixture->directory, copy);
    if (other_boot)
        pretend_other_boot(copy);
    fixture_close(fixture);
    snprintf(directory, sizeof(directory), "%s", copy);
    fixture->options.directory = directory;
    fixture_open(fixture);
}

static void lose_process(
    struct fixture *fixture, enum history_sync sync, bool other_boot, bool kept)
{
    char epoch[HISTORY_EPOCH_SIZE];
    fixture->options.sync = sync;
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    remember_epoch(fixture, epoch);
    open_copy(fixture, "copy", other_boot);
    if (kept)
        assert_string_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
    else
        assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
    remember_epoch(fixture, epoch);
    fixture_reopen(fixture);
    assert_string_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
}

static void test_the_process_alone_dying_keeps_events_and_epoch(void **state)
{
    struct fixture *fixture = *state;
    lose_process(fixture, HISTORY_SYNC_INTERVAL, false, true);
    assert_range(fixture, "ann", 1, 10);
}

static void test_the_process_alone_dying_keeps_all_without_any_sync(void **state)
{
    struct fixture *fixture = *state;
    lose_process(fixture, HISTORY_SYNC_NEVER, false, true);
    assert_range(fixture, "ann", 1, 10);
}

static void test_power_loss_keeps_events_and_epoch_when_each_commit_is_synced(void **state)
{
    struct fixture *fixture = *state;
    lose_process(fixture, HISTORY_SYNC_ALWAYS, true, true);
    assert_range(fixture, "ann", 1, 10);
}

static void test_power_loss_renews_the_epoch_when_syncs_are_timed(void **state)
{
    lose_process(*state, HISTORY_SYNC_INTERVAL, true, false);
}

static void test_power_loss_renews_the_epoch_when_there_are_no_syncs(void **state)
{
    lose_process(*state, HISTORY_SYNC_NEVER, true, false);
}

static void test_another_boot_after_a_clean_end_is_no_loss(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    remember_epoch(fixture, epoch);
    fixture_close(fixture);
    pretend_other_boot(fixture->directory);
    fixture_open(fixture);
    assert_string_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
    assert_range(fixture, "ann", 1, 10);
}

/* ---- a tree of which only some pages reached the disk */

static void lose_power_once(struct fixture *fixture, struct chance *chance)
{
    churn(fixture, chance);
    assert_return_code(history_sync(fixture->history), 0);
    struct disk synced = disk_now(fixture);
    churn(fixture, chance);
    struct disk now = disk_now(fixture);
    assert_found_after_power_loss(fixture, chance,
        &(struct loss){.now = &now, .synced = &synced, .state = &now, .found = &synced});
    disk_free(&now);
    disk_free(&synced);
}

static void test_power_loss_between_syncs_leaves_exactly_the_last_sync(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    fixture->options.max_bytes = 200000;
    fixture_open(fixture);
    for (int i = 0; i < 30; i++)
        lose_power_once(fixture, &chance);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_process_alone_dying_keeps_events_and_epoch),
        CASE(test_the_process_alone_dying_keeps_all_without_any_sync),
        CASE(test_power_loss_keeps_events_and_epoch_when_each_commit_is_synced),
        CASE(test_power_loss_renews_the_epoch_when_syncs_are_timed),
        CASE(test_power_loss_renews_the_epoch_when_there_are_no_syncs),
        CASE(test_another_boot_after_a_clean_end_is_no_loss),
        CASE(test_power_loss_between_syncs_leaves_exactly_the_last_sync),
    };
    return cmocka_run_group_tests_name("history-power", tests, NULL, NULL);
}
