/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may ask of dispatch: to start a run, and to stop one. */
#include "dispatch/dispatch.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "failpoints/failpoint.h"
#include "runs/payload.h"

#include <errno.h>

static void fail(struct answer *answer, const char *code, const char *message, bool retryable)
{
    answer->code = code;
    answer->message = message;
    answer->retryable = retryable;
}

static void succeed(struct answer *answer, struct span run_id, enum run_state state)
{
    answer->code = NULL;
    run_set_text(answer->run_id, run_id);
    answer->status = run_state_name(state);
}

/* ---- chat.send */

static const char *const busy_policies[] = {"", "enqueue", "reject", "interrupt", NULL};
static const char *const disconnect_policies[] = {"", "continue", "cancel", NULL};

static bool one_of(struct span text, const char *const *choices)
{
    while (*choices && !span_is(text, *choices))
        choices++;
    return *choices != NULL;
}

static bool request_valid(const struct wire_chat_send *request, struct answer *answer)
{
    if (!identifier_valid(request->thread_id))
        fail(answer, "invalid_argument", "thread_id is not an identifier", false);
    else if (!identifier_valid(request->message_id))
        fail(answer, "invalid_argument", "message_id is not an identifier", false);
    else if (request->agent.len && !identifier_valid(request->agent))
        fail(answer, "invalid_argument", "agent is not an identifier", false);
    else if (request->retry_of.len && !identifier_valid(request->retry_of))
        fail(answer, "invalid_argument", "retry_of is not an identifier", false);
    else if (request->content.len > WIRE_CONTENT_MAX)
        fail(answer, "payload_too_large", "content is larger than 256 KiB", false);
    else if (!json_scan_valid(request->content))
        fail(answer, "invalid_argument", "content is not JSON", false);
    else if (!one_of(request->on_busy, busy_policies))
        fail(answer, "invalid_argument", "on_busy is none of enqueue, reject, interrupt", false);
    else if (!one_of(request->on_disconnect, disconnect_policies))
        fail(answer, "invalid_argument", "on_disconnect is none of continue, cancel", false);
    return answer->code == NULL;
}

static enum run_state state_of_ended(struct dispatch *dispatch, struct span run_id)
{
    struct buffer record = BUFFER_INIT;
    struct span user_id;
    enum run_state state = RUN_COMPLETED;
    if (history_find_run(dispatch->users->history, run_id, &record) == 0)
        run_peek(buffer_span(&record), &user_id, &state);
    buffer_deinit(&record);
    return state;
}

/* The same message again: the same run, whatever became of it. */
static bool answer_repeated(
    struct dispatch *dispatch, const struct wire_chat_send *request, struct answer *answer)
{
    struct buffer id = BUFFER_INIT;
    int rc =
        history_find_message(dispatch->users->history, request->user, request->message_id, &id);
    if (rc && rc != -ENOENT)
        fail(answer, "internal", "history cannot be read", true);
    if (rc == 0) {
        const struct run *run = pipeline_find(dispatch->pipeline, buffer_span(&id));
        succeed(answer, buffer_span(&id),
            run ? run->state : state_of_ended(dispatch, buffer_span(&id)));
        dispatch->counters->requests_repeated++;
    }
    buffer_deinit(&id);
    return rc != -ENOENT;
}

/* A retry names a run of the same thread that has ended. */
static bool retry_allowed(struct dispatch *dispatch, const struct wire_chat_send *request,
    const struct user *user, struct answer *answer)
{
    struct buffer record = BUFFER_INIT;
    struct span user_id;
    struct span thread_id;
    enum run_state state;
    int rc = history_find_run(dispatch->users->history, request->retry_of, &record);
    if (!rc && run_peek(buffer_span(&record), &user_id, &state) == 0 &&
        run_peek_thread(buffer_span(&record), &thread_id) == 0 && span_is(user_id, user->id)) {
        if (!span_equal(thread_id, request->thread_id))
            fail(answer, "invalid_argument", "retry_of names a run of another thread", false);
        else if (pipeline_find(dispatch->pipeline, request->retry_of))
            fail(answer, "run_active", "the run to retry has not ended", true);
    } else if (!rc || rc == -ENOENT) {
        fail(answer, "run_not_found", "retry_of names no run that is known", false);
    } else {
        fail(answer, "internal", "history cannot be read", true);
    }
    buffer_deinit(&record);
    return answer->code == NULL;
}

