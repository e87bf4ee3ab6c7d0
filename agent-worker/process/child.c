/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork and exec with care. posix_spawn cannot ask for a parent-death signal, so it is fork; nng has
 * threads here, so between fork and exec only async-signal-safe calls are made, on memory prepared
 * before. The order there:
 *
 *   signals   were all blocked before fork, so that no handler of ours (libev's writes into a pipe
 *             it shares with us) runs in the child; handlers go back to default, then unblocked
 *   group     made by the child before exec, and we wait for exec: it exists when we go on
 *   death     the parent-death signal is asked for, and then it is checked that the parent has not
 *             died before: otherwise nobody would be left to end the child
 *   pipes     moved out of the way of 0, 1 and 2 first, since they may be among them
 *
 * A failure is written as an errno into a pipe that exec closes; reading its end is how we know
 * that exec happened.
 */
#include "process/child.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STANDARD_FDS 3

/* Pairs of descriptors; [0] reads, [1] writes. */
struct pipes {
    int in[2];
    int out[2];
    int err[2];
    int failure[2];
};

static void close_pair(const int pair[2])
{
    cleanup_close(&pair[0]);
    cleanup_close(&pair[1]);
}

static void pipes_close(struct pipes *pipes)
{
    close_pair(pipes->in);
    close_pair(pipes->out);
    close_pair(pipes->err);
    close_pair(pipes->failure);
}

#define NO_PIPES ((struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}})

static int pipes_open(struct pipes *pipes)
{
    if (pipe2(pipes->in, O_CLOEXEC) < 0 || pipe2(pipes->out, O_CLOEXEC) < 0 ||
        pipe2(pipes->err, O_CLOEXEC) < 0 || pipe2(pipes->failure, O_CLOEXEC) < 0 ||
        fcntl(pipes->in[1], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(pipes->out[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(pipes->err[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

/* ---- in the child, between fork and exec */

static void reset_signals(void)
{
    struct sigaction fallback = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &fallback, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int move_pipes(struct pipes *pipes)
{
    int *ends[] = {&pipes->in[0], &pipes->out[1], &pipes->err[1], &pipes->failure[1]};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        *ends[i] = fcntl(*ends[i], F_DUPFD_CLOEXEC, STANDARD_FDS);
        if (*ends[i] < 0)
            return -1;
    }
    for (int fd = 0; fd < STANDARD_FDS; fd++) {
        if (dup2(*ends[fd], fd) < 0)
            return -1;
    }
    return 0;
}

static int set_limit(int resource, uint64_t soft, uint64_t hard)
{
    const struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    return setrlimit(resource, &limit);
}

/* A second behind SIGXCPU, which can be ignored, comes SIGKILL. */
static int set_limits(const struct program *program)
{
    uint64_t seconds = (program->cpu_max_ms + 999) / 1000;
    if (program->memory_max && set_limit(RLIMIT_DATA, program->memory_max, program->memory_max) < 0)
        return -1;
    return seconds ? set_limit(RLIMIT_CPU, seconds, seconds + 1) : 0;
}

static int become_program(const struct program *program, pid_t parent)
{
    if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -1;
    if (getppid() != parent)
        _exit(127);
    /* Ours are all close-on-exec; whatever a library forgot goes here. An older kernel may not
     * know the flag, and then there is nothing more to do. */
    (void)close_range(STANDARD_FDS, ~0u, CLOSE_RANGE_CLOEXEC);
    if (program->directory && chdir(program->directory) < 0)
        return -1;
    reset_signals();
    if (set_limits(program) < 0)
        return -1;
    execve(program->path, program->argv, program->environment);
    return -1;
}

static _Noreturn void child_main(const struct program *program, struct pipes *pipes, pid_t parent)
{
    if (move_pipes(pipes) == 0)
        become_program(program, parent);
    int error = errno;
    ssize_t written = write(pipes->failure[1], &error, sizeof(error));
    (void)written;
    _exit(127);
}

/* ---- in the parent */

/* Forks with every signal blocked, and restores the mask here. The child's pid or -errno. */
static pid_t fork_child(const struct program *program, struct pipes *pipes)
{
    sigset_t all;
    sigset_t before;
    pid_t parent = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        child_main(program, pipes, parent);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : pid;
}

/* 0 once exec has happened, else the -errno that the child wrote. */
static int wait_for_exec(int failure)
{
    int error = 0;
    ssize_t got;
    do {
        got = read(failure, &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(error) ? -error : 0;
}

static void wait_for_pid(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Waits for exec and opens the pidfd; on failure there is no process left. */
static int settle(int *ret_pid_fd, pid_t pid, struct pipes *pipes)
{
    close(steal_fd(&pipes->failure[1]));
    int rc = wait_for_exec(pipes->failure[0]);
    int pid_fd = rc < 0 ? -1 : pidfd_open(pid, 0);
    if (!rc && pid_fd < 0) {
        rc = -errno;
        kill(-pid, SIGKILL);
    }
    if (rc < 0)
        wait_for_pid(pid);
    else
        *ret_pid_fd = pid_fd;
    return rc;
}

static int spawn(struct child *ret_child, const struct program *program, struct pipes *pipes)
{
    int pid_fd;
    int rc = pipes_open(pipes);
    if (rc < 0)
        return rc;
    pid_t pid = fork_child(program, pipes);
    if (pid < 0)
        return (int)pid;
    rc = settle(&pid_fd, pid, pipes);
    if (!rc)
        *ret_child = (struct child){pid, pid_fd, steal_fd(&pipes->in[1]), steal_fd(&pipes->out[0]),
            steal_fd(&pipes->err[0])};
    return rc;
}

int child_spawn(struct child *ret_child, const struct program *program)
{
    struct pipes pipes = NO_PIPES;
    int rc = spawn(ret_child, program, &pipes);
    pipes_close(&pipes);
    return rc;
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid > 0)
        kill(-child->pid, signal);
}

int child_reap(struct child_exit *ret_exit, struct child *child)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)child->pid_fd, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return -errno;
    if (info.si_pid == 0)
        return -EAGAIN;
    child_signal(child, SIGKILL);
    waitid(P_PIDFD, (id_t)child->pid_fd, &info, WEXITED | WNOHANG);
    child->pid = 0;
    *ret_exit = (struct child_exit){info.si_status, info.si_code != CLD_EXITED};
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(steal_fd(fd));
}

void child_close(struct child *child)
{
    close_fd(&child->pid_fd);
    close_fd(&child->in);
    close_fd(&child->out);
    close_fd(&child->err);
    *child = CHILD_NONE;
}
