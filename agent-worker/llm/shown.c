/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/shown.h"

#include "base/json.h"

#define PENDING_MAX 32768

void llm_shown_deinit(struct llm_shown *shown)
{
    buffer_deinit(&shown->pending);
}

void llm_shown_begin(struct llm_shown *shown)
{
    shown->any = shown->text = false;
}

/* `member` is what the data has, `final` makes it the last of its message. */
static void send(
    struct llm_shown *shown, const char *type, const char *member, struct span text, bool final)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member(&params, "type", span_of_string(type));
    json_append_name(&params, "data");
    buffer_append_char(&params, '{');
    json_append_member(&params, member, text);
    if (final)
        json_append_member_bool(&params, "final", true);
    buffer_append_string(&params, "}}");
    llm_line_notify(shown->line, "event", &params);
    buffer_deinit(&params);
}

void llm_shown_flush(struct llm_shown *shown, uint64_t now)
{
    if (!shown->pending.len)
        return;
    send(shown, shown->thinking ? "agent_thinking" : "partial_result", "delta",
        buffer_span(&shown->pending), false);
    buffer_clear(&shown->pending);
    shown->sent_ms = now;
}

void llm_shown_add(struct llm_shown *shown, bool thinking, struct span text, uint64_t now)
{
    if (!text.len)
        return;
    if (shown->pending.len && shown->thinking != thinking)
        llm_shown_flush(shown, now);
    shown->thinking = thinking;
    shown->any = true;
    shown->text |= !thinking;
    bool first = !shown->pending.len && now - shown->sent_ms >= shown->window_ms;
    buffer_append_span(&shown->pending, text);
    if (first || shown->pending.len > PENDING_MAX)
        llm_shown_flush(shown, now);
    shown->line->out.broken |= shown->pending.broken;
}

uint64_t llm_shown_due(const struct llm_shown *shown)
{
    return shown->pending.len ? shown->sent_ms + shown->window_ms : UINT64_MAX;
}

void llm_shown_end_message(struct llm_shown *shown, uint64_t now)
{
    llm_shown_flush(shown, now);
    if (shown->text)
        send(shown, "partial_result", "delta", SPAN_LITERAL(""), true);
    shown->text = false;
}

void llm_shown_status(struct llm_shown *shown, const char *status)
{
    send(shown, "agent_thinking", "status", span_of_string(status), false);
}

void llm_shown_problem(struct llm_shown *shown, const char *code, const char *message)
{
    struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member(&params, "type", SPAN_LITERAL("error_event"));
    json_append_name(&params, "data");
    buffer_append_char(&params, '{');
    json_append_member(&params, "code", span_of_string(code));
    json_append_member(&params, "message", span_of_string(message));
    json_append_member_bool(&params, "retryable", true);
    buffer_append_string(&params, "}}");
    llm_line_notify(shown->line, "event", &params);
    buffer_deinit(&params);
}
