/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "process/process.h"

/*
 * A command run to its end: bytes in, bytes out, within limits. Whatever happens, it ends once
 * with one of these. Loop thread only.
 */
enum command_end {
    COMMAND_EXITED,    /* by itself; how, process_succeeded() and the like say */
    COMMAND_TIMED_OUT, /* killed */
    COMMAND_TOO_MUCH,  /* killed: it wrote more than it may */
    COMMAND_KILLED,    /* by command_kill */
};

struct command;

struct command_options {
    struct ev_loop *loop;
    const struct program *program; /* only during the call */
    const char *log_name;
    struct span input; /* all of its stdin; copied */
    uint64_t timeout_ms;
    size_t output_max;
};

/* The command is gone. May free it. Never called from within another call on it. */
typedef void (*command_ended_fn)(void *context, struct command *command);

int command_new(struct command **ret_command, const struct command_options *options,
    command_ended_fn on_ended, void *context);
/* Takes NULL. Kills it when it still runs. */
void command_free(struct command *command);
/* Kills it with all it started; it ends soon after. */
void command_kill(struct command *command);

/* These only once it has ended. */
enum command_end command_how(const struct command *command);
struct span command_output(const struct command *command);
const struct process *command_process(const struct command *command);
