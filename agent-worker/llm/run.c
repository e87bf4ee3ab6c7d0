/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/run.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_member.h"
#include "base/json_scan.h"

#include <errno.h>
#include <stdio.h>

#define BYTES_A_TOKEN 4

void llm_run_init(struct llm_run *run, struct llm_line *line, CURLM *multi)
{
    *run = (struct llm_run){.line = line};
    run->shown.line = line;
    run->step.multi = multi;
    run->step.settings = &run->settings;
    run->step.tools = &run->tools;
    run->step.shown = &run->shown;
}

static void forget_calls(struct llm_run *run)
{
    for (size_t i = 0; i < LLM_CALLS_MAX; i++) {
        buffer_deinit(&run->pending[i].told);
        run->pending[i] = (struct llm_pending){0};
    }
    run->open = 0;
}

void llm_run_deinit(struct llm_run *run)
{
    llm_step_deinit(&run->step);
    forget_calls(run);
    llm_shown_deinit(&run->shown);
    llm_tools_deinit(&run->tools);
    llm_settings_deinit(&run->settings);
    buffer_deinit(&run->content);
    buffer_deinit(&run->messages);
}

int llm_run_prepare(struct llm_run *run, struct span params, struct buffer *problems)
{
    struct span settings, tools;
    const struct json_wanted wanted[] = {{"settings", &settings}, {"tools", &tools}};
    llm_settings_deinit(&run->settings);
    json_members(params, wanted, ARRAY_SIZE(wanted));
    int rc = llm_settings_init(&run->settings, settings, problems);
    if (!rc)
        rc = llm_tools_read(&run->tools, tools);
    if (rc == -EBADMSG) {
        buffer_append_string(problems, "its tools make no sense\n");
        rc = -EINVAL;
    }
    run->shown.window_ms = run->settings.coalesce_ms;
    return rc;
}

/* ---- what it takes */

/* Once a step, when it is over: also of an answer that is not whole. */
static void count_usage(struct llm_run *run)
{
    const struct llm_turn *turn = &run->step.turn;
    bool came = turn->bytes || turn->has_usage || turn->finish != LLM_FINISH_NONE;
    if (run->step.state != LLM_STEP_ANSWERED && !came)
        return;
    struct llm_usage usage = turn->usage;
    if (!turn->has_usage) {
        usage.prompt = run->step.request.len / BYTES_A_TOKEN + 1;
        usage.completion = turn->bytes / BYTES_A_TOKEN + 1;
        usage.total = usage.prompt + usage.completion;
        run->estimated = true;
    }
    run->usage.prompt += usage.prompt;
    run->usage.completion += usage.completion;
    run->usage.total += usage.total;
    run->steps++;
}

/* ---- ends */

/* Nothing when no answer came. */
static void append_usage(struct buffer *out, const struct llm_run *run)
{
    if (!run->steps)
        return;
    json_append_name(out, "usage");
    buffer_append_char(out, '{');
    json_append_member_uint(out, "prompt_tokens", run->usage.prompt);
    json_append_member_uint(out, "completion_tokens", run->usage.completion);
    json_append_member_uint(out, "total_tokens", run->usage.total);
    json_append_member_uint(out, "steps", run->steps);
    if (run->estimated)
        json_append_member_bool(out, "estimated", true);
    buffer_append_char(out, '}');
}

static void end(struct llm_run *run, const char *method, const struct buffer *params)
{
    llm_line_notify(run->line, method, params);
    if (run->state == LLM_RUN_ASKING && run->step.state != LLM_STEP_ANSWERED)
        llm_step_abort(&run->step);
    run->step.state = LLM_STEP_IDLE;
    forget_calls(run);
    run->state = LLM_RUN_NONE;
}

static void finish(struct llm_run *run, uint64_t now)
{
    struct buffer params = BUFFER_INIT;
    const struct llm_provider *provider = &run->settings.providers[run->step.attempts.provider];
    llm_shown_flush(&run->shown, now);
    buffer_append_char(&params, '{');
    json_append_name(&params, "result");
    buffer_append_char(&params, '{');
    json_append_member_raw(&params, "model", provider->model);
    json_append_member(&params, "finish_reason", SPAN_LITERAL("stop"));
    json_append_member_uint(&params, "steps", run->steps);
    buffer_append_char(&params, '}');
    append_usage(&params, run);
    buffer_append_char(&params, '}');
    end(run, "run/finished", &params);
    buffer_deinit(&params);
}

/* What a server says goes no further than the log, but for what is about the request itself. */
static bool tells_detail(enum llm_failure failure)
{
    return failure == LLM_REJECTED || failure == LLM_BAD_RESPONSE || failure == LLM_TIMEOUT;
}

