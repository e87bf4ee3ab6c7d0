/* SPDX-License-Identifier: Apache-2.0 */
#include "event_line.h"
#include "retained.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct showing {
    struct event_view view;
    struct buffer line;
    bool failed;
};

static bool show_event(void *context, const struct event *event, uint64_t prev)
{
    struct showing *showing = context;
    buffer_clear(&showing->line);
    event_line_append(&showing->line, &showing->view, event, prev);
    fwrite(showing->line.data, 1, showing->line.len, stdout);
    showing->failed = ferror(stdout) != 0;
    return !showing->failed;
}

static void show_gap(void *context, uint64_t from, uint64_t to, const char *reason)
{
    const struct showing *showing = context;
    if (showing->view.json)
        event_gap_print(from, to, reason);
}

struct range {
    uint64_t from, to;
};

static enum cli_status show_range(
    const struct ask *ask, const char *user, struct range range, const json_t *stream, bool json)
{
    uint64_t head = (uint64_t)json_integer_value(json_object_get(stream, "head"));
    uint64_t oldest = (uint64_t)json_integer_value(json_object_get(stream, "oldest"));
    struct showing showing = {.view = event_view_of(stdout, json)};
    uint64_t from = range.from ? range.from : oldest;
    showing.view.with_run = true;
    if (from > head)
        return CLI_DONE;
    const struct retained retained = {.ask = ask,
        .user = user,
        .epoch = json_string_value(json_object_get(stream, "epoch")),
        .after = from ? from - 1 : 0,
        .last = range.to < head ? range.to : head,
        .on_event = show_event,
        .on_gap = show_gap,
        .context = &showing};
    enum cli_status status = retained.epoch ? retained_read(&retained) : CLI_FAILED;
    buffer_clear(&showing.line);
    event_line_end(&showing.line, &showing.view);
    fwrite(showing.line.data ? showing.line.data : "", 1, showing.line.len, stdout);
    buffer_deinit(&showing.line);
    if (showing.failed)
        return cli_fail(CLI_FAILED, ask->verb, "standard output: %s", strerror(errno));
    return status == CLI_GO_ON ? CLI_DONE : status;
}

static enum cli_status show_history(
    const struct config *config, const char *const *operands, struct range range, bool json)
{
    struct ask ask;
    json_t *stream = NULL;
    if (!operands[0] || operands[1])
        return cli_fail(CLI_USAGE, "history", "takes one USER");
    if (!cli_identifier("history", "user", operands[0]))
        return CLI_USAGE;
    if (range.to < range.from)
        return cli_fail(CLI_USAGE, "history", "--to is below --from");
    enum cli_status status = ask_init(&ask, "history", config);
    if (status == CLI_GO_ON)
        status = ask_broker(&ask, "user", json_pack("{s:s}", "user", operands[0]), &stream);
    if (status == CLI_GO_ON)
        status = show_range(&ask, operands[0], range, stream, json);
    json_decref(stream);
    return status;
}

enum cli_status verb_history(int argc, char **argv)
{
    const char *json = NULL, *from = NULL, *to = NULL;
    const struct config_flag flags[] = {
        {"from", "SEQ", "begin with this event; default: the oldest that is retained", &from},
        {"to", "SEQ", "end with this event; default: the newest", &to},
        {"json", NULL, "JSON lines: the frames of the client protocol", &json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside history",
        .summary =
            "Shows a user's retained events and leaves. Events that were asked for and are gone\n"
            "are said on stderr, with --json by a gap frame as well.",
        .sections = sections,
        .flags = flags,
        .operands = "USER",
        .examples = "  ringside history alice\n"
                    "  ringside history alice --from 100 --to 199 --json > page.jsonl\n"
                    "  ringside history alice --json | ringside verify -\n",
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    struct range range = {0, UINT64_MAX};
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        bool valid = (!from || cli_number("history", "from", from, INT64_MAX, &range.from)) &&
                     (!to || cli_number("history", "to", to, INT64_MAX, &range.to));
        status = valid ? show_history(&config, config.operands, range, json) : CLI_USAGE;
        config_deinit(&config);
    }
    return status;
}
