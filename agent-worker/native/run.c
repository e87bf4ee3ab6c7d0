/* SPDX-License-Identifier: Apache-2.0 */
#include "native/run.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/identifier.h"
#include "base/json.h"
#include "base/json_member.h"
#include "base/json_scan.h"

#include <errno.h>
#include <stdio.h>

struct ra_run {
    struct native_link *link;
    char run_id[IDENTIFIER_SIZE];
    char user_id[IDENTIFIER_SIZE];
    char thread_id[IDENTIFIER_SIZE];
    char request_id[IDENTIFIER_SIZE];
    char message_id[IDENTIFIER_SIZE];
    char agent[IDENTIFIER_SIZE];
    uint64_t deadline;
    struct buffer introduction;
    struct buffer start;
    struct buffer content; /* NUL-terminated, as the next two */
    struct buffer input;
    struct buffer settings;
    pthread_mutex_t lock;  /* guards how it ends */
    struct buffer result;  /* JSON */
    struct buffer failure; /* params of run/failed */
};

/* ---- what it is about */

static const char *or_null(const char *id)
{
    return id[0] ? id : NULL;
}

const char *ra_run_id(const ra_run *run)
{
    return run->run_id;
}

const char *ra_user_id(const ra_run *run)
{
    return run->user_id;
}

const char *ra_thread_id(const ra_run *run)
{
    return run->thread_id;
}

const char *ra_request_id(const ra_run *run)
{
    return or_null(run->request_id);
}

const char *ra_message_id(const ra_run *run)
{
    return or_null(run->message_id);
}

const char *ra_agent_name(const ra_run *run)
{
    return run->agent;
}

uint64_t ra_deadline_ms(const ra_run *run)
{
    return run->deadline;
}

const char *ra_input(const ra_run *run)
{
    return run->input.data;
}

const char *ra_content_json(const ra_run *run)
{
    return run->content.data;
}

const char *ra_settings_json(const ra_run *run)
{
    return run->settings.data;
}

/* ---- saying things */

static int code_of(int rc)
{
    switch (rc) {
    case -ENOMEM: return RA_NO_MEMORY;
    default: return rc < 0 ? RA_LOST : 0;
    }
}

static bool is_text(const char *text)
{
    return text && utf8_valid(span_of_string(text));
}

static int send_event(ra_run *run, const char *type, const struct buffer *data)
{
    _cleanup_(buffer_deinit) struct buffer params = BUFFER_INIT;
    buffer_append_char(&params, '{');
    json_append_member(&params, "type", span_of_string(type));
    json_append_member_raw(&params, "data", buffer_span(data));
    buffer_append_char(&params, '}');
    if (buffer_error(data) || buffer_error(&params))
        return RA_NO_MEMORY;
    return code_of(native_link_notify(run->link, "event", buffer_span(&params)));
}

static int send_text(ra_run *run, const char *type, const char *member, const char *text)
{
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    if (!is_text(text))
        return RA_INVALID;
    buffer_append_char(&data, '{');
    json_append_member(&data, member, span_of_string(text));
    buffer_append_char(&data, '}');
    return send_event(run, type, &data);
}

int ra_thinking(ra_run *run, const char *status)
{
    return send_text(run, "agent_thinking", "status", status);
}

int ra_reasoning(ra_run *run, const char *delta)
{
    return send_text(run, "agent_thinking", "delta", delta);
}

int ra_text(ra_run *run, const char *delta)
{
    return send_text(run, "partial_result", "delta", delta);
}

/* {"code","message","retryable"}; false when they are not what they must be. */
static bool append_problem(
    struct buffer *out, const char *code, const char *message, bool retryable)
{
    if (!code || !identifier_valid(span_of_string(code)) || !is_text(message))
        return false;
    buffer_append_char(out, '{');
    json_append_member(out, "code", span_of_string(code));
    json_append_member(out, "message", span_of_string(message));
    json_append_member_bool(out, "retryable", retryable);
    buffer_append_char(out, '}');
    return true;
}

int ra_problem(ra_run *run, const char *code, const char *message, bool retryable)
{
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    if (!append_problem(&data, code, message, retryable))
        return RA_INVALID;
    return send_event(run, "error_event", &data);
}

/* ---- tools */

int ra_tool_start(ra_run *run, const char *name, const char *args_json, uint64_t *ret_call)
{
    _cleanup_(buffer_deinit) struct buffer params = BUFFER_INIT;
    struct span args = args_json ? json_trim(span_of_string(args_json)) : SPAN_LITERAL("{}");
    if (!name || !identifier_valid(span_of_string(name)) || !json_scan_valid_object(args))
        return RA_INVALID;
    buffer_append_char(&params, '{');
    json_append_member(&params, "name", span_of_string(name));
    json_append_name(&params, "args");
    json_append_one_line(&params, args);
    buffer_append_char(&params, '}');
    if (buffer_error(&params))
        return RA_NO_MEMORY;
    return code_of(native_link_ask(run->link, "tool/call", buffer_span(&params), ret_call));
}