static void fail(struct llm_run *run, enum llm_failure failure, uint64_t now)
{
    struct buffer params = BUFFER_INIT, message = BUFFER_INIT;
    const struct llm_failure_kind *kind = llm_failure_kind(failure);
    const struct buffer *detail = &run->step.detail;
    llm_shown_flush(&run->shown, now);
    buffer_append_string(&message, kind->text);
    if (tells_detail(failure) && detail->len && !buffer_error(detail)) {
        buffer_append_string(&message, ": ");
        buffer_append_span(&message, buffer_span(detail));
    }
    buffer_append_char(&params, '{');
    json_append_member(&params, "code", span_of_string(kind->code));
    json_append_member(&params, "message", buffer_span(&message));
    json_append_member_bool(&params, "retryable", kind->retryable);
    append_usage(&params, run);
    buffer_append_char(&params, '}');
    end(run, "run/failed", &params);
    buffer_deinit(&params);
    buffer_deinit(&message);
}

void llm_run_cancel(struct llm_run *run, uint64_t now)
{
    struct buffer params = BUFFER_INIT;
    if (run->state == LLM_RUN_NONE)
        return;
    if (run->state == LLM_RUN_ASKING)
        count_usage(run);
    llm_shown_flush(&run->shown, now);
    buffer_append_char(&params, '{');
    json_append_member(&params, "outcome", SPAN_LITERAL("cancelled"));
    append_usage(&params, run);
    buffer_append_char(&params, '}');
    end(run, "run/finished", &params);
    buffer_deinit(&params);
}

/* ---- steps */

static void next_step(struct llm_run *run, uint64_t now)
{
    if (run->settings.budget && run->usage.total >= run->settings.budget) {
        fail(run, LLM_BUDGET_EXCEEDED, now);
        return;
    }
    run->state = LLM_RUN_ASKING;
    llm_step_begin(&run->step, buffer_span(&run->messages), now);
}

static void begin(struct llm_run *run, uint64_t now)
{
    llm_request_add_message(&run->messages, "user", buffer_span(&run->content));
    next_step(run, now);
}

/* ---- what was said before */

static void ask_worker(struct llm_run *run)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member_uint(&params, "limit", run->settings.history);
    buffer_append_char(&params, '}');
    run->recall = llm_line_ask(run->line, "thread/messages", &params);
    run->state = LLM_RUN_RECALLING;
    buffer_deinit(&params);
}

static void take_messages(struct llm_run *run, struct span list)
{
    struct span item, role, content;
    const struct json_wanted wanted[] = {{"role", &role}, {"content", &content}};
    for (size_t at = 0; json_item_next(&item, list, &at);) {
        bool assistant =
            json_members(item, wanted, ARRAY_SIZE(wanted)) && span_is(role, "\"assistant\"");
        if (content.len)
            llm_request_add_message(&run->messages, assistant ? "assistant" : "user", content);
    }
}

/* Without it the run goes on, and its user is told. */
static void recalled(struct llm_run *run, const struct rpc_message *message, uint64_t now)
{
    struct span messages = SPAN_EMPTY;
    const struct json_wanted wanted[] = {{"messages", &messages}};
    if (message->kind == RPC_RESULT)
        json_members(message->result, wanted, ARRAY_SIZE(wanted));
    if (json_kind(messages) == JSON_ARRAY)
        take_messages(run, messages);
    else
        llm_shown_problem(&run->shown, "llm_no_history", "what was said before is not known");
    begin(run, now);
}

void llm_run_start(struct llm_run *run, struct span params, uint64_t now)
{
    struct span input, content;
    const struct json_wanted wanted[] = {{"input", &input}};
    const struct json_wanted inside[] = {{"content", &content}};
    json_members(params, wanted, ARRAY_SIZE(wanted));
    json_members(input, inside, ARRAY_SIZE(inside));
    run->steps = 0;
    run->usage = (struct llm_usage){0};
    run->estimated = false;
    run->step.attempts = (struct llm_attempts){0};
    buffer_clear(&run->messages);
    if (run->settings.system.len)
        llm_request_add_message(&run->messages, "system", run->settings.system);
    buffer_clear(&run->content);
    buffer_append_span(&run->content, content.len ? content : SPAN_LITERAL("\"\""));
    if (run->settings.history)
        ask_worker(run);
    else
        begin(run, now);
}

/* ---- tools */

static void tell(struct llm_pending *pending, const char *code, const char *message)
{
    buffer_clear(&pending->told);
    buffer_append_string(&pending->told, "{\"error\":{");
    json_append_member(&pending->told, "code", span_of_string(code));
    json_append_member(&pending->told, "message", span_of_string(message));
    buffer_append_string(&pending->told, "}}");
    pending->done = true;
}

/* Asks the worker for a call; one that makes no sense is answered here. */
static void call(struct llm_run *run, struct llm_pending *pending, const struct llm_call *wanted)
{
    const struct llm_tool *tool = llm_tools_find(&run->tools, buffer_span(&wanted->name));
    struct span args = json_trim(buffer_span(&wanted->arguments));
    if (!tool) {
        tell(pending, "tool_not_found", "there is no such tool");
        return;
    }
    if (!args.len)
        args = SPAN_LITERAL("{}");
    if (!json_scan_valid_object(args)) {
        tell(pending, "tool_bad_arguments", "the arguments are not one JSON object");
        return;
    }
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member(&params, "name", span_of_string(tool->name.data));
    json_append_name(&params, "args");
    json_append_one_line(&params, args);
    buffer_append_char(&params, '}');
    pending->asked = llm_line_ask(run->line, "tool/call", &params);
    run->open++;
    buffer_deinit(&params);
}

