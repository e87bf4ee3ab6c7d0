/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent's messages do to its run.
 *
 * A line is dropped only when all it asks for has been done. When the ring has no room, the line
 * stays where it is, nothing more is read, and the same line is handled again a little later; so
 * whatever can fail for want of room comes first in every handler, and is either done wholly or
 * not at all. The one exception is text larger than an event, which goes out in parts: text_taken
 * remembers how far it came.
 */
#include "runs/engine_state.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>

#define EXCERPT_MAX 60

/* ---- to the agent */

static struct agent_run run_of(const struct engine *engine)
{
    return (struct agent_run){.run_id = engine->run_id,
        .thread_id = engine->thread_id,
        .request_id = engine->request_id,
        .user_id = engine->user_id,
        .message_id = engine->message_id,
        .agent = engine_agent(engine)->name,
        .settings = engine_agent(engine)->settings,
        .content = buffer_span(&engine->content),
        .deadline = engine->deadline};
}

void dialogue_initialize(struct engine *engine)
{
    const struct agent_run run = run_of(engine);
    const struct buffer *own = &engine_agent(engine)->offer;
    struct buffer tools = BUFFER_INIT;
    buffer_append(&tools, own->data, own->len - 1); /* without the bracket at the end */
    if (buffer_error(&tools) == 0)
        mcp_set_append_offer(&engine->options.pool->mcp, &tools);
    buffer_append_char(&tools, ']');
    agent_append_initialize(&engine->scratch, DIALOGUE_ID_INITIALIZE, &run, buffer_span(&tools));
    engine->scratch.broken |= tools.broken;
    buffer_deinit(&tools);
    engine_send_scratch(engine);
}

void dialogue_run_start(struct engine *engine)
{
    const struct agent_run run = run_of(engine);
    agent_append_run_start(&engine->scratch, DIALOGUE_ID_RUN_START, &run);
    engine_send_scratch(engine);
}

static void reply_done(struct engine *engine, const struct rpc_message *rpc)
{
    if (rpc->kind != RPC_REQUEST)
        return;
    rpc_append_result(&engine->scratch, rpc->id, SPAN_LITERAL("{}"));
    engine_send_scratch(engine);
}

static void reply_error(
    struct engine *engine, const struct rpc_message *rpc, enum rpc_error code, const char *message)
{
    rpc_append_error(&engine->scratch, rpc->id, code, span_of_string(message));
    engine_send_scratch(engine);
}

/* A request is told what is wrong with it; a notification can only end the run. */
static void refuse_params(struct engine *engine, const struct rpc_message *rpc, const char *reason)
{
    if (rpc->kind == RPC_REQUEST)
        reply_error(engine, rpc, RPC_E_PARAMS, reason);
    else
        engine_fail_protocol(engine, "the agent's %s is not valid: %s", rpc->method, reason);
}

static void refuse_method(struct engine *engine, const struct rpc_message *rpc)
{
    if (rpc->kind == RPC_REQUEST)
        reply_error(engine, rpc, RPC_E_UNKNOWN_METHOD, "no such method");
    else
        log_debug("engine", "run %s: a notification of no known kind is ignored", engine->run_id);
}

/* ---- events */

static const char *or_null(const char *id)
{
    return id[0] ? id : NULL;
}

/* Puts a span into scratch as a string; NULL when memory is out. */
static const char *scratch_string(struct engine *engine, struct span text)
{
    buffer_clear(&engine->scratch);
    buffer_append_span(&engine->scratch, text);
    buffer_append_char(&engine->scratch, '\0');
    return buffer_error(&engine->scratch) ? NULL : engine->scratch.data;
}

/* Text that no single event can carry: the library makes several of it. */
static int emit_long_text(struct engine *engine, const struct agent_event *event)
{
    bool thinking = strcmp(event->type, "agent_thinking") == 0;
    const char *message_id = or_null(event->message_id);
    struct buffer *text = &engine->scratch;
    size_t taken = 0;
    buffer_clear(text);
    if (!json_string(text, event->delta))
        return RS_E_INVALID;
    const char *rest = text->data + engine->text_taken;
    size_t length = text->len - engine->text_taken;
    int rc = RS_OK;
    if (length > 0)
        rc = thinking ? rs_thinking_delta(engine->run, message_id, rest, length, &taken)
                      : rs_text(engine->run, message_id, rest, length, &taken);
    engine->text_taken += taken;
    if (rc == RS_OK && event->final && !thinking)
        rc = rs_text_final(engine->run, message_id);
    return rc;
}

