/* SPDX-License-Identifier: Apache-2.0 */
#include "process/command.h"

#include <errno.h>
#include <stdlib.h>

/* How long a command may live on after it has closed its stdout, and again after SIGTERM. */
#define LINGER_MS 2000

struct command {
    struct process *process;
    struct ev_loop *loop; /* borrowed */
    ev_timer limit;
    ev_timer ended; /* takes the end out of the process's own event */
    size_t output_max;
    enum command_end how;
    command_ended_fn on_ended;
    void *context;
};

static void end(struct command *command, enum command_end how)
{
    if (command->how != COMMAND_EXITED)
        return;
    command->how = how;
    ev_timer_stop(command->loop, &command->limit);
    process_stop(command->process, PROCESS_STOP_KILL);
}

static void on_output(void *context)
{
    struct command *command = context;
    struct buffer *output = process_output(command->process);
    if (output->len > command->output_max)
        end(command, COMMAND_TOO_MUCH);
    if (command->how != COMMAND_EXITED)
        buffer_clear(output);
}

static void on_exit_told(void *context)
{
    struct command *command = context;
    ev_timer_stop(command->loop, &command->limit);
    ev_timer_start(command->loop, &command->ended);
}

static const struct process_events process_events = {
    .on_output = on_output, .on_exit = on_exit_told};

static void on_limit(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    end(watcher->data, COMMAND_TIMED_OUT);
}

static void on_ended(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct command *command = watcher->data;
    command->on_ended(command->context, command);
}

int command_new(struct command **ret_command, const struct command_options *options,
    command_ended_fn ended, void *context)
{
    struct command *command = calloc(1, sizeof(*command));
    if (!command)
        return -ENOMEM;
    const struct process_options process = {.loop = options->loop,
        .program = options->program,
        .log_name = options->log_name,
        .input_max = options->input.len,
        .ask_grace_ms = LINGER_MS,
        .kill_grace_ms = LINGER_MS};
    int rc = process_new(&command->process, &process, &process_events, command);
    if (rc < 0) {
        free(command);
        return rc;
    }
    command->loop = options->loop;
    command->output_max = options->output_max;
    command->on_ended = ended;
    command->context = context;
    ev_timer_init(&command->limit, on_limit, (double)options->timeout_ms / 1000., 0.);
    ev_timer_init(&command->ended, on_ended, 0., 0.);
    command->limit.data = command;
    command->ended.data = command;
    ev_timer_start(command->loop, &command->limit);
    if (process_write(command->process, options->input) < 0)
        end(command, COMMAND_KILLED);
    process_end_input(command->process);
    *ret_command = command;
    return 0;
}

void command_free(struct command *command)
{
    if (!command)
        return;
    ev_timer_stop(command->loop, &command->limit);
    ev_timer_stop(command->loop, &command->ended);
    process_free(command->process);
    free(command);
}

void command_kill(struct command *command)
{
    end(command, COMMAND_KILLED);
}

enum command_end command_how(const struct command *command)
{
    return command->how;
}

struct span command_output(const struct command *command)
{
    return buffer_span(process_output(command->process));
}

const struct process *command_process(const struct command *command)
{
    return command->process;
}
