/* SPDX-License-Identifier: Apache-2.0 */
/* run-info and user: one of them, with everything that is known. */
#include "retained.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the summary of a run's events */

struct summary {
    const char *run_id;
    uint64_t by_type[EVENT_TYPE_COUNT];
    uint64_t count, synthetic, bytes;
    uint64_t first_seq, last_seq;
    uint64_t first_at, started_at, last_at; /* wall clock, as the events say */
    json_t *failure;                        /* what a fatal error says of it, or NULL */
};

static bool take_event(void *context, const struct event *event, uint64_t prev)
{
    struct summary *summary = context;
    (void)prev;
    if (!span_is(event->run_id, summary->run_id))
        return true;
    if (summary->count++ == 0) {
        summary->first_seq = event_first_seq(event);
        summary->first_at = event->timestamp;
    }
    if (event->type == EVENT_AGENT_STARTED)
        summary->started_at = event->timestamp;
    summary->by_type[event->type]++;
    summary->synthetic += (event->flags & EVENT_FLAG_SYNTHETIC) != 0;
    summary->bytes += event->data.len;
    summary->last_seq = event->seq;
    summary->last_at = event->timestamp;
    if (event_is_terminal(event) && event->type == EVENT_ERROR_EVENT)
        summary->failure = json_loadb(event->data.data, event->data.len, 0, NULL);
    return !event_is_terminal(event);
}

static void set_uint(json_t *object, const char *name, uint64_t number)
{
    json_object_set_new(object, name, json_integer((json_int_t)number));
}

static json_t *summary_json(const struct summary *summary)
{
    json_t *object = json_object(), *types = json_object();
    set_uint(object, "count", summary->count);
    if (summary->count) {
        set_uint(object, "first_seq", summary->first_seq);
        set_uint(object, "last_seq", summary->last_seq);
        set_uint(object, "data_bytes", summary->bytes);
        set_uint(object, "synthetic", summary->synthetic);
        set_uint(object, "took_ms",
            summary->last_at > summary->first_at ? summary->last_at - summary->first_at : 0);
    }
    if (summary->started_at)
        set_uint(object, "start_took_ms",
            summary->started_at > summary->first_at ? summary->started_at - summary->first_at : 0);
    for (int type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        if (summary->by_type[type])
            set_uint(types, event_type_name((enum event_type)type), summary->by_type[type]);
    }
    json_object_set_new(object, "by_type", types);
    return object;
}

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static enum cli_status add_summary(const struct ask *ask, json_t *run, const char *run_id)
{
    struct summary summary = {.run_id = run_id};
    uint64_t head = number_of(run, "head"), oldest = number_of(run, "oldest");
    uint64_t first = number_of(run, "first_seq");
    bool trimmed = first < oldest;
    const struct retained retained = {.ask = ask,
        .user = json_string_value(json_object_get(run, "user_id")),
        .epoch = json_string_value(json_object_get(run, "epoch")),
        .after = trimmed ? oldest - 1 : first - 1,
        .last = head,
        .on_event = take_event,
        .context = &summary};
    if (retained.user && retained.epoch && head >= oldest && retained.after < head) {
        enum cli_status status = retained_read(&retained);
        if (status != CLI_GO_ON) {
            json_decref(summary.failure);
            return status;
        }
    }
    if (summary.failure)
        json_object_set_new(run, "failure", summary.failure);
    json_object_set_new(run, "events", summary_json(&summary));
    json_object_set_new(run, "trimmed", json_boolean(trimmed));
    json_object_del(run, "head");
    json_object_del(run, "oldest");
    return CLI_GO_ON;
}

/* ---- the verbs */

struct detail {
    const char *name; /* of the verb */
    const char *what; /* of the query */
    const char *member;
    const char *operand;
    const char *program, *summary, *examples;
    enum cli_status (*complete)(const struct ask *ask, json_t *answer, const char *id);
};

static enum cli_status show_detail(const struct detail *detail, const struct config *config,
    const char *const *operands, bool json)
{
    struct ask ask;
    json_t *answer = NULL;
    if (!operands[0] || operands[1])
        return cli_fail(CLI_USAGE, detail->name, "takes one %s", detail->operand);
    if (!cli_identifier(detail->name, detail->member, operands[0]))
        return CLI_USAGE;
    enum cli_status status = ask_init(&ask, detail->name, config);
    if (status == CLI_GO_ON)
        status = ask_broker(
            &ask, detail->what, json_pack("{s:s}", detail->member, operands[0]), &answer);
    if (status == CLI_GO_ON && detail->complete)
        status = detail->complete(&ask, answer, operands[0]);
    if (status == CLI_GO_ON)
        return ask_show(&ask, answer, json);
    json_decref(answer);
    return status;
}

static enum cli_status run_detail(const struct detail *detail, int argc, char **argv)
{
    const char *json = NULL;
    const struct config_flag flags[] = {
        {"json", NULL, "one JSON object", &json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = detail->program,
        .summary = detail->summary,
        .sections = sections,
        .flags = flags,
        .operands = detail->operand,
        .examples = detail->examples,
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        status = show_detail(detail, &config, config.operands, json);
        config_deinit(&config);
    }
    return status;
}

enum cli_status verb_run_info(int argc, char **argv)
{
    static const struct detail detail = {
        .name = "run-info",
        .what = "run",
        .member = "run_id",
        .operand = "RUN",
        .program = "ringside run-info",
        .summary =
            "Shows one run, going on or ended: whose, where, in what state, its open tools, and\n"
            "what its retained events are.",
        .examples = "  ringside run-info r-01kbayxk2fd6cphn4w9k7m3q5s\n"
                    "  ringside run-info --json r-01kbayxk2fd6cphn4w9k7m3q5s | jq .events\n",
        .complete = add_summary,
    };
    return run_detail(&detail, argc, argv);
}

enum cli_status verb_user(int argc, char **argv)
{
    static const struct detail detail = {
        .name = "user",
        .what = "user",
        .member = "user",
        .operand = "USER",
        .program = "ringside user",
        .summary =
            "Shows one user: the stream, which gateways have it and how far they are, open runs.",
        .examples = "  ringside user alice\n",
    };
    return run_detail(&detail, argc, argv);
}
