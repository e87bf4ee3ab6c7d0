/* SPDX-License-Identifier: Apache-2.0 */
#include "batch/run.h"

#include "json/view.h"

#include "base/json.h"
#include "base/json_member.h"
#include "event/codec.h"
#include "event/frame.h"

#include <stdio.h>

struct batch_run *batch_run_new(struct batch_request *request, const struct batch_content *content)
{
    struct batch_run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->request = request;
    identifier_make(run->run_id, "r-");
    snprintf(run->agent, sizeof(run->agent), "%s", content->agent);
    snprintf(run->user_id, sizeof(run->user_id), "%s", content->user_id);
    snprintf(run->thread_id, sizeof(run->thread_id), "%s", content->thread_id);
    return run;
}

void batch_run_free(struct batch_run *run)
{
    if (!run)
        return;
    buffer_deinit(&run->message);
    buffer_deinit(&run->text);
    buffer_deinit(&run->result);
    buffer_deinit(&run->events);
    free(run);
}

const char *batch_status_name(enum batch_status status)
{
    static const char *const names[] = {[BATCH_OPEN] = "open",
        [BATCH_COMPLETED] = "completed",
        [BATCH_FAILED] = "failed",
        [BATCH_CANCELLED] = "cancelled"};
    return names[status];
}

/* ---- events */

static void keep_event(struct batch_run *run, const struct event *event)
{
    struct event whole = *event;
    if (!run->keeps_events || run->too_large)
        return;
    whole.thread_id = span_of_string(run->thread_id);
    whole.request_id = span_of_string(run->request->id);
    whole.agent = span_of_string(run->agent);
    event_encode(&run->events, &whole);
    if (run->events.len <= BATCH_EVENTS_MAX)
        return;
    run->too_large = true;
    buffer_deinit(&run->events);
}

/* Pieces of JSON text can be put together as they are, escapes and all. */
static void take_text(struct batch_run *run, const struct event *event)
{
    struct span delta = json_member_inside(json_member_value(event->data, "delta"));
    if (event->tool_call_id.len || run->text_truncated)
        return;
    if (run->text.len + delta.len > BATCH_TEXT_MAX)
        run->text_truncated = true;
    else
        buffer_append_span(&run->text, delta);
}

static void end(struct batch_run *run, enum batch_status status, uint64_t now_ms)
{
    run->status = status;
    run->ended_ms = now_ms;
}

static void fail(struct batch_run *run, const char *code, struct span message, bool retryable)
{
    snprintf(run->code, sizeof(run->code), "%s", code);
    buffer_clear(&run->message);
    buffer_append_span(&run->message, message);
    run->retryable = retryable;
}

static void take_error(struct batch_run *run, const struct event *event)
{
    char code[IDENTIFIER_SIZE] = "";
    (void)json_identifier(code, json_member_value(event->data, "code"));
    fail(run, code[0] ? code : "agent_failed", json_member_value(event->data, "message"),
        span_is(json_member_value(event->data, "retryable"), "true"));
}

static void take_end(struct batch_run *run, const struct event *event, uint64_t now_ms)
{
    if (run->too_large) {
        fail(run, "events_too_large", SPAN_LITERAL("\"the run has more than 64 MiB of events\""),
            false);
        end(run, BATCH_FAILED, now_ms);
    } else if (event->type == EVENT_ERROR_EVENT) {
        take_error(run, event);
        end(run, BATCH_FAILED, now_ms);
    } else {
        bool cancelled = event->flags & EVENT_FLAG_OUTCOME_CANCELLED;
        buffer_append_span(&run->result, json_member_value(event->data, "result"));
        end(run, cancelled ? BATCH_CANCELLED : BATCH_COMPLETED, now_ms);
    }
}

void batch_run_take(struct batch_run *run, const struct event *event, uint64_t now_ms)
{
    keep_event(run, event);
    if (event->type == EVENT_PARTIAL_RESULT)
        take_text(run, event);
    else if (event_is_terminal(event))
        take_end(run, event, now_ms);
}

void batch_run_refuse(struct batch_run *run, const struct engine_refusal *refusal, uint64_t now_ms)
{
    struct buffer message = BUFFER_INIT;
    if (run->status != BATCH_OPEN)
        return;
    json_append_string(&message, span_of_string(refusal->message));
    fail(run, refusal->code, buffer_span(&message), true);
    end(run, BATCH_FAILED, now_ms);
    buffer_deinit(&message);
}

/* ---- lines */

static void append_events(struct buffer *out, const struct batch_run *run, uint64_t *seq)
{
    struct event event;
    size_t offset = 0;
    while (event_decode_next(&event, buffer_span(&run->events), &offset) > 0) {
        uint64_t prev = (*seq)++;
        event.seq = *seq;
        event_frame_append(out, &event, prev);
        buffer_append_char(out, '\n');
    }
}

static void append_text(struct buffer *out, const struct batch_run *run)
{
    if (run->text.len == 0)
        return;
    json_append_name(out, "text");
    buffer_append_char(out, '"');
    buffer_append_span(out, buffer_span(&run->text));
    buffer_append_char(out, '"');
    if (run->text_truncated)
        json_append_member_bool(out, "text_truncated", true);
}

static void append_error(struct buffer *out, const struct batch_run *run)
{
    json_append_name(out, "error");
    buffer_append_char(out, '{');
    json_append_member(out, "code", span_of_string(run->code));
    if (run->message.len)
        json_append_member_raw(out, "message", buffer_span(&run->message));
    json_append_member_bool(out, "retryable", run->retryable);
    buffer_append_char(out, '}');
}

static void append_result(struct buffer *out, const struct batch_run *run)
{
    buffer_append_char(out, '{');
    json_append_member(out, "type", SPAN_LITERAL("result"));
    json_append_member(out, "request_id", span_of_string(run->request->id));
    json_append_member(out, "run_id", span_of_string(run->run_id));
    json_append_member(out, "status", span_of_string(batch_status_name(run->status)));
    append_text(out, run);
    if (run->result.len) {
        json_append_name(out, "result");
        json_append_one_line(out, buffer_span(&run->result));
    }
    if (run->status == BATCH_FAILED)
        append_error(out, run);
    if (run->request->attempts > 1)
        json_append_member_uint(out, "attempts", run->request->attempts);
    json_append_member_uint(out, "duration_ms", run->ended_ms - run->started_ms);
    buffer_append_string(out, "}\n");
}

void batch_run_append(struct buffer *out, const struct batch_run *run, uint64_t *seq)
{
    append_events(out, run, seq);
    append_result(out, run);
}