static int emit_event(struct engine *engine, const struct agent_event *event)
{
    const char *data = scratch_string(engine, event->data);
    if (!data)
        return RS_E_NO_MEMORY;
    int rc = rs_emit(
        engine->run, event->type, or_null(event->message_id), or_null(event->tool_call_id), data);
    if (rc == RS_E_TOO_BIG && event->delta.len > 0)
        rc = emit_long_text(engine, event);
    if (rc != RS_E_FULL)
        engine->text_taken = 0;
    buffer_clear(&engine->scratch);
    return rc;
}

/*
 * What to do about an emit that was refused. A step that is not legal now (a progress note for a
 * tool call that has just ended) costs only itself.
 */
static int settle(struct engine *engine, const struct rpc_message *rpc, int rc)
{
    switch (rc) {
    case RS_E_FULL: return -EAGAIN;
    case RS_E_ORDER:
        if (rpc->kind == RPC_REQUEST)
            reply_error(engine, rpc, RPC_E_REFUSED, rs_strerror(rc));
        else
            log_warn("engine", "run %s: an event of the agent is left out: %s", engine->run_id,
                rs_strerror(rc));
        return 0;
    case RS_E_INVALID:
    case RS_E_TYPE:
    case RS_E_TOO_BIG: refuse_params(engine, rpc, rs_strerror(rc)); return 0;
    default: engine_lose_emitter(engine, rc); return 0;
    }
}

static int handle_event(
    struct engine *engine, const struct rpc_message *rpc, const struct agent_event *event)
{
    int rc = emit_event(engine, event);
    if (rc != RS_OK)
        return settle(engine, rpc, rc);
    reply_done(engine, rpc);
    return 0;
}

/* ---- tools and ends */

static int handle_tool_call(
    struct engine *engine, const struct rpc_message *rpc, const struct agent_tool_call *call)
{
    if (rpc->kind != RPC_REQUEST) {
        refuse_params(engine, rpc, "a tool call is a request");
        return 0;
    }
    if (engine->state == ENGINE_CANCELLING) {
        reply_error(engine, rpc, RPC_E_REFUSED, "the run is being cancelled");
        return 0;
    }
    int rc = tools_call(&engine->tools, call, rpc->id);
    if (rc == TOOLS_E_BUSY)
        reply_error(engine, rpc, RPC_E_REFUSED, "too many tool calls at once");
    else if (rc == RS_E_ORDER)
        reply_error(engine, rpc, RPC_E_PARAMS, "this tool_call_id was used before");
    else if (rc != RS_OK)
        return settle(engine, rpc, rc);
    return 0;
}

static int handle_interrupt(
    struct engine *engine, const struct rpc_message *rpc, const struct agent_interrupt *interrupt)
{
    if (rpc->kind != RPC_REQUEST) {
        refuse_params(engine, rpc, "an interrupt is a request");
        return 0;
    }
    if (engine->state == ENGINE_CANCELLING) {
        reply_error(engine, rpc, RPC_E_REFUSED, "the run is being cancelled");
        return 0;
    }
    if (engine->options.limits->unattended) {
        reply_error(engine, rpc, RPC_E_REFUSED, "there is nobody to ask");
        return 0;
    }
    int rc = interrupts_ask(&engine->interrupts, interrupt, rpc->id);
    if (rc == INTERRUPTS_E_BUSY)
        reply_error(engine, rpc, RPC_E_REFUSED, "too many interrupts at once");
    else if (rc == RS_E_ORDER)
        reply_error(engine, rpc, RPC_E_PARAMS, "this interrupt_id was used before");
    else if (rc != RS_OK)
        return settle(engine, rpc, rc);
    return 0;
}

static int handle_messages(
    struct engine *engine, const struct rpc_message *rpc, const struct agent_messages *wanted)
{
    if (rpc->kind != RPC_REQUEST) {
        refuse_params(engine, rpc, "thread/messages is a request");
    } else if (engine->options.limits->unattended) {
        rpc_append_result(&engine->scratch, rpc->id, SPAN_LITERAL("{\"messages\":[]}"));
        engine_send_scratch(engine);
    } else if (!recall_begin(engine, rpc->id, wanted->limit)) {
        reply_error(engine, rpc, RPC_E_REFUSED, "one such request at a time");
    }
    return 0;
}

static int handle_finished(
    struct engine *engine, const struct rpc_message *rpc, const struct agent_finished *finished)
{
    reply_done(engine, rpc);
    engine_complete(engine, finished);
    return 0;
}

static int handle_failed(
    struct engine *engine, const struct rpc_message *rpc, const struct agent_failed *failed)
{
    struct buffer message = BUFFER_INIT;
    if (failed->message.len && !json_string(&message, failed->message)) {
        refuse_params(engine, rpc, "message is not text");
    } else {
        reply_done(engine, rpc);
        engine_fail_as_told(engine, failed, buffer_span(&message));
    }
    buffer_deinit(&message);
    return 0;
}

