/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run, from the request to its last event. The stream is opened live before the request goes
 * out, so that nothing of the run can be missed; events that come before the broker has said which
 * run it is are kept until then. A request that may have been lost with the link is sent again
 * under the same message id, which starts nothing twice.
 */
#include "cli.h"
#include "control.h"
#include "event_line.h"
#include "stream.h"

#include "base/identifier.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "base/paths.h"
#include "event/codec.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct request {
    const char *user;
    const char *thread;
    const char *agent;
    const char *retry_of;
    struct buffer content; /* JSON */
    char message[IDENTIFIER_MADE_SIZE];
};

struct run {
    struct ev_loop *loop;
    struct stream *stream;
    const char *run_dir;
    struct request request;
    struct event_view view;
    struct buffer line;
    struct buffer early; /* encoded events, while run_id is not known */
    char run_id[IDENTIFIER_SIZE];
    uint64_t sent;   /* the number of the request that is out, 0: none */
    uint64_t prev;   /* the last event shown, or where the view began */
    bool began;      /* prev is known */
    bool cancelling; /* asked for; sent as soon as it can be */
    enum cli_status status;
    ev_signal interrupted;
    ev_signal terminated;
};

static void leave(struct run *run, enum cli_status status)
{
    run->status = status;
    ev_break(run->loop, EVBREAK_ALL);
}

/* ---- sending */

static void send_request(struct run *run)
{
    run->sent = stream_next_request(run->stream);
    const struct wire_message message = {.kind = WIRE_CHAT_SEND,
        .chat_send = {.request = run->sent,
            .user = span_of_string(run->request.user),
            .thread_id = span_of_string(run->request.thread),
            .message_id = span_of_string(run->request.message),
            .content = buffer_span(&run->request.content),
            .agent = span_of_string(run->request.agent),
            .retry_of = span_of_string(run->request.retry_of)}};
    int rc = stream_send(run->stream, &message);
    if (rc < 0 && rc != -ENOTCONN) /* without a link it is sent when there is one */
        leave(run, cli_fail(CLI_FAILED, "run", "the request cannot be sent: %s", strerror(-rc)));
}

static void send_cancel(struct run *run)
{
    if (!run->run_id[0])
        return; /* sent when the broker has said which run it is */
    const struct wire_message message = {.kind = WIRE_RUN_CANCEL,
        .run_cancel = {.request = stream_next_request(run->stream),
            .user = span_of_string(run->request.user),
            .run_id = span_of_string(run->run_id),
            .reason = SPAN_LITERAL("interrupted at the shell")}};
    stream_send(run->stream, &message);
}

/* ---- events */

static bool ended_well(const struct event *event)
{
    if (event->type != EVENT_AGENT_COMPLETED || (event->flags & EVENT_FLAG_OUTCOME_CANCELLED))
        return false;
    json_t *data = json_loadb(event->data.data, event->data.len, 0, NULL);
    const char *outcome = json_string_value(json_object_get(data, "outcome"));
    bool success = outcome && strcmp(outcome, "success") == 0;
    json_decref(data);
    return success;
}

static void show(struct run *run, const struct event *event)
{
    if (!span_is(event->run_id, run->run_id))
        return;
    buffer_clear(&run->line);
    event_line_append(&run->line, &run->view, event, run->prev);
    run->prev = event->seq;
    fwrite(run->line.data, 1, run->line.len, stdout);
    if (fflush(stdout) != 0)
        leave(run, cli_fail(CLI_FAILED, "run", "standard output: %s", strerror(errno)));
    else if (event_is_terminal(event))
        leave(run, ended_well(event) ? CLI_DONE : CLI_FAILED);
}

static void on_event(void *context, const struct event *event, uint64_t prev)
{
    struct run *run = context;
    if (!run->began)
        run->prev = prev;
    run->began = true;
    if (run->run_id[0])
        show(run, event);
    else
        event_encode(&run->early, event);
}

static void show_early(struct run *run)
{
    struct event event;
    size_t offset = 0;
    while (event_decode_next(&event, buffer_span(&run->early), &offset) > 0)
        show(run, &event);
    buffer_deinit(&run->early);
}

/* ---- the stream */

static void learn_run(struct run *run, struct span result)
{
    json_t *object = json_loadb(result.data ? result.data : "", result.len, 0, NULL);
    const char *run_id = json_string_value(json_object_get(object, "run_id"));
    if (run_id && strlen(run_id) < sizeof(run->run_id))
        snprintf(run->run_id, sizeof(run->run_id), "%s", run_id);
    json_decref(object);
    if (!run->run_id[0]) {
        leave(run, cli_fail(CLI_FAILED, "run", "the broker did not say which run it started"));
        return;
    }
    show_early(run);
    if (run->cancelling)
        send_cancel(run);
}

static void on_reply(void *context, const struct wire_reply *reply)
{
    struct run *run = context;
    if (reply->request != run->sent || run->run_id[0])
        return;
    if (reply->code.len)
        leave(run, cli_fail(CLI_FAILED, "run", "the request was refused: %.*s: %.*s%s",
                       SPAN_ARG(reply->code), SPAN_ARG(reply->message),
                       span_is(reply->code, "agent_not_found")
                           ? "; `ringside agents` lists those there are, --agent names one"
                           : ""));
    else
        learn_run(run, reply->result);
}

static void on_open(void *context)
{
    struct run *run = context;
    if (!run->run_id[0])
        send_request(run);
    else if (run->cancelling)
        send_cancel(run);
}

static void on_caught_up(void *context, uint64_t position)
{
    struct run *run = context;
    if (!run->began)
        run->prev = position;
    run->began = true;
}