static int give(char **ret_json, struct span json)
{
    *ret_json = strndup(json.data ? json.data : "", json.len);
    return *ret_json ? 0 : RA_NO_MEMORY;
}

/* A call that was never begun is told like one that failed. */
static int give_refusal(char **ret_json, struct span error)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    struct span message;
    const struct json_wanted wanted[] = {{"message", &message}};
    json_members(error, wanted, ARRAY_SIZE(wanted));
    buffer_append_char(&out, '{');
    json_append_member(&out, "code", SPAN_LITERAL("not_begun"));
    json_append_member_raw(&out, "message", message.len ? message : SPAN_LITERAL("\"\""));
    buffer_append_char(&out, '}');
    int rc = buffer_error(&out) ? RA_NO_MEMORY : give(ret_json, buffer_span(&out));
    return rc ? rc : RA_TOOL_ERROR;
}

static int give_result(char **ret_json, struct span answer)
{
    struct span status, result, error, word = SPAN_EMPTY;
    const struct json_wanted wanted[] = {
        {"status", &status}, {"result", &result}, {"error", &error}};
    json_members(answer, wanted, ARRAY_SIZE(wanted));
    (void)json_plain_string(&word, status);
    if (span_is(word, "cancelled"))
        return RA_CANCELLED;
    bool ok = span_is(word, "ok");
    int rc = give(ret_json, ok ? result : error);
    return rc || ok ? rc : RA_TOOL_ERROR;
}

int ra_tool_wait(ra_run *run, uint64_t call, char **ret_json)
{
    _cleanup_(buffer_deinit) struct buffer answer = BUFFER_INIT;
    int rc = native_link_answer(run->link, call, &answer);
    if (rc == -ENOENT)
        return RA_INVALID;
    if (rc < 0)
        return code_of(rc);
    return rc ? give_result(ret_json, buffer_span(&answer))
              : give_refusal(ret_json, buffer_span(&answer));
}

int ra_tool(ra_run *run, const char *name, const char *args_json, char **ret_json)
{
    uint64_t call;
    int rc = ra_tool_start(run, name, args_json, &call);
    return rc ? rc : ra_tool_wait(run, call, ret_json);
}

/* ---- questions */

static void append_question(
    struct buffer *out, const char *reason, struct span payload, uint64_t timeout_ms)
{
    buffer_append_char(out, '{');
    json_append_member(out, "reason", span_of_string(reason));
    if (payload.len) {
        json_append_name(out, "payload");
        json_append_one_line(out, payload);
    }
    if (timeout_ms)
        json_append_member_uint(out, "expires_at", clock_wall_ms() + timeout_ms);
    buffer_append_char(out, '}');
}

static int take_reply(char **ret_json, struct span reply)
{
    struct span status, word = SPAN_EMPTY;
    const struct json_wanted wanted[] = {{"status", &status}};
    json_members(reply, wanted, ARRAY_SIZE(wanted));
    (void)json_plain_string(&word, status);
    int rc = ret_json ? give(ret_json, reply) : 0;
    return rc ? rc : span_is(word, "resolved");
}

int ra_ask(
    ra_run *run, const char *reason, const char *payload_json, uint64_t timeout_ms, char **ret_json)
{
    _cleanup_(buffer_deinit) struct buffer params = BUFFER_INIT, reply = BUFFER_INIT;
    struct span payload = json_trim(span_of_string(payload_json));
    uint64_t question;
    if (!is_text(reason) || (payload_json && !json_scan_valid(payload)))
        return RA_INVALID;
    append_question(&params, reason, payload, timeout_ms);
    if (buffer_error(&params))
        return RA_NO_MEMORY;
    int rc = native_link_ask(run->link, "interrupt/request", buffer_span(&params), &question);
    if (!rc)
        rc = native_link_answer(run->link, question, &reply);
    if (rc < 0)
        return code_of(rc);
    return rc ? take_reply(ret_json, buffer_span(&reply)) : RA_REFUSED;
}

/* ---- stopping */

static int standing(const ra_run *run)
{
    if (native_link_closed(run->link))
        return RA_LOST;
    return native_link_cancelled(run->link) ? RA_CANCELLED : 0;
}

bool ra_cancelled(const ra_run *run)
{
    return standing(run) != 0;
}

int ra_sleep_ms(ra_run *run, uint64_t ms)
{
    native_link_wait(run->link, ms);
    return standing(run);
}

/* ---- ending */

