/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "base/cleanup.h"
#include "chance.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *helper_path;

struct child {
    pid_t pid;
    FILE *output;
};

static struct child start_helper(const char *directory, const char *command, const char *policy)
{
    int ends[2];
    assert_return_code(pipe2(ends, O_CLOEXEC), errno);
    struct child child = {.pid = fork()};
    assert_return_code(child.pid, errno);
    if (child.pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(helper_path, helper_path, directory, command, policy, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    child.output = fdopen(ends[0], "r");
    assert_non_null(child.output);
    return child;
}

static int wait_for(struct child *child)
{
    int status;
    fclose(child->output);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return status;
}

/* The number of the last acknowledged commit: `enough` are awaited, then the helper is killed. */
static uint64_t commit_and_kill(const char *directory, const char *policy, size_t enough)
{
    struct child child = start_helper(directory, "commit", policy);
    char line[32];
    uint64_t acknowledged = 0;
    for (size_t lines = 1; fgets(line, sizeof(line), child.output); lines++) {
        if (strchr(line, '\n'))
            acknowledged = strtoull(line, NULL, 10);
        if (lines == enough)
            assert_return_code(kill(child.pid, SIGKILL), errno);
    }
    int status = wait_for(&child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the helper ended by itself: %x", (unsigned)status);
    return acknowledged;
}

static void kill_often(struct fixture *fixture, const char *policy, int kills)
{
    struct chance chance = chance_make();
    char epoch[HISTORY_EPOCH_SIZE] = "";
    for (int i = 0; i < kills; i++) {
        size_t enough = 1 + chance_below(&chance, 60);
        uint64_t acknowledged = commit_and_kill(fixture->directory, policy, enough);
        fixture_open(fixture);
        uint64_t count = history_head(fixture_stream(fixture, "all"));
        /* One commit may have been made and not told. */
        assert_in_range(count, acknowledged, acknowledged + 1);
        workload_check(fixture, count);
        const char *now = history_epoch(fixture_stream(fixture, "all"));
        if (i)
            assert_string_equal(now, epoch);
        snprintf(epoch, sizeof(epoch), "%s", now);
        fixture_close(fixture);
    }
}

static void test_no_acknowledged_commit_is_lost_when_killed_under_synced_commits(void **state)
{
    kill_often(*state, "0", 10);
}

static void test_no_acknowledged_commit_is_lost_when_killed_under_timed_syncs(void **state)
{
    kill_often(*state, "1", 15);
}

static void test_no_acknowledged_commit_is_lost_when_killed_without_syncs(void **state)
{
    kill_often(*state, "2", 10);
}

static void test_no_acknowledged_commit_is_lost_when_killed_with_a_journal(void **state)
{
    kill_often(*state, "1j", 15);
}

/* What only the journal had stays in it from one life to the next. */
static void test_no_acknowledged_commit_is_lost_when_the_next_one_has_a_journal_too(void **state)
{
    ((struct fixture *)*state)->options.journal_bytes = WORKLOAD_JOURNAL_BYTES;
    kill_often(*state, "2j", 15);
}

static void test_a_second_process_is_kept_out_and_let_in_when_the_first_is_gone(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    struct child child = start_helper(fixture->directory, "open", NULL);
    int status = wait_for(&child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EBUSY);
    fixture_close(fixture);
    child = start_helper(fixture->directory, "open", NULL);
    status = wait_for(&child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_second_opening_in_the_same_process_is_refused_and_explained(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    assert_int_equal(fixture_open_fails(fixture), -EBUSY);
    assert_non_null(strstr(fixture->reason, "another process"));
    commit_events(fixture, "ann", 1);
    assert_range(fixture, "ann", 1, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_acknowledged_commit_is_lost_when_killed_under_synced_commits),
        CASE(test_no_acknowledged_commit_is_lost_when_killed_under_timed_syncs),
        CASE(test_no_acknowledged_commit_is_lost_when_killed_without_syncs),
        CASE(test_no_acknowledged_commit_is_lost_when_killed_with_a_journal),
        CASE(test_no_acknowledged_commit_is_lost_when_the_next_one_has_a_journal_too),
        CASE(test_a_second_process_is_kept_out_and_let_in_when_the_first_is_gone),
        CASE(test_a_second_opening_in_the_same_process_is_refused_and_explained),
    };
    if (argc < 2)
        return 2;
    helper_path = argv[1];
    return cmocka_run_group_tests_name("history-kills", tests, NULL, NULL);
}
