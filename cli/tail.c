/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "control.h"
#include "event_line.h"
#include "stream.h"

#include "base/identifier.h"
#include "base/paths.h"
#include "config/value.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

struct tail {
    struct ev_loop *loop;
    struct stream *stream;
    struct event_view view;
    struct buffer line;
    const char *run_dir;
    enum cli_status status;
    ev_signal interrupted;
    ev_signal terminated;
};

static void leave(struct tail *tail, enum cli_status status)
{
    tail->status = status;
    ev_break(tail->loop, EVBREAK_ALL);
}

/* Written at once: whoever reads a pipe sees each event when it happens. */
static void on_event(void *context, const struct event *event, uint64_t prev)
{
    struct tail *tail = context;
    buffer_clear(&tail->line);
    event_line_append(&tail->line, &tail->view, event, prev);
    fwrite(tail->line.data, 1, tail->line.len, stdout);
    if (fflush(stdout) != 0)
        leave(tail, cli_fail(CLI_FAILED, "tail", "standard output: %s", strerror(errno)));
}

static void on_open(void *context)
{
    (void)context;
}

static void on_caught_up(void *context, uint64_t position)
{
    struct tail *tail = context;
    if (!tail->view.json)
        fprintf(stderr, "ringside tail: caught up at %llu; new events follow, Ctrl-C leaves\n",
            (unsigned long long)position);
}

/* The frame a client is sent: without it, the next line's prev would say that events are missing.
 */
static void on_gap(void *context, uint64_t from, uint64_t to, const char *reason)
{
    struct tail *tail = context;
    if (tail->view.json)
        event_gap_print(from, to, reason);
}

static void on_reply(void *context, const struct wire_reply *reply)
{
    (void)context, (void)reply;
}

static void on_failed(void *context, const char *code, struct span message)
{
    struct tail *tail = context;
    if (strcmp(code, "unreachable") == 0)
        leave(tail, cli_unreachable("tail", tail->run_dir));
    else
        leave(tail, cli_fail(CLI_FAILED, "tail", "%s: %.*s", code, SPAN_ARG(message)));
}

static const struct stream_events tail_events = {
    .on_open = on_open,
    .on_event = on_event,
    .on_caught_up = on_caught_up,
    .on_gap = on_gap,
    .on_reply = on_reply,
    .on_failed = on_failed,
};

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct tail *tail = watcher->data;
    char cursor[STREAM_CURSOR_SIZE];
    (void)loop, (void)events;
    stream_cursor(tail->stream, cursor);
    if (tail->view.column)
        putchar('\n');
    if (!tail->view.json && cursor[0])
        fprintf(stderr, "\nringside tail: go on later with --cursor %s\n", cursor);
    leave(tail, CLI_DONE);
}

/* "start", or "EPOCH.SEQ". */
static bool parse_cursor(
    const char *cursor, struct stream_options *options, char epoch[IDENTIFIER_SIZE])
{
    if (strcmp(cursor, "start") == 0) {
        options->mode = WIRE_OPEN_START;
        return true;
    }
    const char *dot = strrchr(cursor, '.');
    if (!dot || !identifier_valid(span_of(cursor, (size_t)(dot - cursor))) ||
        config_parse_number(dot + 1, &options->after) < 0)
        return false;
    options->mode = WIRE_OPEN_CURSOR;
    memcpy(epoch, cursor, (size_t)(dot - cursor));
    epoch[dot - cursor] = '\0';
    options->epoch = epoch;
    return true;
}

static enum cli_status follow(const struct stream_options *options, bool json)
{
    struct tail tail = {.loop = ev_default_loop(0),
        .view = event_view_of(stdout, json),
        .run_dir = options->run_dir};
    if (!control_present(options->run_dir))
        return cli_unreachable("tail", options->run_dir);
    tail.view.with_run = true;
    int rc =
        tail.loop ? stream_new(&tail.stream, tail.loop, options, &tail_events, &tail) : -ENOMEM;
    if (rc)
        return cli_fail(CLI_FAILED, "tail", "%s", strerror(-rc));
    ev_signal_init(&tail.interrupted, on_signal, SIGINT);
    ev_signal_init(&tail.terminated, on_signal, SIGTERM);
    tail.interrupted.data = &tail;
    tail.terminated.data = &tail;
    ev_signal_start(tail.loop, &tail.interrupted);
    ev_signal_start(tail.loop, &tail.terminated);
    ev_run(tail.loop, 0);
    buffer_deinit(&tail.line);
    return tail.status;
}

static enum cli_status tail_as_asked(
    const struct config *config, const char *user, const char *cursor, bool json)
{
    char run_dir[PATHS_MAX], epoch[IDENTIFIER_SIZE];
    struct stream_options options = {.user = user, .verb = "tail", .mode = WIRE_OPEN_LIVE};
    if (!cli_identifier("tail", "user", user))
        return CLI_USAGE;
    if (cursor && !parse_cursor(cursor, &options, epoch))
        return cli_fail(
            CLI_USAGE, "tail", "--cursor: \"%s\" is neither \"start\" nor EPOCH.SEQ", cursor);
    if (paths_run_dir(run_dir, config->node_run_dir) < 0)
        return cli_fail(CLI_USAGE, "tail", "the run directory's path is too long");
    options.run_dir = run_dir;
    return follow(&options, json);
}

enum cli_status verb_tail(int argc, char **argv)
{
    const char *user = "demo", *cursor = NULL, *json = NULL;
    const struct config_flag flags[] = {
        {"user", "NAME", "whose events; default demo", &user},
        {"cursor", "CURSOR", "begin behind EPOCH.SEQ, or with \"start\": all that is retained",
            &cursor},
        {"json", NULL, "JSON lines: the frames of the client protocol", &json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside tail",
        .summary =
            "Follows a user's events as they happen, across restarts of the node's parts.\n"
            "Without --cursor it begins now. Ctrl-C leaves and says the cursor to go on with.",
        .sections = sections,
        .flags = flags,
        .examples = "  ringside tail\n"
                    "  ringside tail --user alice --cursor start --json | jq .type\n",
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status != CLI_GO_ON)
        return status;
    status = tail_as_asked(&config, user, cursor, json != NULL);
    config_deinit(&config);
    return status;
}
