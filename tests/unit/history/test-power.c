/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "chance.h"

#include <stdio.h>

/*
 * The loss of power: the store's files are copied while it is open, the copy is made to look like
 * another boot's, and opened. What had not reached the disk is played by taking each page either
 * from the last sync or from now, at random.
 */
#define PAGE 4096

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

struct disk {
    char *data;
    size_t size;
};

static struct disk disk_now(const struct fixture *fixture)
{
    struct disk disk;
    disk.data = read_whole_file(fixture->directory, "data.mdb", &disk.size);
    return disk;
}

/* Each page of `now`, or in its place what the last sync had there. */
static void mix(struct disk *now, const struct disk *synced, struct chance *chance)
{
    size_t share = 1 + chance_below(chance, 99);
    for (size_t at = 0; at < now->size; at += PAGE) {
        if (chance_below(chance, 100) < share)
            continue;
        if (at < synced->size)
            memcpy(now->data + at, synced->data + at, PAGE);
        else
            memset(now->data + at, 0, PAGE);
    }
}

/* Events of many users, trimmed as they come, so that pages are freed and used again. */
static void work(struct fixture *fixture, struct chance *chance)
{
    for (size_t i = 10 + chance_below(chance, 40); i > 0; i--) {
        char user[16];
        snprintf(user, sizeof(user), "user-%zu", chance_below(chance, 20));
        stage_events(fixture, user, 1 + (unsigned)chance_below(chance, 100));
        commit_events(fixture, "ann", 10);
        assert_return_code(history_trim(fixture->history, clock_wall_ms()), 0);
        assert_return_code(history_merge(fixture->history), 0);
    }
}

static void lose_power_once(struct fixture *fixture, struct chance *chance)
{
    work(fixture, chance);
    assert_return_code(history_sync(fixture->history), 0);
    struct disk synced = disk_now(fixture);
    uint64_t oldest = history_oldest(fixture_stream(fixture, "ann"));
    uint64_t head = history_head(fixture_stream(fixture, "ann"));
    char epoch[HISTORY_EPOCH_SIZE];
    remember_epoch(fixture, epoch);
    work(fixture, chance);
    struct disk now = disk_now(fixture);
    size_t state_size;
    char *state = read_whole_file(fixture->directory, "state", &state_size);
    fixture_close(fixture);
    mix(&now, &synced, chance);
    write_whole_file(fixture->directory, "data.mdb", now.data, now.size);
    write_whole_file(fixture->directory, "state", state, state_size);
    pretend_other_boot(fixture->directory);
    free(state);
    free(now.data);
    free(synced.data);
    fixture_open(fixture);
    assert_range(fixture, "ann", oldest, head);
    assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
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
