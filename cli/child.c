/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The descriptor that a child finds its ready pipe on. */
#define READY_FD 3
#define READY_VARIABLE "RINGSIDE_READY_FD"
#define EXEC_FAILED 127

static void close_ready(struct child *child)
{
    if (child->ready_fd < 0)
        return;
    ev_io_stop(child->loop, &child->ready_watch);
    close(child->ready_fd);
    child->ready_fd = -1;
}

static void take_line(struct child *child, size_t len)
{
    close_ready(child);
    child->ready = true;
    child->events->on_ready(child->context, child, span_of(child->line, len));
}

static void on_ready_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct child *child = watcher->data;
    (void)loop, (void)events;
    ssize_t got =
        read(child->ready_fd, child->line + child->line_len, sizeof(child->line) - child->line_len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_ready(child); /* whether it lives is end_watch's to say */
        return;
    }
    const char *newline = memchr(child->line + child->line_len, '\n', (size_t)got);
    child->line_len += (size_t)got;
    if (newline)
        take_line(child, (size_t)(newline - child->line));
    else if (child->line_len == sizeof(child->line))
        close_ready(child); /* no ready line is that long */
}

static void on_end(struct ev_loop *loop, ev_child *watcher, int events)
{
    struct child *child = watcher->data;
    (void)events;
    ev_child_stop(loop, watcher);
    if (child->ready_fd >= 0) /* it may have been ready first; the loop tells of ends first */
        on_ready_readable(loop, &child->ready_watch, EV_READ);
    close_ready(child);
    child->pid = 0;
    child->ready = false;
    child->events->on_ended(child->context, child, watcher->rstatus);
}

void child_init(struct child *child, const char *name, struct ev_loop *loop,
    const struct child_events *events, void *context)
{
    *child = (struct child){.loop = loop, .events = events, .context = context, .ready_fd = -1};
    snprintf(child->name, sizeof(child->name), "%s", name);
    ev_init(&child->ready_watch, on_ready_readable);
    ev_init(&child->end_watch, on_end);
    child->ready_watch.data = child;
    child->end_watch.data = child;
}

void child_deinit(struct child *child)
{
    close_ready(child);
    ev_child_stop(child->loop, &child->end_watch);
}

/* Our handlers must not run in the child, where they would write into our loop's wake-up. */
static void reset_signals(void)
{
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR2, SIGCHLD, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        signal(ours[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* stdin reads nothing; the ready pipe becomes READY_FD. */
static bool arrange_descriptors(int ready_fd)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return false;
    if (ready_fd == READY_FD)
        return fcntl(ready_fd, F_SETFD, 0) == 0;
    return dup2(ready_fd, READY_FD) >= 0;
}

static _Noreturn void become(
    pid_t parent, const struct child *child, int ready_fd, char *const argv[])
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXEC_FAILED); /* we died before the line above could see it */
    reset_signals();
    char number[16];
    snprintf(number, sizeof(number), "%d", READY_FD);
    if (arrange_descriptors(ready_fd) && setenv(READY_VARIABLE, number, 1) == 0)
        execv(child->image ? child->image : argv[0], argv);
    fprintf(stderr, "ringside up: %s cannot be started: %s\n", argv[0], strerror(errno));
    _exit(EXEC_FAILED);
}

/* fork, with signals held back on both sides until the child has let go of our handlers. */
static pid_t fork_quietly(const struct child *child, int ready_fd, char *const argv[])
{
    sigset_t all, before;
    pid_t parent = getpid();
    fflush(NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        become(parent, child, ready_fd, argv);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

int child_start(struct child *child, char *const argv[])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    pid_t pid = fork_quietly(child, ends[1], argv);
    int error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -error;
    }
    child->pid = pid;
    child->line_len = 0;
    child->ready_fd = ends[0];
    ev_io_set(&child->ready_watch, ends[0], EV_READ);
    ev_io_start(child->loop, &child->ready_watch);
    ev_child_set(&child->end_watch, pid, 0);
    ev_child_start(child->loop, &child->end_watch);
    return 0;
}

void child_signal(const struct child *child, int signal_number)
{
    if (child->pid <= 0)
        return;
    if (signal_number == SIGKILL)
        kill(-child->pid, SIGKILL);
    kill(child->pid, signal_number);
}

void child_describe_end(char ret_text[CHILD_END_SIZE], int status)
{
    if (WIFSIGNALED(status))
        snprintf(ret_text, CHILD_END_SIZE, "was killed by signal %d (%s)", WTERMSIG(status),
            strsignal(WTERMSIG(status)));
    else
        snprintf(ret_text, CHILD_END_SIZE, "ended with status %d", WEXITSTATUS(status));
}