static void on_failed(void *context, const char *code, struct span message)
{
    struct run *run = context;
    if (strcmp(code, "unreachable") == 0)
        leave(run, cli_unreachable("run", run->run_dir));
    else
        leave(run, cli_fail(CLI_FAILED, "run", "%s: %.*s", code, SPAN_ARG(message)));
}

static const struct stream_events run_events = {
    .on_open = on_open,
    .on_event = on_event,
    .on_caught_up = on_caught_up,
    .on_reply = on_reply,
    .on_failed = on_failed,
};

/* ---- the verb */

static void on_interrupt(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct run *run = watcher->data;
    (void)loop, (void)events;
    if (run->cancelling || watcher->signum == SIGTERM) {
        leave(run, CLI_FAILED);
        return;
    }
    run->cancelling = true;
    fputs("\nringside run: cancelling; Ctrl-C again leaves\n", stderr);
    send_cancel(run);
}

static enum cli_status follow(struct run *run)
{
    const struct stream_options options = {
        .run_dir = run->run_dir, .user = run->request.user, .verb = "run", .mode = WIRE_OPEN_LIVE};
    run->loop = ev_default_loop(0);
    if (!control_present(run->run_dir))
        return cli_unreachable("run", run->run_dir);
    int rc = run->loop ? stream_new(&run->stream, run->loop, &options, &run_events, run) : -ENOMEM;
    if (rc)
        return cli_fail(CLI_FAILED, "run", "%s", strerror(-rc));
    ev_signal_init(&run->interrupted, on_interrupt, SIGINT);
    ev_signal_init(&run->terminated, on_interrupt, SIGTERM);
    run->interrupted.data = run;
    run->terminated.data = run;
    ev_signal_start(run->loop, &run->interrupted);
    ev_signal_start(run->loop, &run->terminated);
    ev_run(run->loop, 0);
    return run->status;
}

/* The words of the command line with a space between, as a JSON string. */
static enum cli_status make_content(struct buffer *out, const char *const *words)
{
    struct buffer text = BUFFER_INIT;
    for (; *words; words++) {
        if (text.len)
            buffer_append_char(&text, ' ');
        buffer_append_string(&text, *words);
    }
    enum cli_status status = CLI_DONE;
    if (text.len == 0)
        status = cli_fail(CLI_USAGE, "run", "needs the text to send: ringside run \"What is …?\"");
    else if (!utf8_valid(buffer_span(&text)))
        status = cli_fail(CLI_USAGE, "run", "the text is not valid UTF-8");
    else
        json_append_string(out, buffer_span(&text));
    if (status == CLI_DONE && out->len > WIRE_CONTENT_MAX)
        status =
            cli_fail(CLI_USAGE, "run", "the text is longer than %u KiB", WIRE_CONTENT_MAX >> 10);
    buffer_deinit(&text);
    return status;
}

struct run_flags {
    const char *user;
    const char *thread;
    const char *agent;
    const char *retry_of;
    const char *json;
};

static enum cli_status run_as_asked(
    const struct config *config, const struct run_flags *flags, const char *const *words)
{
    char run_dir[PATHS_MAX], thread[IDENTIFIER_MADE_SIZE];
    identifier_make(thread, "t-");
    struct run run = {.run_dir = run_dir,
        .view = event_view_of(stdout, flags->json != NULL),
        .request = {.user = flags->user,
            .thread = flags->thread ? flags->thread : thread,
            .agent = flags->agent ? flags->agent : "",
            .retry_of = flags->retry_of ? flags->retry_of : ""}};
    identifier_make(run.request.message, "m-");
    if (!cli_identifier("run", "user", flags->user) ||
        !cli_identifier("run", "thread", run.request.thread) ||
        (flags->agent && !cli_identifier("run", "agent", flags->agent)) ||
        (flags->retry_of && !cli_identifier("run", "retry-of", flags->retry_of)))
        return CLI_USAGE;
    if (paths_run_dir(run_dir, config->node_run_dir) < 0)
        return cli_fail(CLI_USAGE, "run", "the run directory's path is too long");
    enum cli_status status = make_content(&run.request.content, words);
    if (status == CLI_DONE)
        status = follow(&run);
    buffer_deinit(&run.request.content);
    buffer_deinit(&run.line);
    buffer_deinit(&run.early);
    return status;
}

enum cli_status verb_run(int argc, char **argv)
{
    struct run_flags flags = {.user = "demo"};
    const struct config_flag own[] = {
        {"user", "NAME", "for whom; default demo, the user of the page that `up` prints",
            &flags.user},
        {"thread", "ID", "in which conversation; default a new one", &flags.thread},
        {"agent", "NAME", "who answers; default broker.default_agent", &flags.agent},
        {"retry-of", "RUN", "the ended run of this thread that is tried again", &flags.retry_of},
        {"json", NULL, "JSON lines: the frames of the client protocol", &flags.json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside run",
        .summary =
            "Starts a run and shows its events as they happen, until its last one. Ctrl-C asks\n"
            "for the run to be cancelled; a second Ctrl-C leaves without waiting.",
        .sections = sections,
        .flags = own,
        .operands = "TEXT",
        .examples = "  ringside run \"How does a ring work?\"\n"
                    "  ringside run --agent echo --thread t-1 --json hello | jq .type\n",
        .exit_statuses =
            "  0  the run completed\n"
            "  1  it failed, was cancelled, or was refused\n"
            "  2  the command line, the environment or the configuration file is wrong\n"
            "  3  the node cannot be reached\n",
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        status = run_as_asked(&config, &flags, config.operands);
        config_deinit(&config);
    }
    return status;
}