static void answer_calls(struct llm_run *run, uint64_t now)
{
    for (size_t i = 0; i < run->step.turn.call_count; i++)
        llm_request_add_result(&run->messages, buffer_span(&run->step.turn.calls[i].id),
            buffer_span(&run->pending[i].told));
    forget_calls(run);
    next_step(run, now);
}

/* Begins as many calls as may go on; when all are answered, the model is told. */
static void go_on_calling(struct llm_run *run, uint64_t now)
{
    const struct llm_turn *turn = &run->step.turn;
    size_t done = 0;
    for (size_t i = 0; i < turn->call_count; i++) {
        struct llm_pending *pending = &run->pending[i];
        if (!pending->done && !pending->asked && run->open < run->settings.parallel_tools)
            call(run, pending, &turn->calls[i]);
        done += pending->done;
    }
    if (done == turn->call_count)
        answer_calls(run, now);
}

/* Results are matched by id, so each call needs one of its own. */
static void name_calls(struct llm_run *run)
{
    struct llm_turn *turn = &run->step.turn;
    for (size_t i = 0; i < turn->call_count; i++) {
        bool unique = turn->calls[i].id.len > 0;
        for (size_t k = 0; k < i; k++)
            unique &= !span_equal(buffer_span(&turn->calls[i].id), buffer_span(&turn->calls[k].id));
        if (unique)
            continue;
        buffer_clear(&turn->calls[i].id);
        buffer_printf(&turn->calls[i].id, "call_%llu_%zu", (unsigned long long)run->steps, i);
    }
}

static void begin_calls(struct llm_run *run, uint64_t now)
{
    if (run->steps >= run->settings.max_steps) {
        fail(run, LLM_MAX_STEPS, now);
        return;
    }
    name_calls(run);
    llm_request_add_answer(&run->messages, &run->step.turn);
    llm_shown_end_message(&run->shown, now);
    run->state = LLM_RUN_CALLING;
    go_on_calling(run, now);
}

/* A string is told as the text it stands for, anything else as JSON. */
static void tell_result(struct llm_pending *pending, struct span answer)
{
    struct span status, result, error, word = SPAN_EMPTY;
    const struct json_wanted wanted[] = {
        {"status", &status}, {"result", &result}, {"error", &error}};
    json_members(answer, wanted, ARRAY_SIZE(wanted));
    (void)json_plain_string(&word, status);
    pending->done = true;
    buffer_clear(&pending->told);
    if (!span_is(word, "ok")) {
        buffer_append_string(&pending->told, "{\"error\":");
        buffer_append_span(&pending->told, error.len ? error : SPAN_LITERAL("null"));
        buffer_append_char(&pending->told, '}');
    } else if (json_kind(result) != JSON_STRING || !json_string(&pending->told, result)) {
        buffer_clear(&pending->told);
        buffer_append_span(&pending->told, result);
    }
}

void llm_run_answer(struct llm_run *run, const struct rpc_message *message, uint64_t now)
{
    uint64_t id = rpc_own_id(message);
    if (run->state == LLM_RUN_RECALLING && id == run->recall)
        recalled(run, message, now);
    for (size_t i = 0; id && run->state == LLM_RUN_CALLING && i < run->step.turn.call_count; i++) {
        struct llm_pending *pending = &run->pending[i];
        if (pending->asked != id || pending->done)
            continue;
        run->open--;
        if (message->kind == RPC_ERROR)
            tell(pending, "not_begun", "the tool could not be called");
        else
            tell_result(pending, message->result);
        go_on_calling(run, now);
        return;
    }
}

/* ---- life */

static void settle_step(struct llm_run *run, uint64_t now)
{
    count_usage(run);
    if (run->step.state == LLM_STEP_FAILED)
        fail(run, run->step.failure, now);
    else if (run->step.turn.call_count)
        begin_calls(run, now);
    else
        finish(run, now);
}

void llm_run_go(struct llm_run *run, uint64_t now)
{
    if (now >= llm_shown_due(&run->shown))
        llm_shown_flush(&run->shown, now);
    enum llm_step_state state = llm_step_go(&run->step, now);
    bool ended = state == LLM_STEP_ANSWERED || state == LLM_STEP_FAILED;
    if (run->state == LLM_RUN_ASKING && ended)
        settle_step(run, now);
}

uint64_t llm_run_due(const struct llm_run *run)
{
    uint64_t shown = llm_shown_due(&run->shown);
    uint64_t step = llm_step_due(&run->step);
    return shown < step ? shown : step;
}