int ra_set_result(ra_run *run, const char *result_json)
{
    struct span result = json_trim(span_of_string(result_json));
    if (!json_scan_valid(result))
        return RA_INVALID;
    pthread_mutex_lock(&run->lock);
    buffer_clear(&run->result);
    json_append_one_line(&run->result, result);
    int rc = buffer_error(&run->result) ? RA_NO_MEMORY : 0;
    pthread_mutex_unlock(&run->lock);
    return rc;
}

int ra_fail(ra_run *run, const char *code, const char *message, bool retryable)
{
    pthread_mutex_lock(&run->lock);
    buffer_clear(&run->failure);
    (void)append_problem(&run->failure, code, message, retryable);
    pthread_mutex_unlock(&run->lock);
    return -1;
}

static void append_finished(struct buffer *out, const ra_run *run, bool cancelled)
{
    buffer_append_char(out, '{');
    if (cancelled)
        json_append_member(out, "outcome", SPAN_LITERAL("cancelled"));
    else if (run->result.len)
        json_append_member_raw(out, "result", buffer_span(&run->result));
    buffer_append_char(out, '}');
}

static void append_failed(struct buffer *out, const ra_run *run, int rc)
{
    if (run->failure.len) {
        buffer_append_span(out, buffer_span(&run->failure));
        return;
    }
    buffer_append_char(out, '{');
    json_append_name(out, "message");
    buffer_printf(out, "\"the agent returned %d\"}", rc);
}

/* A failure that was said counts, whatever number came with it. */
static void end(ra_run *run, int rc)
{
    _cleanup_(buffer_deinit) struct buffer params = BUFFER_INIT;
    bool finished = !run->failure.len && (rc == 0 || rc == RA_CANCELLED);
    if (finished)
        append_finished(&params, run, rc == RA_CANCELLED);
    else
        append_failed(&params, run, rc);
    if (!buffer_error(&params))
        (void)native_link_notify(
            run->link, finished ? "run/finished" : "run/failed", buffer_span(&params));
}

/* ---- life */

/* The text of a string, or of the parts of a list that have some, a line each. */
static void append_input(struct buffer *out, struct span content)
{
    if (json_kind(content) == JSON_STRING)
        (void)json_string(out, content);
    if (json_kind(content) != JSON_ARRAY)
        return;
    size_t at = 0;
    for (struct span part; json_item_next(&part, content, &at);) {
        struct span piece;
        const struct json_wanted wanted[] = {{"text", &piece}};
        if (!json_members(part, wanted, ARRAY_SIZE(wanted)) || json_kind(piece) != JSON_STRING)
            continue;
        if (out->len)
            buffer_append_char(out, '\n');
        (void)json_string(out, piece);
    }
}

static void read_params(ra_run *run)
{
    struct span run_id, user, thread, request, message, deadline, input, content, agent, settings;
    const struct json_wanted wanted[] = {{"run_id", &run_id}, {"user_id", &user},
        {"thread_id", &thread}, {"request_id", &request}, {"message_id", &message},
        {"deadline", &deadline}, {"input", &input}};
    const struct json_wanted inside[] = {{"content", &content}};
    const struct json_wanted introduced[] = {{"agent", &agent}, {"settings", &settings}};
    json_members(buffer_span(&run->start), wanted, ARRAY_SIZE(wanted));
    json_members(input, inside, ARRAY_SIZE(inside));
    json_members(buffer_span(&run->introduction), introduced, ARRAY_SIZE(introduced));
    (void)json_identifier(run->run_id, run_id);
    (void)json_identifier(run->user_id, user);
    (void)json_identifier(run->thread_id, thread);
    (void)json_identifier(run->request_id, request);
    (void)json_identifier(run->message_id, message);
    (void)json_identifier(run->agent, agent);
    (void)json_uint(&run->deadline, deadline);
    buffer_append_span(&run->content, content);
    buffer_append_span(&run->settings, settings.len ? settings : SPAN_LITERAL("{}"));
    append_input(&run->input, content);
    buffer_append_char(&run->content, '\0');
    buffer_append_char(&run->settings, '\0');
    buffer_append_char(&run->input, '\0');
}

static void deinit(ra_run *run)
{
    struct buffer *buffers[] = {&run->introduction, &run->start, &run->content, &run->input,
        &run->settings, &run->result, &run->failure};
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        buffer_deinit(buffers[i]);
    pthread_mutex_destroy(&run->lock);
}

void native_serve(struct native_link *link, const struct ra_agent *agent)
{
    for (;;) {
        struct ra_run run = {.link = link};
        pthread_mutex_init(&run.lock, NULL);
        bool more = native_link_next_run(link, &run.introduction, &run.start);
        if (more) {
            read_params(&run);
            end(&run, agent->run(&run));
        }
        deinit(&run);
        if (!more)
            return;
    }
}
