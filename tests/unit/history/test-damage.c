/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "chance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lmdb.h>

static void make_store(struct fixture *fixture)
{
    fixture_open(fixture);
    for (int i = 0; i < 20; i++) {
        stage_events(fixture, "ann-with-a-name", 20);
        commit_events(fixture, "bob-with-a-name", 20);
    }
    fixture_close(fixture);
}

static void assert_refused(struct fixture *fixture, const char *word)
{
    assert_int_equal(fixture_open_fails(fixture), -EUCLEAN);
    if (!strstr(fixture->reason, word))
        fail_msg("\"%s\" does not say \"%s\"", fixture->reason, word);
}

static void test_garbage_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    char garbage[40000];
    make_store(fixture);
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)chance_next(&chance);
    write_whole_file(fixture->directory, "data.mdb", garbage, sizeof(garbage));
    assert_refused(fixture, "not a store");
}

static void test_an_emptied_data_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    write_whole_file(fixture->directory, "data.mdb", "", 0);
    assert_refused(fixture, "missing");
    assert_refused(fixture, "missing");
}

static void test_a_data_file_cut_short_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t size;
    make_store(fixture);
    _cleanup_free_ char *bytes = read_whole_file(fixture->directory, "data.mdb", &size);
    for (size_t len = 4096; len < size; len += 4096 * 5) {
        write_whole_file(fixture->directory, "data.mdb", bytes, len);
        assert_int_equal(fixture_open_fails(fixture), -EUCLEAN);
    }
    write_whole_file(fixture->directory, "data.mdb", bytes, size);
    fixture_open(fixture);
    assert_range(fixture, "ann-with-a-name", 1, 400);
}

