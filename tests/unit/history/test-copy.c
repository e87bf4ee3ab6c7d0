/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "history/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lmdb.h>

static const char *helper_path;

/* A process that commits until it is killed; its output says how far it is. */
struct writer {
    pid_t pid;
    FILE *output;
};

static struct writer start_writer(const char *directory, enum history_sync sync)
{
    int ends[2];
    char policy[2] = {(char)('0' + sync), '\0'};
    assert_return_code(pipe2(ends, O_CLOEXEC), errno);
    struct writer writer = {.pid = fork()};
    assert_return_code(writer.pid, errno);
    if (writer.pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(helper_path, helper_path, directory, "commit", policy, NULL);
        _exit(127);
    }
    close(ends[1]);
    writer.output = fdopen(ends[0], "r");
    return writer;
}

static uint64_t next_commit(const struct writer *writer)
{
    char line[32];
    assert_non_null(fgets(line, sizeof(line), writer->output));
    return strtoull(line, NULL, 10);
}

static void stop_writer(struct writer *writer)
{
    kill(writer->pid, SIGKILL);
    assert_return_code(waitpid(writer->pid, NULL, 0), errno);
    fclose(writer->output);
}

static void open_copy(struct fixture *fixture, const char *copy)
{
    static char directory[PATHS_MAX];
    snprintf(directory, sizeof(directory), "%s", copy);
    fixture->options.directory = directory;
    fixture_open(fixture);
}

static void copy_path(const struct fixture *fixture, const char *name, char ret_path[PATHS_MAX])
{
    assert_in_range(snprintf(ret_path, PATHS_MAX, "%.400s-%s", fixture->directory, name), 1, 500);
}

static void copy_under_load(struct fixture *fixture, enum history_sync sync)
{
    char copy[PATHS_MAX];
    struct writer writer = start_writer(fixture->directory, sync);
    uint64_t before = 0;
    while (before < 100)
        before = next_commit(&writer);
    for (int i = 0; i < 5; i++) {
        snprintf(copy, sizeof(copy), "%.400s-copy-%d", fixture->directory, i);
        assert_int_equal(history_copy(fixture->directory, copy, fixture->reason), 0);
        uint64_t after = next_commit(&writer);
        open_copy(fixture, copy);
        uint64_t count = history_head(fixture_stream(fixture, "all"));
        assert_true(count >= before);
        workload_check(fixture, count);
        fixture_close(fixture);
        before = after;
    }
    stop_writer(&writer);
}

static void test_a_copy_has_all_of_one_moment_while_commits_are_synced(void **state)
{
    copy_under_load(*state, HISTORY_SYNC_ALWAYS);
}

static void test_a_copy_has_all_of_one_moment_while_syncs_are_timed(void **state)
{
    copy_under_load(*state, HISTORY_SYNC_INTERVAL);
}

static void test_a_copy_begins_a_new_epoch_once(void **state)
{
    struct fixture *fixture = *state;
    char copy[PATHS_MAX];
    char epochs[3][HISTORY_EPOCH_SIZE];
    copy_path(fixture, "copy", copy);
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    snprintf(epochs[0], sizeof(epochs[0]), "%s", history_epoch(fixture_stream(fixture, "ann")));
    assert_int_equal(history_copy(fixture->directory, copy, fixture->reason), 0);
    fixture_close(fixture);
    for (int i = 1; i < 3; i++) {
        open_copy(fixture, copy);
        assert_range(fixture, "ann", 1, 10);
        snprintf(epochs[i], sizeof(epochs[i]), "%s", history_epoch(fixture_stream(fixture, "ann")));
        fixture_close(fixture);
    }
    assert_string_not_equal(epochs[0], epochs[1]);
    assert_string_equal(epochs[1], epochs[2]);
}

static void test_a_place_that_is_taken_is_refused_and_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char copy[PATHS_MAX];
    size_t size;
    sibling_directory(fixture, "copy", copy);
    write_whole_file(copy, "precious", "text", 4);
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    assert_int_equal(history_copy(fixture->directory, copy, fixture->reason), -ENOTEMPTY);
    assert_non_null(strstr(fixture->reason, copy));
    free(read_whole_file(copy, "precious", &size));
    assert_int_equal(size, 4);
}

static void test_what_a_killed_copier_left_is_removed(void **state)
{
    struct fixture *fixture = *state;
    char copy[PATHS_MAX];
    char partial[PATHS_MAX];
    struct stat status;
    copy_path(fixture, "copy", copy);
    sibling_directory(fixture, "copy" HISTORY_COPY_PARTIAL, partial);
    write_whole_file(partial, "data.mdb", "half", 4);
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    assert_int_equal(history_copy(fixture->directory, copy, fixture->reason), 0);
    assert_int_equal(stat(partial, &status), -1);
    fixture_close(fixture);
    open_copy(fixture, copy);
    assert_range(fixture, "ann", 1, 10);
}

static void test_a_copy_of_nothing_is_refused_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    char copy[PATHS_MAX];
    struct stat status;
    copy_path(fixture, "copy", copy);
    assert_true(history_copy("/proc/no/such/place", copy, fixture->reason) < 0);
    assert_non_null(strstr(fixture->reason, "/proc/no/such/place"));
    assert_int_equal(stat(copy, &status), -1);
}

/* In a process of its own: a reader that never ends. */
static void hold_a_reader(const char *directory)
{
    MDB_env *env;
    MDB_txn *txn;
    if (mdb_env_create(&env) || mdb_env_open(env, directory, MDB_RDONLY | MDB_NOTLS, 0600) ||
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn))
        _exit(1);
    raise(SIGKILL);
}

/* A copier that is killed in the middle keeps pages from being used again until it is forgotten. */
static void test_pages_a_dead_copier_read_are_used_again(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = HISTORY_SYNC_NEVER;
    fixture_open(fixture);
    commit_events(fixture, "ann", 10);
    pid_t reader = fork();
    if (reader == 0)
        hold_a_reader(fixture->directory);
    int ended;
    assert_return_code(waitpid(reader, &ended, 0), errno);
    assert_true(WIFSIGNALED(ended));
    history_forget_copiers(fixture->history);
    struct history_usage before;
    struct history_usage after;
    for (int i = 0; i < 20; i++)
        commit_events(fixture, "ann", 1);
    history_usage(fixture->history, &before);
    for (int i = 0; i < 200; i++)
        assert_return_code(
            history_renew_epoch(fixture->history, fixture_stream(fixture, "ann")), 0);
    history_usage(fixture->history, &after);
    assert_in_range(after.bytes, before.bytes, before.bytes + 40 * 4096);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_copy_has_all_of_one_moment_while_commits_are_synced),
        CASE(test_a_copy_has_all_of_one_moment_while_syncs_are_timed),
        CASE(test_a_copy_begins_a_new_epoch_once),
        CASE(test_a_place_that_is_taken_is_refused_and_left_alone),
        CASE(test_what_a_killed_copier_left_is_removed),
        CASE(test_a_copy_of_nothing_is_refused_and_leaves_nothing),
        CASE(test_pages_a_dead_copier_read_are_used_again),
    };
    if (argc < 2)
        return 2;
    helper_path = argv[1];
    return cmocka_run_group_tests_name("history-copy", tests, NULL, NULL);
}
