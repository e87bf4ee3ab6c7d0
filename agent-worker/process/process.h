/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "process/child.h"

#include "base/buffer.h"

#include <ev.h>

/*
 * A child process on the loop: its stdin is a bounded queue, its stdout arrives in a buffer, its
 * stderr goes to the log, its exit is told once, after all that it wrote has been given. Ending it
 * escalates, and never goes back. Loop thread only.
 */
struct process;

/* How firmly a process is asked to leave; each step follows the one before after its grace time. */
enum process_stop {
    PROCESS_STOP_NONE,
    PROCESS_STOP_ASK, /* the owner has asked it in its own words */
    PROCESS_STOP_TERM,
    PROCESS_STOP_KILL,
};

struct process_options {
    struct ev_loop *loop;          /* borrowed */
    const struct program *program; /* only during the call */
    const char *log_name;          /* what stands before its lines of stderr; copied */
    size_t input_max;              /* bytes that may wait for it to read them */
    uint64_t ask_grace_ms;         /* from asking to SIGTERM */
    uint64_t kill_grace_ms;        /* from SIGTERM to SIGKILL */
};

struct process_events {
    /* More bytes stand at the end of process_output(); the owner takes them out, or pauses. */
    void (*on_output)(void *context);
    /* It has exited and been reaped, and all its output was given. Once. */
    void (*on_exit)(void *context);
};

/* `events` and `context` are borrowed. -errno when the program cannot be started. */
int process_new(struct process **ret_process, const struct process_options *options,
    const struct process_events *events, void *context);
/* Kills it when it still runs. Not from inside one of its events. Takes NULL. */
void process_free(struct process *process);

/*
 * The process has another owner from now on: what stands in for the name, bound and events it was
 * made with. Not from inside one of its events.
 */
void process_hand_over(struct process *process, const char *log_name, size_t input_max,
    const struct process_events *events, void *context);
/* How many owners have written to its stdin. */
uint64_t process_uses(const struct process *process);
/* It runs, nobody has asked it to leave, it has said all that is to be read, and read all it was
 * sent. */
bool process_is_quiet(const struct process *process);
struct buffer *process_output(struct process *process);
/* Queues bytes for its stdin. -ENOBUFS when too much waits already: it does not read. Bytes for a
 * process that has closed its stdin or exited are dropped, as its exit says more. */
int process_write(struct process *process, struct span bytes);
/* Closes its stdin once the queue is written. */
void process_end_input(struct process *process);
/* Reads no more of its output, so that its pipe fills and it waits. */
void process_pause(struct process *process);
/* Goes on reading; may call the events. */
void process_resume(struct process *process);
void process_stop(struct process *process, enum process_stop step);
bool process_exited(const struct process *process);
/* For signals; not after its exit. */
pid_t process_pid(const struct process *process);
/* Lets little fit into its stdout's pipe, so that it soon waits when nobody reads. */
void process_narrow(struct process *process);
/* Bytes in that pipe. */
size_t process_unread(const struct process *process);
/* Appends how it ended, in words: "exited with status 3", "was killed by signal 9 (Killed)". */
void process_describe_exit(const struct process *process, struct buffer *out);
/* How firmly it is asked to leave; of one that has exited, how firmly it was by then. */
enum process_stop process_asked(const struct process *process);
/* Whether it exited by itself with status 0. */
bool process_succeeded(const struct process *process);
/* What it and all it started take, in bytes; 0 once it has exited. */
uint64_t process_memory(const struct process *process);
/* Why it ended, where that has a name; PROCESS_EXITED for everything else. */
enum process_cause {
    PROCESS_EXITED,
    PROCESS_OUT_OF_MEMORY,   /* the kernel killed it for want of memory */
    PROCESS_OUT_OF_CPU_TIME, /* its program's cpu_max_ms */
};
enum process_cause process_cause(const struct process *process);
/* Takes what it has written on stderr by now, before the loop comes to it. */
void process_read_stderr(struct process *process);
/* The last lines of its stderr. Borrowed until the next event. */
struct span process_last_words(const struct process *process);
