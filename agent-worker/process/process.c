/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit and output are two streams that must end in the right order. The exit is known first (the
 * pidfd); then the group is killed and the leader reaped, so nobody of the group can write any
 * more; then what the pipe still holds is read, unless the owner has paused, in which case that
 * waits for process_resume. An empty pipe, or a pipe's worth of bytes, now means the end, even when
 * a process that left the group still holds the other side open. Then on_exit.
 */
#include "process/process.h"

#include "process/memory.h"
#include "process/stderr_log.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define READ_BYTES 65536
#define STDERR_READ_BYTES 8192
#define NARROW_BYTES 4096

struct process {
    struct ev_loop *loop; /* borrowed */
    const struct process_events *events;
    void *context;
    struct child child;
    struct child_exit exit;
    enum process_cause cause;
    uint64_t kills_before; /* of the kernel's, for want of memory, when it was started */
    bool limits_cpu;
    bool exited;
    bool exit_told;
    bool paused;
    bool out_ended;
    size_t out_left; /* what an exited process can have left in its pipe */
    ev_io pid_io;
    ev_io in_io;
    ev_io out_io;
    ev_io err_io;
    uint64_t uses;
    bool used;        /* by this owner */
    struct buffer in; /* what waits for its stdin */
    size_t in_max;
    bool in_ending; /* close stdin when `in` is empty */
    struct buffer out;
    struct stderr_log err;
    ev_timer stop_timer;
    enum process_stop stop;
    enum process_stop left_at;
    double ask_grace;
    double kill_grace;
};

/* ---- stdin */

static void close_input(struct process *process)
{
    ev_io_stop(process->loop, &process->in_io);
    buffer_clear(&process->in);
    if (process->child.in >= 0)
        close(steal_fd(&process->child.in));
}

