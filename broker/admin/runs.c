/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: those that have not ended, and what became of one. */
#include "admin/admin.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>

static void append_id(struct buffer *out, const char *name, const char *id)
{
    if (id[0])
        json_append_member(out, name, span_of_string(id));
}

static void append_run(struct buffer *out, const struct run *run)
{
    json_append_member(out, "run_id", span_of_string(run->id));
    json_append_member(out, "user_id", span_of_string(run->user->id));
    append_id(out, "thread_id", run->thread_id);
    append_id(out, "agent", run->agent);
    json_append_member(out, "state", span_of_string(run_state_name(run->state)));
}

/* Since it was accepted, or was first heard of. */
static void append_age(struct buffer *out, const struct run *run)
{
    uint64_t now_ms = clock_wall_ms();
    if (run->accepted_ms)
        json_append_member_uint(
            out, "age_ms", now_ms > run->accepted_ms ? now_ms - run->accepted_ms : 0);
}

static const char *worker_name(const struct broker *broker, const struct run *run)
{
    LIST_FOR_EACH(struct worker, worker, &broker->workers.list, workers_link)
    {
        if (run->placed && worker->process == run->process &&
            worker->incarnation == run->incarnation)
            return worker->link->name;
    }
    return "";
}

/* ---- the list */

struct runs_page {
    struct admin_page page;
    struct span state, user, agent; /* filters; empty: any */
};

static bool matches(struct span filter, const char *text)
{
    return filter.len == 0 || span_is(filter, text);
}

static void add_run(struct runs_page *runs, const struct run *run)
{
    struct buffer *out = runs->page.request->out;
    runs->page.looks++;
    if (!matches(runs->state, run_state_name(run->state)) || !matches(runs->agent, run->agent) ||
        !matches(runs->user, run->user->id))
        return;
    admin_page_row(&runs->page);
    append_run(out, run);
    append_id(out, "worker", worker_name(runs->page.request->broker, run));
    append_age(out, run);
    buffer_append_char(out, '}');
}

static void add_scanned(void *context, void *value)
{
    add_run(context, value);
}

static bool known_state(struct span name)
{
    for (unsigned state = 0; state < RUN_STATE_COUNT; state++) {
        if (span_is(name, run_state_name((enum run_state)state)))
            return true;
    }
    return name.len == 0;
}

bool admin_runs(struct admin_request *request)
{
    struct runs_page runs;
    if (!admin_filter(request, "state", &runs.state) ||
        !admin_filter(request, "user", &runs.user) || !admin_filter(request, "agent", &runs.agent))
        return false;
    if (!known_state(runs.state))
        return admin_refuse(request, "invalid_argument", "a run has no such state");
    if (!admin_page_begin(&runs.page, request, "runs"))
        return false;
    do {
        runs.page.cursor =
            map_scan(&request->broker->pipeline.runs, runs.page.cursor, add_scanned, &runs);
        runs.page.looks++;
    } while (runs.page.cursor && admin_page_has_room(&runs.page));
    admin_page_end(&runs.page);
    return true;
}

/* ---- one run */

static void append_open_items(struct buffer *out, const struct run *run)
{
    uint64_t now_ms = clock_wall_ms();
    json_append_name(out, "open_tools");
    buffer_append_char(out, '[');
    LIST_FOR_EACH(struct open_item, tool, &run->grammar.open[GRAMMAR_TOOL], item.link)
    {
        buffer_append_string(out, out->data[out->len - 1] == '[' ? "{" : ",{");
        json_append_member(out, "tool_call_id", span_of_string(tool->item.id));
        json_append_member(out, "tool_name", span_of_string(tool->label));
        json_append_member_uint(
            out, "age_ms", now_ms > tool->since_ms ? now_ms - tool->since_ms : 0);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

static void append_details(struct buffer *out, const struct broker *broker, const struct run *run)
{
    buffer_append_char(out, '{');
    append_run(out, run);
    append_id(out, "request_id", run->request_id);
    append_id(out, "message_id", run->message_id);
    append_id(out, "retry_of", run->retry_of);
    append_id(out, "worker", worker_name(broker, run));
    json_append_member_bool(out, "ended", run_state_final(run->state));
    json_append_member_uint(out, "attempts", run->attempts);
    json_append_member_uint(out, "accepted_at", run->accepted_ms);
    if (run->deadline_ms)
        json_append_member_uint(out, "deadline_at", run->deadline_ms);
    if (!run_state_final(run->state)) {
        append_age(out, run);
        append_open_items(out, run);
    }
    json_append_member_uint(out, "first_seq", run->first_seq);
    json_append_member(out, "epoch", span_of_string(history_epoch(run->user->stream)));
    json_append_member_uint(out, "head", history_shown_head(run->user->stream));
    json_append_member_uint(out, "oldest", history_oldest(run->user->stream));
    buffer_append_char(out, '}');
}

/* A run that has ended is made again from its record, looked at, and let go. */
static bool append_ended(struct admin_request *request, struct span run_id)
{
    struct buffer record = BUFFER_INIT;
    struct broker *broker = request->broker;
    struct run *run = NULL;
    struct span user_id;
    enum run_state state;
    int rc = history_find_run(broker->history, run_id, &record);
    if (!rc)
        rc = run_peek(buffer_span(&record), &user_id, &state);
    struct user *user = rc ? NULL : users_get(&broker->users, user_id);
    if (user)
        rc = run_decode(&run, user, run_id, buffer_span(&record));
    if (run) {
        append_details(request->out, broker, run);
        run_free(run);
    }
    buffer_deinit(&record);
    if (rc == -ENOENT)
        return admin_refuse(request, "run_not_found", "there is no such run, or it is trimmed");
    if (rc || !user)
        return admin_refuse(request, "internal", "the run's record cannot be read");
    return true;
}

bool admin_run(struct admin_request *request)
{
    struct span run_id;
    if (!admin_identifier(request, "run_id", &run_id))
        return false;
    const struct run *run = pipeline_find(&request->broker->pipeline, run_id);
    if (!run)
        return append_ended(request, run_id);
    append_details(request->out, request->broker, run);
    return true;
}