static bool has_room(struct dispatch *dispatch, const struct user *user, struct answer *answer)
{
    const struct config *config = dispatch->config;
    if (user->queued >= config->broker_max_queued_per_user) {
        dispatch->counters->queue_full_user++;
        fail(answer, "queue_full", "too many of your requests wait already; try again later", true);
    } else if (dispatch->pipeline->queue.count >= config->broker_max_queued) {
        dispatch->counters->queue_full++;
        fail(answer, "queue_full", "too many requests wait already; try again later", true);
    }
    return answer->code == NULL;
}

static bool admit(struct dispatch *dispatch, const struct wire_chat_send *request,
    struct user *user, struct answer *answer)
{
    struct span agent = request->agent.len ? request->agent
                                           : span_of_string(dispatch->config->broker_default_agent);
    if (!workers_have_agent(dispatch->workers, agent) &&
        !config_find_agent(dispatch->config, agent))
        fail(answer, "agent_not_found", "no agent of this name is configured", false);
    else if (span_is(request->on_busy, "reject") &&
             queue_foremost(&dispatch->pipeline->queue, user, request->thread_id))
        fail(answer, "run_active", "the thread has an active run", true);
    if (!answer->code && request->retry_of.len)
        retry_allowed(dispatch, request, user, answer);
    return answer->code == NULL && has_room(dispatch, user, answer);
}

static struct run *make_run(
    struct dispatch *dispatch, const struct wire_chat_send *request, struct user *user)
{
    char id[IDENTIFIER_MADE_SIZE];
    identifier_make(id, "r-");
    struct run *run = run_new(user, span_of_string(id), RUN_ACCEPTED);
    if (!run)
        return NULL;
    identifier_make(run->request_id, "q-");
    run_set_text(run->thread_id, request->thread_id);
    run_set_text(run->message_id, request->message_id);
    run_set_text(run->agent, request->agent.len
                                 ? request->agent
                                 : span_of_string(dispatch->config->broker_default_agent));
    run_set_text(run->retry_of, request->retry_of);
    run->dispatched = true;
    run->cancel_on_disconnect = span_is(request->on_disconnect, "cancel");
    run->accepted_ms = clock_wall_ms();
    buffer_append_span(&run->content, request->content);
    if (buffer_error(&run->content) || pipeline_adopt(dispatch->pipeline, run) < 0) {
        run_free(run);
        return NULL;
    }
    return run;
}

/* The user's own turn, so that every tab shows it, and then its place in the queue. */
static void write_acceptance(struct dispatch *dispatch, struct run *run)
{
    struct buffer data = BUFFER_INIT;
    buffer_append_char(&data, '{');
    json_append_member(&data, "role", SPAN_LITERAL("user"));
    json_append_member_raw(&data, "content", buffer_span(&run->content));
    buffer_append_char(&data, '}');
    struct event message = {.type = EVENT_CHAT_MESSAGE,
        .message_id = span_of_string(run->message_id),
        .data = buffer_span(&data)};
    pipeline_write(dispatch->pipeline, run, &message);
    buffer_clear(&data);
    buffer_append_char(&data, '{');
    json_append_member_uint(&data, "position", run->user->queued);
    if (run->retry_of[0])
        json_append_member(&data, "retry_of", span_of_string(run->retry_of));
    buffer_append_char(&data, '}');
    struct event queued = {.type = EVENT_RUN_QUEUED, .data = buffer_span(&data)};
    pipeline_write(dispatch->pipeline, run, &queued);
    buffer_deinit(&data);
}

