/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancels as a client of the run's user does, over a link: the answer comes after the commit that
 * makes it true. The stream is opened before the request goes out, so that --wait misses no end.
 */
#include "ask.h"
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct cancel {
    const struct ask *ask;
    struct ev_loop *loop;
    struct stream *stream;
    const char *run_id, *user, *reason;
    bool wait;
    uint64_t sent; /* the number of the request; 0: none is out */
    const char *outcome;
    char answered[32]; /* the state the broker answered with */
    enum cli_status status;
    bool over;
};

static void leave(struct cancel *cancel, enum cli_status status)
{
    if (!cancel->over)
        cancel->status = status;
    cancel->over = true;
    ev_break(cancel->loop, EVBREAK_ALL);
}

static void on_open(void *context)
{
    struct cancel *cancel = context;
    cancel->sent = stream_next_request(cancel->stream);
    const struct wire_message message = {.kind = WIRE_RUN_CANCEL,
        .run_cancel = {.request = cancel->sent,
            .user = span_of_string(cancel->user),
            .run_id = span_of_string(cancel->run_id),
            .reason = span_of_string(cancel->reason)}};
    stream_send(cancel->stream, &message); /* a lost link opens, and asks, again */
}

static void on_event(void *context, const struct event *event, uint64_t prev)
{
    struct cancel *cancel = context;
    (void)prev;
    if (!event_is_terminal(event) || !span_is(event->run_id, cancel->run_id))
        return;
    bool cancelled = event->flags & EVENT_FLAG_OUTCOME_CANCELLED;
    cancel->outcome = cancelled                          ? "cancelled"
                      : event->type == EVENT_ERROR_EVENT ? "failed"
                                                         : "completed";
    if (cancel->answered[0])
        leave(cancel, CLI_GO_ON);
}

static void on_caught_up(void *context, uint64_t position)
{
    (void)context, (void)position;
}

static void on_reply(void *context, const struct wire_reply *reply)
{
    struct cancel *cancel = context;
    if (reply->request != cancel->sent)
        return;
    if (reply->code.len) {
        leave(cancel, cli_fail(CLI_FAILED, "cancel", "%.*s: %.*s", SPAN_ARG(reply->code),
                          SPAN_ARG(reply->message)));
        return;
    }
    json_t *result = json_loadb(reply->result.data, reply->result.len, 0, NULL);
    const char *state = json_string_value(json_object_get(result, "status"));
    snprintf(cancel->answered, sizeof(cancel->answered), "%s", state ? state : "cancelling");
    json_decref(result);
    bool ending = strcmp(cancel->answered, "cancelling") == 0;
    if (!cancel->wait || !ending || cancel->outcome)
        leave(cancel, CLI_GO_ON);
}

static void on_failed(void *context, const char *code, struct span message)
{
    struct cancel *cancel = context;
    if (strcmp(code, "unreachable") == 0)
        leave(cancel, cli_unreachable("cancel", cancel->ask->run_dir));
    else
        leave(cancel, cli_fail(CLI_FAILED, "cancel", "%s: %.*s", code, SPAN_ARG(message)));
}

static enum cli_status perform(struct cancel *cancel)
{
    static const struct stream_events events = {
        .on_open = on_open,
        .on_event = on_event,
        .on_caught_up = on_caught_up,
        .on_reply = on_reply,
        .on_failed = on_failed,
    };
    const struct stream_options options = {.run_dir = cancel->ask->run_dir,
        .user = cancel->user,
        .verb = "cancel",
        .mode = WIRE_OPEN_LIVE};
    cancel->loop = ev_default_loop(0);
    int rc = cancel->loop ? stream_new(&cancel->stream, cancel->loop, &options, &events, cancel)
                          : -ENOMEM;
    if (rc)
        return cli_fail(CLI_FAILED, "cancel", "%s", strerror(-rc));
    ev_run(cancel->loop, 0);
    return cancel->status;
}

struct cancel_flags {
    const char *json, *reason, *wait;
};

static enum cli_status cancel_run(
    const struct config *config, const char *const *operands, const struct cancel_flags *flags)
{
    struct ask ask;
    json_t *run = NULL;
    if (!operands[0] || operands[1])
        return cli_fail(CLI_USAGE, "cancel", "takes one RUN");
    if (!cli_identifier("cancel", "run_id", operands[0]))
        return CLI_USAGE;
    enum cli_status status = ask_init(&ask, "cancel", config);
    if (status == CLI_GO_ON)
        status = ask_broker(&ask, "run", json_pack("{s:s}", "run_id", operands[0]), &run);
    if (status != CLI_GO_ON)
        return status;
    struct cancel cancel = {.ask = &ask,
        .run_id = operands[0],
        .user = json_string_value(json_object_get(run, "user_id")),
        .reason = flags->reason ? flags->reason : "cancelled by an administrator",
        .wait = flags->wait};
    status = cancel.user ? perform(&cancel) : CLI_FAILED;
    if (status == CLI_GO_ON)
        status = ask_show(&ask,
            json_pack("{s:s,s:s}", "run_id", operands[0], "status",
                cancel.outcome ? cancel.outcome : cancel.answered),
            flags->json);
    json_decref(run);
    return status;
}

enum cli_status verb_cancel(int argc, char **argv)
{
    struct cancel_flags flags = {NULL, NULL, NULL};
    const struct config_flag list[] = {
        {"reason", "TEXT", "what the agent is told", &flags.reason},
        {"wait", NULL, "leave when the run has ended", &flags.wait},
        {"json", NULL, "one JSON object", &flags.json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside cancel",
        .summary =
            "Asks for a run to be stopped and prints its state: `cancelling` while the agent has\n"
            "time to stop by itself (broker.cancel_grace), then how it ended. A run that has "
            "ended\n"
            "already is left as it is.",
        .sections = sections,
        .flags = list,
        .operands = "RUN",
        .examples = "  ringside cancel --wait r-01kbayxk2fd6cphn4w9k7m3q5s\n"
                    "  ringside cancel --reason \"too expensive\" r-01kbayxk2fd6cphn4w9k7m3q5s\n",
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        status = cancel_run(&config, config.operands, &flags);
        config_deinit(&config);
    }
    return status;
}