/* Writes straight into the table `meta`; NULL: removes the name. */
static void change_meta(const char *directory, const char *name, const char *value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    MDB_val data = {4, (void *)(uintptr_t)value};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, directory, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    assert_int_equal(
        value ? mdb_put(txn, meta, &key, &data, 0) : mdb_del(txn, meta, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void test_another_version_is_refused(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    change_meta(fixture->directory, "format", "\x01\0\0");
    assert_refused(fixture, "it is of version 1, this program has version 2");
    change_meta(fixture->directory, "format", "\x03\0\0");
    assert_refused(fixture, "it is of version 3, this program has version 2");
    change_meta(fixture->directory, "format", "\x02\0\0");
    fixture_open(fixture);
}

static void test_a_store_of_something_else_is_refused(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    change_meta(fixture->directory, "format", NULL);
    assert_refused(fixture, "no history");
}

static void test_an_epoch_with_other_characters_is_refused(void **state)
{
    struct fixture *fixture = *state;
    make_store(fixture);
    change_meta(fixture->directory, "epoch", "a.b");
    assert_refused(fixture, "epoch");
}

/* Changes one byte in each place where `text` stands in the data file. */
static void change_text(const char *directory, const char *text)
{
    size_t size;
    _cleanup_free_ char *bytes = read_whole_file(directory, "data.mdb", &size);
    char *at = bytes;
    while ((at = memmem(at, size - (size_t)(at - bytes), text, strlen(text))))
        at[strlen(text) - 1] ^= 1;
    write_whole_file(directory, "data.mdb", bytes, size);
}

/* The history is told apart from what is trimmed: the exact numbers are said. */
static void assert_gone(struct fixture *fixture, const char *user, uint64_t from, uint64_t to)
{
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    uint64_t last;
    assert_int_equal(
        history_read(fixture_stream(fixture, user), from - 1, SIZE_MAX / 2, &page, &last),
        -ENODATA);
    assert_int_equal(last, to);
    assert_int_equal(page.len, 0);
}

static void assert_damage(struct fixture *fixture, uint64_t batches, uint64_t lost)
{
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    assert_int_equal(usage.damaged_batches, batches);
    assert_int_equal(usage.lost, lost);
}

/* Batches of ann and bob, 20 events each; then one of cid, then more. */
static void damage_in_the_middle(struct fixture *fixture, char ret_epoch[HISTORY_EPOCH_SIZE])
{
    make_store(fixture);
    fixture_open(fixture);
    stage_events(fixture, "ann-with-a-name", 5);
    commit_events(fixture, "cid-to-be-damaged", 5);
    commit_events(fixture, "ann-with-a-name", 5);
    snprintf(ret_epoch, HISTORY_EPOCH_SIZE, "%s",
        history_epoch(fixture_stream(fixture, "ann-with-a-name")));
    fixture_close(fixture);
    change_text(fixture->directory, "ann-with-a-namecid");
}

static void test_a_damaged_batch_is_set_aside_and_the_rest_is_served(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    damage_in_the_middle(fixture, epoch);
    for (int i = 0; i < 3; i++) {
        fixture_open(fixture);
        assert_string_equal(history_epoch(fixture_stream(fixture, "ann-with-a-name")), epoch);
        assert_events(fixture, "ann-with-a-name", 0, 400);
        assert_gone(fixture, "ann-with-a-name", 401, 405);
        assert_gone(fixture, "ann-with-a-name", 403, 405);
        assert_events(fixture, "ann-with-a-name", 405, 410);
        assert_events(fixture, "bob-with-a-name", 0, 400);
        fixture_close(fixture);
    }
}

static void test_a_number_that_may_have_been_in_a_damaged_batch_is_not_given_again(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    damage_in_the_middle(fixture, epoch);
    fixture_open(fixture);
    uint64_t bob = history_head(fixture_stream(fixture, "bob-with-a-name"));
    uint64_t cid = history_head(fixture_stream(fixture, "cid-to-be-damaged"));
    assert_int_equal(history_head(fixture_stream(fixture, "ann-with-a-name")), 410);
    assert_true(bob > 400);
    assert_true(cid >= 5);
    assert_damage(fixture, 1, 5 + bob - 400);
    assert_gone(fixture, "bob-with-a-name", 401, bob);
    commit_events(fixture, "bob-with-a-name", 3);
    commit_events(fixture, "cid-to-be-damaged", 3);
    for (int i = 0; i < 2; i++) {
        assert_gone(fixture, "bob-with-a-name", 401, bob);
        assert_events(fixture, "bob-with-a-name", bob, bob + 3);
        assert_events(fixture, "cid-to-be-damaged", cid, cid + 3);
        assert_int_equal(history_head(fixture_stream(fixture, "new")), cid);
        fixture_reopen(fixture);
        assert_damage(fixture, 1, 5 + bob - 400);
    }
}

static void trim_all(struct fixture *fixture)
{
    int rc;
    int calls = 0;
    while ((rc = history_trim(fixture->history, clock_wall_ms() + 1000)) == 1 && calls < 100)
        calls++;
    assert_int_equal(rc, 0);
}

static void test_folding_passes_over_a_hole_and_a_user_is_trimmed_over_it(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    damage_in_the_middle(fixture, epoch);
    fixture->options.fold_after_ms = 1;
    fixture_open(fixture);
    trim_all(fixture);
    assert_events(fixture, "ann-with-a-name", 0, 400);
    assert_gone(fixture, "ann-with-a-name", 401, 405);
    fixture->options.max_events_per_user = 5;
    fixture_reopen(fixture);
    trim_all(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(history_oldest(fixture_stream(fixture, "ann-with-a-name")), 406);
        assert_events(fixture, "ann-with-a-name", 405, 410);
        fixture_reopen(fixture);
    }
}

static void test_batches_around_a_damaged_one_are_not_merged_across_it(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    damage_in_the_middle(fixture, epoch);
    fixture->options.max_bytes = 200000;
    fixture_open(fixture);
    for (int i = 0; i < 20; i++)
        commit_events(fixture, "ann-with-a-name", 20);
    while (history_merge(fixture->history) == 1)
        continue;
    for (int i = 0; i < 2; i++) {
        assert_events(fixture, "ann-with-a-name", 0, 400);
        assert_gone(fixture, "ann-with-a-name", 401, 405);
        assert_events(fixture, "ann-with-a-name", 405, 810);
        fixture_reopen(fixture);
    }
}

static void test_a_damaged_batch_leaves_when_it_is_beyond_the_limits(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    damage_in_the_middle(fixture, epoch);
    fixture->options.max_bytes = 5000;
    fixture_open(fixture);
    uint64_t bob = history_head(fixture_stream(fixture, "bob-with-a-name"));
    commit_events(fixture, "ann-with-a-name", 400);
    while (history_trim(fixture->history, 0) == 1)
        continue;
    assert_range(fixture, "ann-with-a-name", 811, 810);
    fixture_reopen(fixture);
    fixture_reopen(fixture);
    assert_range(fixture, "ann-with-a-name", 811, 810);
    assert_damage(fixture, 0, 0);
    assert_int_equal(history_head(fixture_stream(fixture, "bob-with-a-name")), bob);
}

static void test_a_damaged_event_alone_is_gone(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    uint64_t last;
    make_store(fixture);
    change_text(fixture->directory, "[ann-with-a-name #31f");
    fixture_open(fixture);
    struct history_stream *stream = fixture_stream(fixture, "ann-with-a-name");
    assert_return_code(history_read(stream, 5, SIZE_MAX / 2, &page, &last), 0);
    assert_int_equal(last, 30);
    assert_gone(fixture, "ann-with-a-name", 31, 31);
    assert_events(fixture, "ann-with-a-name", 31, 400);
    assert_range(fixture, "bob-with-a-name", 1, 400);
}

/* Makes the section whose first event begins with `text` say that this event is very long. */
static void break_table(const char *directory, const char *text, size_t events)
{
    size_t size;
    _cleanup_free_ char *bytes = read_whole_file(directory, "data.mdb", &size);
    char *at = memmem(bytes, size, text, strlen(text));
    assert_non_null(at);
    memset(at - 8 * events, 0x7f, 4);
    write_whole_file(directory, "data.mdb", bytes, size);
}

static void test_a_batch_that_cannot_be_rewritten_is_told_of_once_and_does_not_block_others(
    void **state)
{
    struct fixture *fixture = *state;
    fixture->options.max_bytes = 1;
    fixture_open(fixture);
    stage_events(fixture, "bob-with-a-name", 5);
    commit_events(fixture, "ann-with-a-name", 20);
    fixture_close(fixture);
    break_table(fixture->directory, "[bob-with-a-name #1", 5);
    fixture_open(fixture);
    commit_events(fixture, "cat", 3);
    history_pin(fixture->history, fixture_stream(fixture, "bob-with-a-name"), 3);
    assert_int_equal(history_trim(fixture->history, 0), -EIO);
    assert_int_equal(history_trim(fixture->history, 0), 0);
    assert_range(fixture, "cat", 4, 3);
    assert_range(fixture, "ann-with-a-name", 1, 20);
    commit_events(fixture, "ann-with-a-name", 1);
    /* What is dead in it cannot be put away, which is told once, too. */
    assert_int_equal(history_trim(fixture->history, 0), -EIO);
    assert_int_equal(history_trim(fixture->history, 0), 0);
    assert_range(fixture, "ann-with-a-name", 22, 21);
}

static void test_without_its_state_file_a_store_gets_a_new_epoch(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    char path[PATHS_MAX];
    make_store(fixture);
    fixture_open(fixture);
    snprintf(epoch, sizeof(epoch), "%s", history_epoch(fixture_stream(fixture, "ann")));
    fixture_close(fixture);
    assert_return_code(paths_join(path, fixture->directory, "state"), 0);
    assert_return_code(remove(path), errno);
    fixture_open(fixture);
    assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
    assert_range(fixture, "ann-with-a-name", 1, 400);
}

static void test_a_torn_state_slot_leaves_the_other(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    size_t size;
    make_store(fixture);
    fixture_open(fixture);
    snprintf(epoch, sizeof(epoch), "%s", history_epoch(fixture_stream(fixture, "ann")));
    fixture_close(fixture);
    _cleanup_free_ char *bytes = read_whole_file(fixture->directory, "state", &size);
    for (size_t half = 0; half < 2; half++) {
        bytes[half * size / 2 + 40] ^= 1;
        write_whole_file(fixture->directory, "state", bytes, size);
        fixture_open(fixture);
        assert_string_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
        fixture_close(fixture);
        bytes[half * size / 2 + 40] ^= 1;
    }
}

/* Pages as a loss of power may leave them when nothing was synced: the store is used or refused,
 * and the process lives. */
static void test_pages_at_random_never_kill_the_process(void **state)
{
    struct fixture *fixture = *state;
    struct chance chance = chance_make();
    char copy[PATHS_MAX];
    size_t size;
    int refused = 0;
    fixture->options.sync = HISTORY_SYNC_NEVER;
    fixture_open(fixture);
    for (int i = 0; i < 40; i++)
        commit_events(fixture, i % 2 ? "ann" : "bob", 20);
    sibling_directory(fixture, "copy", copy);
    copy_store(fixture->directory, copy);
    pretend_other_boot(copy);
    fixture_close(fixture);
    _cleanup_free_ char *bytes = read_whole_file(copy, "data.mdb", &size);
    size_t state_size;
    _cleanup_free_ char *state_bytes = read_whole_file(copy, "state", &state_size);
    _cleanup_free_ char *mixed = malloc(size);
    fixture->options.directory = copy;
    for (int i = 0; i < 40; i++) {
        memcpy(mixed, bytes, size);
        for (int n = 0; n < 3; n++) {
            size_t to = (2 + chance_below(&chance, size / 4096 - 2)) * 4096;
            size_t from = chance_below(&chance, size / 4096) * 4096;
            memcpy(mixed + to, bytes + from, 4096);
        }
        write_whole_file(copy, "data.mdb", mixed, size);
        write_whole_file(copy, "state", state_bytes, state_size);
        struct history *history = NULL;
        int rc = history_open(&history, &fixture->options, fixture->reason);
        assert_true(rc == 0 || rc == -EUCLEAN);
        refused += rc != 0;
        history_close(history);
    }
    assert_in_range(refused, 10, 40);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_garbage_is_refused),
        CASE(test_an_emptied_data_file_is_refused),
        CASE(test_a_data_file_cut_short_is_refused),
        CASE(test_another_version_is_refused),
        CASE(test_a_store_of_something_else_is_refused),
        CASE(test_an_epoch_with_other_characters_is_refused),
        CASE(test_a_damaged_batch_is_set_aside_and_the_rest_is_served),
        CASE(test_a_number_that_may_have_been_in_a_damaged_batch_is_not_given_again),
        CASE(test_folding_passes_over_a_hole_and_a_user_is_trimmed_over_it),
        CASE(test_batches_around_a_damaged_one_are_not_merged_across_it),
        CASE(test_a_damaged_batch_leaves_when_it_is_beyond_the_limits),
        CASE(test_a_damaged_event_alone_is_gone),
        CASE(test_a_batch_that_cannot_be_rewritten_is_told_of_once_and_does_not_block_others),
        CASE(test_without_its_state_file_a_store_gets_a_new_epoch),
        CASE(test_a_torn_state_slot_leaves_the_other),
        CASE(test_pages_at_random_never_kill_the_process),
    };
    return cmocka_run_group_tests_name("history-damage", tests, NULL, NULL);
}