static void flush_input(struct process *process)
{
    while (process->child.in >= 0 && process->in.len > 0) {
        ssize_t put = write(process->child.in, process->in.data, process->in.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            break;
        if (put < 0) {
            close_input(process);
            return;
        }
        buffer_consume(&process->in, (size_t)put);
    }
    if (process->child.in < 0)
        return;
    if (process->in.len > 0)
        ev_io_start(process->loop, &process->in_io);
    else if (process->in_ending)
        close_input(process);
    else
        ev_io_stop(process->loop, &process->in_io);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    flush_input(watcher->data);
}

int process_write(struct process *process, struct span bytes)
{
    if (process->child.in < 0 || process->in_ending)
        return 0;
    if (process->in.len + bytes.len > process->in_max)
        return -ENOBUFS;
    process->uses += !process->used;
    process->used = true;
    buffer_append_span(&process->in, bytes);
    if (buffer_error(&process->in))
        return -ENOMEM;
    flush_input(process);
    return 0;
}

void process_end_input(struct process *process)
{
    process->in_ending = true;
    flush_input(process);
}

/* ---- stdout, stderr and exit */

/* Bytes read into `buffer`, 0 at the end of the stream, -EAGAIN when there is nothing for now. */
static ssize_t read_some(int fd, struct buffer *buffer)
{
    char *room = buffer_reserve(buffer, READ_BYTES);
    if (!room)
        return -EAGAIN;
    ssize_t got;
    do {
        got = read(fd, room, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        buffer->len += (size_t)got;
    if (got < 0)
        return errno == EAGAIN ? -EAGAIN : 0;
    return got;
}

static void end_output(struct process *process)
{
    process->out_ended = true;
    ev_io_stop(process->loop, &process->out_io);
    /* It can say nothing more: there is nothing to wait for but its exit. */
    if (!process->exited && process->stop == PROCESS_STOP_NONE)
        process_stop(process, PROCESS_STOP_ASK);
}

static void tell_exit(struct process *process)
{
    if (!process->exited || !process->out_ended || process->exit_told)
        return;
    process->exit_told = true;
    process->events->on_exit(process->context);
}

/* What is left of an exited process's output. */
static void read_rest(struct process *process)
{
    while (!process->out_ended && !process->paused) {
        ssize_t got = process->out_left ? read_some(process->child.out, &process->out) : 0;
        if (got <= 0) {
            end_output(process);
            break;
        }
        process->out_left -= (size_t)got < process->out_left ? (size_t)got : process->out_left;
        process->events->on_output(process->context);
    }
    tell_exit(process);
}

/* One read a turn of the loop, so that a process that writes a lot keeps no other waiting. */
static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct process *process = watcher->data;
    if (process->exited || process->paused)
        return;
    ssize_t got = read_some(process->child.out, &process->out);
    if (got > 0)
        process->events->on_output(process->context);
    else if (got == 0)
        end_output(process);
}

/* False when nothing more can be read now. */
static bool read_stderr_once(struct process *process)
{
    char bytes[STDERR_READ_BYTES];
    ssize_t got;
    do {
        got = read(process->child.err, bytes, sizeof(bytes));
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        stderr_log_take(&process->err, span_of(bytes, (size_t)got), clock_monotonic_ms());
    else if (got == 0 || errno != EAGAIN)
        ev_io_stop(process->loop, &process->err_io);
    return got > 0;
}

static void on_stderr(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    read_stderr_once(watcher->data);
}

static size_t pipe_size(int fd)
{
    int size = fcntl(fd, F_GETPIPE_SZ);
    return size > 0 ? (size_t)size : 0;
}

/* A pipe's worth at most, however fast somebody goes on writing. */
void process_read_stderr(struct process *process)
{
    if (process->exited)
        return;
    for (size_t left = pipe_size(process->child.err); left > 0 && read_stderr_once(process);)
        left -= left < STDERR_READ_BYTES ? left : STDERR_READ_BYTES;
}

/* SIGKILL that is not ours, and the kernel has killed somebody for want of memory meanwhile. */
static enum process_cause cause_of(const struct process *process)
{
    if (!process->exit.by_signal)
        return PROCESS_EXITED;
    bool ours = process->stop == PROCESS_STOP_KILL;
    if (process->exit.code == SIGXCPU && process->limits_cpu)
        return PROCESS_OUT_OF_CPU_TIME;
    if (process->exit.code == SIGKILL && !ours && memory_kills() > process->kills_before)
        return PROCESS_OUT_OF_MEMORY;
    return PROCESS_EXITED;
}

static void on_pid(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct process *process = watcher->data;
    if (child_reap(&process->exit, &process->child) < 0)
        return;
    ev_io_stop(loop, watcher);
    process->cause = cause_of(process);
    process_read_stderr(process);
    process->left_at = process->stop;
    process->exited = true;
    process->out_left = pipe_size(process->child.out);
    process->stop = PROCESS_STOP_KILL;
    ev_timer_stop(loop, &process->stop_timer);
    close_input(process);
    ev_io_stop(loop, &process->err_io);
    stderr_log_end(&process->err, clock_monotonic_ms());
    read_rest(process);
}

void process_hand_over(struct process *process, const char *log_name, size_t input_max,
    const struct process_events *events, void *context)
{
    stderr_log_rename(&process->err, log_name);
    if (process->uses)
        stderr_log_forget_tail(&process->err);
    process->in_max = input_max;
    process->events = events;
    process->context = context;
    process->used = false;
    process_resume(process);
}

uint64_t process_uses(const struct process *process)
{
    return process->uses;
}

bool process_is_quiet(const struct process *process)
{
    return !process->exited && !process->out_ended && process->stop == PROCESS_STOP_NONE &&
           process->child.in >= 0 && process->in.len == 0 && process->out.len == 0;
}

struct buffer *process_output(struct process *process)
{
    return &process->out;
}

void process_pause(struct process *process)
{
    process->paused = true;
    ev_io_stop(process->loop, &process->out_io);
}

void process_resume(struct process *process)
{
    process->paused = false;
    if (!process->out_ended && !process->exited)
        ev_io_start(process->loop, &process->out_io);
    if (process->exited)
        read_rest(process);
}

/* ---- the end */

static void set_stop_timer(struct process *process, double seconds)
{
    ev_timer_stop(process->loop, &process->stop_timer);
    ev_timer_set(&process->stop_timer, seconds, 0.);
    ev_timer_start(process->loop, &process->stop_timer);
}

void process_stop(struct process *process, enum process_stop step)
{
    if (step <= process->stop)
        return;
    process->stop = step;
    switch (step) {
    case PROCESS_STOP_ASK: set_stop_timer(process, process->ask_grace); break;
    case PROCESS_STOP_TERM:
        child_signal(&process->child, SIGTERM);
        set_stop_timer(process, process->kill_grace);
        break;
    case PROCESS_STOP_KILL:
        ev_timer_stop(process->loop, &process->stop_timer);
        child_signal(&process->child, SIGKILL);
        break;
    case PROCESS_STOP_NONE: break;
    }
}

static void on_stop_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct process *process = watcher->data;
    process_stop(process, process->stop + 1);
}

bool process_exited(const struct process *process)
{
    return process->exit_told;
}

void process_describe_exit(const struct process *process, struct buffer *out)
{
    if (process->exit.by_signal)
        buffer_printf(
            out, "was killed by signal %d (%s)", process->exit.code, strsignal(process->exit.code));
    else
        buffer_printf(out, "exited with status %d", process->exit.code);
}

enum process_stop process_asked(const struct process *process)
{
    return process->exited ? process->left_at : process->stop;
}

pid_t process_pid(const struct process *process)
{
    return process->child.pid;
}

void process_narrow(struct process *process)
{
    (void)fcntl(process->child.out, F_SETPIPE_SZ, NARROW_BYTES);
}

size_t process_unread(const struct process *process)
{
    int waiting = 0;
    return ioctl(process->child.out, FIONREAD, &waiting) == 0 ? (size_t)waiting : 0;
}

uint64_t process_memory(const struct process *process)
{
    return process->exited ? 0 : memory_of_tree(process->child.pid);
}

enum process_cause process_cause(const struct process *process)
{
    return process->cause;
}

bool process_succeeded(const struct process *process)
{
    return process->exited && !process->exit.by_signal && process->exit.code == 0;
}

struct span process_last_words(const struct process *process)
{
    return stderr_log_tail(&process->err);
}

/* ---- life */

static void watch(struct process *process, ev_io *watcher,
    void (*callback)(struct ev_loop *, ev_io *, int), int fd, int events)
{
    ev_io_init(watcher, callback, fd, events);
    watcher->data = process;
    if (events == EV_READ)
        ev_io_start(process->loop, watcher);
}

int process_new(struct process **ret_process, const struct process_options *options,
    const struct process_events *events, void *context)
{
    struct process *process = calloc(1, sizeof(*process));
    if (!process)
        return -ENOMEM;
    process->child = CHILD_NONE;
    process->kills_before = memory_kills();
    int rc = child_spawn(&process->child, options->program);
    if (rc < 0) {
        free(process);
        return rc;
    }
    process->limits_cpu = options->program->cpu_max_ms > 0;
    process->loop = options->loop;
    process->events = events;
    process->context = context;
    process->in_max = options->input_max;
    process->ask_grace = (double)options->ask_grace_ms / 1000.;
    process->kill_grace = (double)options->kill_grace_ms / 1000.;
    stderr_log_init(&process->err, options->log_name);
    watch(process, &process->pid_io, on_pid, process->child.pid_fd, EV_READ);
    watch(process, &process->out_io, on_readable, process->child.out, EV_READ);
    watch(process, &process->err_io, on_stderr, process->child.err, EV_READ);
    watch(process, &process->in_io, on_writable, process->child.in, EV_WRITE);
    ev_timer_init(&process->stop_timer, on_stop_timer, 0., 0.);
    process->stop_timer.data = process;
    *ret_process = process;
    return 0;
}

/* The killed leader is waited for: SIGKILL needs no cooperation, and nobody else would reap it. */
static void end_now(struct process *process)
{
    struct child_exit ignored;
    if (process->exited)
        return;
    child_signal(&process->child, SIGKILL);
    while (child_reap(&ignored, &process->child) == -EAGAIN) {
        struct pollfd exited = {.fd = process->child.pid_fd, .events = POLLIN};
        poll(&exited, 1, -1);
    }
}

void process_free(struct process *process)
{
    if (!process)
        return;
    ev_io_stop(process->loop, &process->pid_io);
    ev_io_stop(process->loop, &process->in_io);
    ev_io_stop(process->loop, &process->out_io);
    ev_io_stop(process->loop, &process->err_io);
    ev_timer_stop(process->loop, &process->stop_timer);
    end_now(process);
    child_close(&process->child);
    buffer_deinit(&process->in);
    buffer_deinit(&process->out);
    stderr_log_deinit(&process->err);
    free(process);
}
