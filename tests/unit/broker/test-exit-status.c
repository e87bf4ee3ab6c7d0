/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "intake/exit_status.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that ended in this way, with a name that is hard to read past, and is not yet reaped. */
static pid_t ended_child(int signal, int status)
{
    pid_t pid = fork();
    assert_return_code(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_NAME, "a) Z (b");
        if (signal)
            kill(getpid(), signal);
        _exit(status);
    }
    siginfo_t info;
    assert_return_code(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    return pid;
}

static void assert_status(struct exit_status status, int signal, int exit_code)
{
    assert_int_equal(status.signal, signal);
    assert_int_equal(status.exit_code, exit_code);
}

static void test_zombie_tells_the_signal_that_killed_it(void **state)
{
    (void)state;
    pid_t pid = ended_child(SIGKILL, 0);
    assert_status(exit_status_of(pid, -1), SIGKILL, -1);
    waitpid(pid, NULL, 0);
}

static void test_zombie_tells_its_exit_code(void **state)
{
    (void)state;
    pid_t pid = ended_child(0, 42);
    assert_status(exit_status_of(pid, -1), 0, 42);
    waitpid(pid, NULL, 0);
    pid = ended_child(0, 0);
    assert_status(exit_status_of(pid, -1), 0, 0);
    waitpid(pid, NULL, 0);
}

static void test_living_process_has_no_status(void **state)
{
    (void)state;
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    assert_status(exit_status_of(getpid(), pidfd), 0, -1);
    close(pidfd);
}

/* Older kernels have forgotten it by then; newer ones still say it, and rightly. */
static void test_reaped_process_has_no_status_or_the_right_one(void **state)
{
    (void)state;
    pid_t pid = ended_child(0, 42);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    waitpid(pid, NULL, 0);
    struct exit_status status = exit_status_of(pid, pidfd);
    assert_int_equal(status.signal, 0);
    assert_true(status.exit_code == -1 || status.exit_code == 42);
    close(pidfd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zombie_tells_the_signal_that_killed_it),
        cmocka_unit_test(test_zombie_tells_its_exit_code),
        cmocka_unit_test(test_living_process_has_no_status),
        cmocka_unit_test(test_reaped_process_has_no_status_or_the_right_one),
    };
    return cmocka_run_group_tests_name("broker-exit-status", tests, NULL, NULL);
}