/* What the new message takes the place of: of two interrupts, the second counts. */
static void interrupt(
    struct dispatch *dispatch, const struct wire_chat_send *request, struct user *user)
{
    struct queue *queue = &dispatch->pipeline->queue;
    struct run *run = queue_foremost(queue, user, request->thread_id);
    if (run && run->state == RUN_CANCELLING)
        run = queue_first_waiting(queue, user, request->thread_id);
    if (run)
        dispatch_stop(dispatch, run, SPAN_LITERAL("interrupted by a new message"));
}

static void accept_request(struct dispatch *dispatch, const struct wire_chat_send *request,
    struct user *user, struct answer *answer)
{
    if (span_is(request->on_busy, "interrupt"))
        interrupt(dispatch, request, user);
    struct run *run = make_run(dispatch, request, user);
    if (!run) {
        fail(answer, "internal", "the broker is out of memory", true);
        return;
    }
    history_stage_message(
        dispatch->users->history, request->user, request->message_id, span_of_string(run->id));
    write_acceptance(dispatch, run);
    dispatch->counters->requests_accepted++;
    succeed(answer, span_of_string(run->id), run->state);
    FAILPOINT(request_accepted);
}

void dispatch_chat(
    struct dispatch *dispatch, const struct wire_chat_send *request, struct answer *ret_answer)
{
    *ret_answer = (struct answer){0};
    struct user *user = users_get(dispatch->users, request->user);
    if (!user)
        fail(ret_answer, "invalid_argument", "user is not an identifier", false);
    else if (request_valid(request, ret_answer) &&
             !answer_repeated(dispatch, request, ret_answer) &&
             admit(dispatch, request, user, ret_answer))
        accept_request(dispatch, request, user, ret_answer);
    if (ret_answer->code)
        dispatch->counters->requests_refused++;
}

/* ---- run.cancel */

static struct run *find_target(
    struct dispatch *dispatch, const struct user *user, const struct wire_run_cancel *request)
{
    if (request->run_id.len == 0)
        return queue_foremost(&dispatch->pipeline->queue, user, request->thread_id);
    struct run *run = pipeline_find(dispatch->pipeline, request->run_id);
    return run && run->user == user ? run : NULL;
}

/* A run that has ended answers with how, if it was this user's. */
static bool answer_ended(
    struct dispatch *dispatch, const struct wire_run_cancel *request, struct answer *answer)
{
    struct buffer record = BUFFER_INIT;
    struct span user_id;
    enum run_state state;
    bool found = request->run_id.len > 0 &&
                 history_find_run(dispatch->users->history, request->run_id, &record) == 0 &&
                 run_peek(buffer_span(&record), &user_id, &state) == 0 &&
                 span_equal(user_id, request->user);
    if (found)
        succeed(answer, request->run_id, state);
    buffer_deinit(&record);
    return found;
}

void dispatch_cancel(
    struct dispatch *dispatch, const struct wire_run_cancel *request, struct answer *ret_answer)
{
    *ret_answer = (struct answer){0};
    struct user *user = users_get(dispatch->users, request->user);
    struct run *run = user ? find_target(dispatch, user, request) : NULL;
    if (!run) {
        if (!request->run_id.len)
            fail(ret_answer, "thread_not_found", "no run of this thread is active", false);
        else if (!answer_ended(dispatch, request, ret_answer))
            fail(ret_answer, "run_not_found", "no such run", false);
        return;
    }
    run_set_text(ret_answer->run_id, span_of_string(run->id));
    bool ends_now = run->state == RUN_QUEUED;
    dispatch_stop(dispatch, run, request->reason);
    ret_answer->status = run_state_name(ends_now ? RUN_CANCELLED : RUN_CANCELLING);
}
