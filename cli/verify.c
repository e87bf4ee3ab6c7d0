/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "record_check.h"
#include "table.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define CHUNK (256u << 10)
#define SHOWN_DEFAULT 50
#define SHOWN_MAX 1000000

struct verify_flags {
    const char *json, *complete, *filtered, *limit;
};

/* ---- reading */

static int read_all(struct record_check *check, int fd)
{
    _cleanup_free_ char *chunk = malloc(CHUNK);
    int rc = chunk ? 0 : -ENOMEM;
    ssize_t len = 0;
    while (!rc && (len = read(fd, chunk, CHUNK)) != 0) {
        if (len > 0)
            rc = record_check_feed(check, span_of(chunk, (size_t)len));
        else if (errno != EINTR)
            rc = -errno;
    }
    return rc ? rc : record_check_end(check);
}

/* ---- showing */

static void append_runs(struct buffer *out, const struct record_check *check)
{
    const struct record_runs *runs = &check->runs;
    size_t cursor = 0;
    uint64_t uncertain = 0;
    for (const struct record_run *run; (run = record_runs_next(runs, &cursor));)
        uncertain += record_run_uncertain(run);
    json_append_name(out, "runs");
    buffer_append_char(out, '{');
    json_append_member_uint(out, "begun", runs->begun);
    json_append_member_uint(out, "completed", runs->completed);
    json_append_member_uint(out, "cancelled", runs->cancelled);
    json_append_member_uint(out, "failed", runs->failed);
    json_append_member_uint(out, "open", runs->open.count - uncertain);
    json_append_member_uint(out, "uncertain", uncertain);
    buffer_append_string(out, "},\"open_runs\":[");
    cursor = 0;
    for (const struct record_run *run; (run = record_runs_next(runs, &cursor));) {
        if (out->data[out->len - 1] != '[')
            buffer_append_char(out, ',');
        json_append_string(out, span_of_string(record_run_id(run)));
    }
    buffer_append_char(out, ']');
}

static void append_finding(struct buffer *out, const struct record_finding *finding)
{
    buffer_append_string(out, out->data[out->len - 1] == '[' ? "{" : ",{");
    json_append_member_uint(out, "line", finding->line);
    json_append_member(out, "rule", span_of_string(record_rule_name(finding->rule)));
    json_append_member(out, "what", span_of_string(finding->text));
    json_append_member(out, "why", span_of_string(record_rule_meaning(finding->rule)));
    buffer_append_char(out, '}');
}

static void append_report(struct buffer *out, const struct record_check *check, const char *path)
{
    const struct record_order *order = &check->order;
    const struct record_report *report = &check->report;
    buffer_append_char(out, '{');
    json_append_member(out, "file", span_of_string(path));
    json_append_member(out, "verdict", span_of_string(report->found ? "broken" : "sound"));
    json_append_member_uint(out, "lines", check->lines);
    json_append_member_uint(out, "connections", order->connections);
    json_append_member_uint(out, "events", order->events);
    json_append_member_uint(out, "repeated", order->repeats);
    json_append_member_uint(out, "folded", order->folded);
    json_append_member_uint(out, "gaps", order->gaps);
    json_append_member_uint(out, "holes", order->holes);
    if (order->epoch[0])
        json_append_member(out, "epoch", span_of_string(order->epoch));
    append_runs(out, check);
    json_append_member_uint(out, "violation_count", report->found);
    json_append_name(out, "violations");
    buffer_append_char(out, '[');
    for (size_t i = 0; i < report->count; i++)
        append_finding(out, &report->findings[i]);
    buffer_append_string(out, "]}");
}

static int show_table(const struct buffer *report)
{
    struct buffer table = BUFFER_INIT;
    json_t *object = json_loadb(report->data, report->len, 0, NULL);
    if (!object)
        return -ENOMEM;
    if (json_array_size(json_object_get(object, "violations")) == 0)
        json_object_del(object, "violations");
    table_append(&table, object);
    json_decref(object);
    int rc = buffer_error(&table);
    if (!rc)
        fwrite(table.data, 1, table.len, stdout);
    buffer_deinit(&table);
    return rc;
}

static int show(const struct record_check *check, const char *path, bool json)
{
    struct buffer report = BUFFER_INIT;
    append_report(&report, check, path);
    int rc = buffer_error(&report);
    if (!rc && json)
        printf("%.*s\n", SPAN_ARG(buffer_span(&report)));
    else if (!rc)
        rc = show_table(&report);
    buffer_deinit(&report);
    return rc;
}

/* ---- the verb */

static enum cli_status verify(const char *path, const struct record_options *options, bool json)
{
    bool from_stdin = strcmp(path, "-") == 0;
    _cleanup_close_ int file = from_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    struct record_check check;
    if (!from_stdin && file < 0)
        return cli_fail(CLI_USAGE, "verify", "%s: %s", path, strerror(errno));
    record_check_init(&check, options);
    int rc = read_all(&check, from_stdin ? STDIN_FILENO : file);
    enum cli_status status = check.report.found ? CLI_FAILED : CLI_DONE;
    if (rc == 0)
        rc = show(&check, path, json);
    record_check_deinit(&check);
    return rc ? cli_fail(CLI_USAGE, "verify", "%s: %s", path, strerror(-rc)) : status;
}

static enum cli_status verify_as_asked(const struct verify_flags *flags, const char **operands)
{
    uint64_t limit = SHOWN_DEFAULT;
    if (!operands[0] || operands[1])
        return cli_fail(CLI_USAGE, "verify", "takes one FILE, or - for standard input");
    if (flags->limit && !cli_number("verify", "limit", flags->limit, SHOWN_MAX, &limit))
        return CLI_USAGE;
    const struct record_options options = {
        .complete = flags->complete, .filtered = flags->filtered, .limit = (size_t)limit};
    return verify(operands[0], &options, flags->json);
}

enum cli_status verb_verify(int argc, char **argv)
{
    struct verify_flags flags = {NULL, NULL, NULL, NULL};
    const struct config_flag list[] = {
        {"complete", NULL, "a run that has no end is a violation", &flags.complete},
        {"filtered", NULL, "the connections were of some threads only: prev may differ",
            &flags.filtered},
        {"limit", "N", "violations to show; all are counted; default 50", &flags.limit},
        {"json", NULL, "one JSON object", &flags.json},
        {NULL, NULL, NULL, NULL},
    };
    const struct config_program program = {
        .name = "ringside verify",
        .summary =
            "Checks a record of one user's stream: that no event is missing, repeated, out of\n"
            "order or changed, and that every run keeps to the grammar of runs. FILE has a frame\n"
            "a line, as `ringside tail --json` and `ringside run --json` print them or as a\n"
            "client received them, control frames and replies included; - is standard input.\n"
            "Several connections may follow each other: each begins with its \"welcome\", and\n"
            "may repeat what an earlier one had, byte for byte. Needs no node.",
        .flags = list,
        .operands = "FILE",
        .examples = "  ringside tail --cursor start --json > record.jsonl      # Ctrl-C ends it\n"
                    "  ringside verify record.jsonl\n"
                    "  ringside run --json \"What is a ring?\" | ringside verify --complete -\n"
                    "  ringside verify --json record.jsonl | jq '.violations[]'\n",
        .exit_statuses = "  0  the record keeps every promise that can be seen in it\n"
                         "  1  it does not; each violation is shown with its line\n"
                         "  2  the command line is wrong, or FILE cannot be read\n",
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        status = verify_as_asked(&flags, config.operands);
        config_deinit(&config);
    }
    return status;
}
