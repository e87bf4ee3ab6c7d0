/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a run ends.
 *
 * Whatever ends a run goes through `end`: it notes how, once, and leaves the rest to the engine's
 * `turn`, a timer that fires from the top of the loop. There the terminal event is emitted, again
 * and again while the ring is full, and only when it is in the ring the agent is sent off. So
 * nothing is emitted behind the terminal event, and nothing is freed under the feet of whoever
 * found out.
 */
#include "runs/engine_state.h"

#include "json/view.h"

#include "base/json.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "wire/message.h"

#include <errno.h>
#include <stdio.h>

#define MESSAGE_MAX 1200

/* ---- what it is that ends it */

static void put(struct buffer *buffer, struct span text)
{
    buffer_clear(buffer);
    buffer_append_span(buffer, text);
    buffer_append_char(buffer, '\0');
}

/* Cut at a character; what is not UTF-8 becomes "?". */
static void put_text(struct buffer *buffer, struct span text)
{
    size_t len = text.len < MESSAGE_MAX ? text.len : MESSAGE_MAX;
    while (len > 0 && len < text.len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len--;
    put(buffer, span_of(text.data, len));
    bool valid = utf8_valid(span_of(buffer->data, len));
    for (size_t i = 0; i < len; i++) {
        if (buffer->data[i] == '\0' || (!valid && (buffer->data[i] & 0x80)))
            buffer->data[i] = '?';
    }
}

/* What went wrong, and the last the agent had to say on stderr: it stays with the run. */
static void put_with_last_words(struct engine *engine, struct span message)
{
    struct buffer text = BUFFER_INIT;
    process_read_stderr(engine->process);
    struct span words = process_last_words(engine->process);
    buffer_append_span(&text, message);
    if (words.len)
        buffer_printf(&text, "; its last words: %.*s", SPAN_ARG(words));
    put_text(&engine->ending.text, buffer_error(&text) ? message : buffer_span(&text));
    buffer_deinit(&text);
}

/* A cancel that is under way decides the ending, whatever the agent makes of it; what the agent
 * says it has used is used all the same. */
static void overrule(struct engine *engine)
{
    struct engine_ending *ending = &engine->ending;
    ending->kind = ENDING_COMPLETED;
    ending->outcome = RS_CANCELLED;
    buffer_clear(&ending->result);
    if (!engine->timed_out)
        return;
    ending->kind = ENDING_FAILED;
    ending->retryable = true;
    snprintf(ending->code, sizeof(ending->code), "run_timeout");
    put_with_last_words(engine, SPAN_LITERAL("the run passed its deadline"));
}

/* `engine->ending` says how, all but the kind and the firmness. */
static void end(struct engine *engine, enum engine_ending_kind kind, enum process_stop stop)
{
    struct ev_loop *loop = engine->options.loop;
    bool cancelling = engine->state == ENGINE_CANCELLING;
    engine->ending.kind = kind;
    engine->ending.stop = stop;
    if (cancelling && kind != ENDING_SILENT)
        overrule(engine);
    if (!engine_is_over(engine))
        engine_set_state(engine, ENGINE_ENDING);
    ev_timer_stop(loop, &engine->limit);
    ev_timer_stop(loop, &engine->deadline_timer);
    process_pause(engine->process);
    tools_abandon(&engine->tools, false);
    interrupts_abandon(&engine->interrupts);
    engine_turn_in(engine, 0.);
}

/* `engine->ending.text` says why. */
static void fail(struct engine *engine, const char *code, bool retryable, enum process_stop stop)
{
    if (engine->state != ENGINE_CANCELLING)
        log_warn(
            "engine", "run %s of %s fails: %s", engine->run_id, engine_agent(engine)->name, code);
    snprintf(engine->ending.code, sizeof(engine->ending.code), "%s", code);
    engine->ending.retryable = retryable;
    end(engine, engine->started ? ENDING_FAILED : ENDING_REFUSED, stop);
}

void engine_fail(struct engine *engine, const char *code, struct span message, bool retryable,
    enum process_stop stop)
{
    if (engine_is_over(engine))
        return;
    put_with_last_words(engine, message);
    fail(engine, code, retryable, stop);
}

void engine_fail_as_told(
    struct engine *engine, const struct agent_failed *failed, struct span message)
{
    if (engine_is_over(engine))
        return;
    put_text(&engine->ending.text, message);
    if (failed->usage.len)
        put(&engine->ending.usage, failed->usage);
    fail(engine, failed->code, failed->retryable, PROCESS_STOP_ASK);
}

void engine_fail_protocol(struct engine *engine, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    engine_fail(engine, "agent_protocol_error", span_of_string(message), false, PROCESS_STOP_TERM);
}

void engine_complete(struct engine *engine, const struct agent_finished *finished)
{
    if (engine_is_over(engine))
        return;
    bool success = finished->outcome == AGENT_OUTCOME_SUCCESS;
    engine->ending.outcome = success ? RS_SUCCESS : RS_CANCELLED;
    if (finished->result.len)
        put(&engine->ending.result, finished->result);
    if (finished->usage.len)
        put(&engine->ending.usage, finished->usage);
    end(engine, ENDING_COMPLETED, PROCESS_STOP_ASK);
}

void engine_end_unstarted(struct engine *engine)
{
    engine->ending.outcome = RS_CANCELLED;
    end(engine, ENDING_COMPLETED, PROCESS_STOP_TERM);
}

void engine_kill(struct engine *engine)
{
    if (engine->state >= ENGINE_LEAVING) {
        if (engine->process)
            process_stop(engine->process, PROCESS_STOP_KILL);
        return;
    }
    rs_run_drop(engine->run);
    process_stop(engine->process, PROCESS_STOP_KILL);
    end(engine, ENDING_SILENT, PROCESS_STOP_KILL);
}

bool engine_hand_back(struct engine *engine)
{
    if (engine->state != ENGINE_STARTING)
        return false;
    snprintf(engine->ending.code, sizeof(engine->ending.code), WIRE_HANDED_BACK);
    put_text(&engine->ending.text, SPAN_LITERAL("the worker is leaving"));
    engine_kill(engine);
    return true;
}

void engine_lose_emitter(struct engine *engine, int rc)
{
    log_error(
        "engine", "run %s: its events cannot be written: %s", engine->run_id, rs_strerror(rc));
    snprintf(engine->ending.code, sizeof(engine->ending.code), "internal");
    put_text(&engine->ending.text, span_of_string(rs_strerror(rc)));
    engine_kill(engine);
    engine->options.events->on_emitter_lost(engine->options.context, rc);
}

/* ---- the terminal event, and after */

static const char *json_or_null(const struct buffer *json)
{
    return json->len ? json->data : NULL;
}

/* With usage, which rs_run_fail has no room for. */
static int emit_failure(struct engine *engine)
{
    const struct engine_ending *ending = &engine->ending;
    struct buffer data = BUFFER_INIT;
    buffer_append_char(&data, '{');
    json_append_member(&data, "code", span_of_string(ending->code));
    json_append_member(&data, "message", span_of_string(ending->text.data));
    json_append_member_bool(&data, "fatal", true);
    json_append_member_bool(&data, "retryable", ending->retryable);
    json_append_member_raw(&data, "usage", span_of_string(ending->usage.data));
    buffer_append_string(&data, "}");
    buffer_append_char(&data, '\0');
    int rc = buffer_error(&data) ? RS_E_NO_MEMORY
                                 : rs_emit(engine->run, "error_event", NULL, NULL, data.data);
    buffer_deinit(&data);
    return rc;
}

static int emit_end(struct engine *engine)
{
    struct engine_ending *ending = &engine->ending;
    switch (ending->kind) {
    case ENDING_COMPLETED:
        return rs_run_complete(engine->run, ending->outcome, json_or_null(&ending->result),
            json_or_null(&ending->usage));
    case ENDING_FAILED:
        if (ending->usage.len)
            return emit_failure(engine);
        return rs_run_fail(engine->run, ending->code, ending->text.data, ending->retryable);
    case ENDING_REFUSED:
    case ENDING_SILENT: rs_run_drop(engine->run); break;
    }
    return RS_OK;
}

/* An end that no event can carry is a failure of the run, with a reason that fits; of a failure
 * that is because of its usage. */
static void replace_end(struct engine *engine, int rc)
{
    struct engine_ending *ending = &engine->ending;
    bool big = rc == RS_E_TOO_BIG;
    buffer_clear(&ending->usage);
    if (ending->kind == ENDING_FAILED) {
        log_warn("engine", "run %s of %s: its usage cannot be sent on: %s", engine->run_id,
            engine_agent(engine)->name, rs_strerror(rc));
        return;
    }
    ending->kind = ENDING_FAILED;
    ending->retryable = false;
    snprintf(ending->code, sizeof(ending->code), "%s",
        big ? "result_too_large" : "agent_protocol_error");
    put_text(&ending->text, span_of_string(big ? "the agent's result is larger than an event may be"
                                               : "the agent's result cannot be sent on"));
}

void ending_check_gone(struct engine *engine)
{
    bool left = !engine->process || process_exited(engine->process);
    if (engine->state != ENGINE_LEAVING || !left || tools_busy(&engine->tools))
        return;
    engine_set_state(engine, ENGINE_GONE);
    engine_turn_in(engine, 0.);
}

void engine_drop_output(struct engine *engine)
{
    struct buffer *output = process_output(engine->process);
    struct span rest = span_of(output->data, output->len);
    if (json_trim(rest).len)
        engine->spoke_late = true;
    buffer_clear(output);
}

static void send_off(struct engine *engine)
{
    if (engine->ending.stop == PROCESS_STOP_ASK) {
        agent_append_shutdown(&engine->scratch);
        engine_send_scratch(engine);
        process_end_input(engine->process);
    }
    process_stop(engine->process, engine->ending.stop);
    buffer_consume(process_output(engine->process), engine->lines.start);
    engine_drop_output(engine);
    process_resume(engine->process);
}

/* The agent has said that it is done, and nothing behind that: another run may have its process. */
static bool give_back(struct engine *engine)
{
    struct buffer *output = process_output(engine->process);
    if (engine->ending.stop != PROCESS_STOP_ASK || engine->lines.start < output->len)
        return false;
    buffer_clear(output);
    if (!pool_give_back(engine->options.pool, engine->process))
        return false;
    engine->process = NULL;
    return true;
}

static void leave(struct engine *engine)
{
    engine_set_state(engine, ENGINE_LEAVING);
    tools_abandon(&engine->tools, true);
    if (!give_back(engine))
        send_off(engine);
    ending_check_gone(engine);
}

void ending_try(struct engine *engine)
{
    int rc = engine->ending.kind == ENDING_SILENT ? RS_OK : tools_report(&engine->tools);
    if (rc == RS_OK)
        rc = emit_end(engine);
    if (rc == RS_E_TOO_BIG || rc == RS_E_INVALID) {
        replace_end(engine, rc);
        rc = emit_end(engine);
    }
    if (rc == RS_E_FULL)
        engine_turn_in(engine, ENGINE_RETRY_SECONDS);
    else if (rc == RS_OK || rc == RS_E_ENDED)
        leave(engine);
    else
        engine_lose_emitter(engine, rc);
}

void ending_tell(struct engine *engine)
{
    struct engine_refusal refusal = {.code = ""};
    if (engine->ending.kind == ENDING_REFUSED || engine->ending.kind == ENDING_SILENT) {
        snprintf(refusal.code, sizeof(refusal.code), "%s", engine->ending.code);
        snprintf(refusal.message, sizeof(refusal.message), "%s",
            engine->ending.text.len ? engine->ending.text.data : "");
    }
    engine->options.events->on_gone(engine->options.context, engine, &refusal);
}