static int handle_call(struct engine *engine, const struct rpc_message *rpc)
{
    struct agent_message message;
    const char *reason = "";
    if (engine->state == ENGINE_STARTING) {
        engine_fail_protocol(engine, "the agent spoke before it answered initialize");
        return 0;
    }
    int rc = agent_message_parse(&message, rpc, &reason);
    if (rc == RPC_E_PARAMS)
        refuse_params(engine, rpc, reason);
    else if (rc < 0)
        refuse_method(engine, rpc);
    if (rc < 0)
        return 0;
    switch (message.kind) {
    case AGENT_MESSAGE_EVENT: return handle_event(engine, rpc, &message.event);
    case AGENT_MESSAGE_TOOL_CALL: return handle_tool_call(engine, rpc, &message.tool_call);
    case AGENT_MESSAGE_INTERRUPT: return handle_interrupt(engine, rpc, &message.interrupt);
    case AGENT_MESSAGE_MESSAGES: return handle_messages(engine, rpc, &message.messages);
    case AGENT_MESSAGE_FINISHED: return handle_finished(engine, rpc, &message.finished);
    case AGENT_MESSAGE_FAILED: return handle_failed(engine, rpc, &message.failed);
    }
    return 0;
}

/* ---- answers to our requests */

static void handle_refusal(struct engine *engine, const struct rpc_message *rpc, const char *method)
{
    struct span text = SPAN_EMPTY;
    struct buffer said = BUFFER_INIT;
    struct buffer message = BUFFER_INIT;
    const struct json_wanted wanted[] = {{"message", &text}};
    json_members(rpc->error, wanted, 1);
    if (!json_string(&said, text))
        buffer_clear(&said);
    buffer_printf(&message, "the agent refused %s: %.*s", method, SPAN_ARG(buffer_span(&said)));
    engine_fail(engine, "agent_start_failed", buffer_span(&message), false, PROCESS_STOP_TERM);
    buffer_deinit(&message);
    buffer_deinit(&said);
}

/* 0, or -EAGAIN when agent_started could not be emitted yet. */
static int handle_initialized(struct engine *engine)
{
    int rc = engine_started(engine);
    if (rc == RS_E_FULL)
        return -EAGAIN;
    if (rc != RS_OK)
        engine_lose_emitter(engine, rc);
    else
        dialogue_run_start(engine);
    return 0;
}

static int handle_answer(struct engine *engine, const struct rpc_message *rpc)
{
    uint64_t id = rpc_own_id(rpc);
    bool awaits_initialize = engine->state == ENGINE_STARTING;
    if (id == DIALOGUE_ID_INITIALIZE && awaits_initialize) {
        if (rpc->kind == RPC_RESULT)
            return handle_initialized(engine);
        handle_refusal(engine, rpc, "initialize");
    } else if (id == DIALOGUE_ID_RUN_START && !awaits_initialize) {
        if (rpc->kind == RPC_ERROR)
            handle_refusal(engine, rpc, "run/start");
    } else {
        engine_fail_protocol(engine, "the agent answered a request that was not made");
    }
    return 0;
}

/* ---- lines */

static void refuse_line(struct engine *engine, struct span line, const char *reason)
{
    char excerpt[EXCERPT_MAX + 1];
    size_t len = line.len < EXCERPT_MAX ? line.len : EXCERPT_MAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)line.data[i];
        excerpt[i] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    excerpt[len] = '\0';
    engine_fail_protocol(engine, "the agent wrote a line that is not a message, as %s: %s%s",
        reason, excerpt, line.len > len ? "…" : "");
}

/* 0 when the line is done with, -EAGAIN when it has to be handled again. */
static int handle_line(struct engine *engine, struct span line)
{
    struct rpc_message rpc;
    const char *reason;
    if (json_trim(line).len == 0)
        return 0;
    if (rpc_parse(&rpc, line, &reason) < 0) {
        refuse_line(engine, line, reason);
        return 0;
    }
    if (rpc.kind == RPC_RESULT || rpc.kind == RPC_ERROR)
        return handle_answer(engine, &rpc);
    return handle_call(engine, &rpc);
}

void dialogue_take_lines(struct engine *engine)
{
    while (!engine->blocked && !engine_is_over(engine)) {
        struct span line;
        int rc = lines_peek(&line, &engine->lines);
        if (rc == 0)
            return;
        if (rc < 0) {
            engine_fail_protocol(engine, "too_long: the agent wrote a line of more than %zu bytes",
                engine->lines.max);
            return;
        }
        if (handle_line(engine, line) == -EAGAIN)
            engine_block(engine);
        else
            lines_drop(&engine->lines);
    }
}
