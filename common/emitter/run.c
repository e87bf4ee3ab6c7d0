/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "base/clock.h"
#include "error.h"
#include "event/record.h"
#include "orphan.h"
#include "payload.h"

#include <assert.h>
#include <stdlib.h>

static void put_span(char *to, struct span from)
{
    if (from.data)
        memcpy(to, from.data, from.len);
}

/* The identifier is valid, or NULL for an empty one. */
static void put_id(char ret_id[IDENTIFIER_SIZE], const char *id)
{
    struct span span = span_of_string(id);
    put_span(ret_id, span);
    ret_id[span.len] = '\0';
}

static bool context_valid(const struct rs_run_context *context)
{
    return valid_id(context->user_id) && valid_id(context->thread_id) && valid_id(context->agent) &&
           valid_optional_id(context->run_id) && valid_optional_id(context->request_id) &&
           valid_optional_id(context->parent_run_id) && valid_optional_json(context->input_json);
}

static int run_fill(struct rs_run *run, const struct rs_run_context *context)
{
    put_id(run->user_id, context->user_id);
    put_id(run->thread_id, context->thread_id);
    put_id(run->agent, context->agent);
    put_id(run->request_id, context->request_id);
    if (context->run_id)
        put_id(run->run_id, context->run_id);
    else
        identifier_make(run->run_id, "r-");
    run->stream.user_id = span_of_string(run->user_id);
    return payload_started(&run->started, context);
}

static struct step start_step(const struct rs_run *run)
{
    return (struct step){.kind = STEP_START,
        .event = {.type = EVENT_AGENT_STARTED,
            .thread_id = span_of_string(run->thread_id),
            .request_id = span_of_string(run->request_id),
            .agent = span_of_string(run->agent),
            .data = buffer_span(&run->started)}};
}

static int run_init(struct rs_run *run, const struct rs_run_context *context)
{
    int rc = run_fill(run, context);
    if (rc)
        return rc;
    struct step start = start_step(run);
    rc = run_check(run, &start);
    return rc ? rc : emitter_lease(run->emitter, &run->stream);
}

int rs_run_open(rs_run **ret_run, rs_emitter *emitter, const struct rs_run_context *context)
{
    if (!ret_run || !emitter || !context || !context_valid(context))
        return RS_E_INVALID;
    orphans_retry(emitter);
    struct rs_run *run = calloc(1, sizeof(*run));
    if (!run)
        return RS_E_NO_MEMORY;
    grammar_init(&run->grammar);
    list_init(&run->link);
    run->emitter = emitter;
    run->timeout_ms = emitter->emit_timeout_ms;
    int rc = run_init(run, context);
    if (rc) {
        run_destroy(run);
        return rc;
    }
    emitter_ref(emitter);
    *ret_run = run;
    return RS_OK;
}

uint64_t run_deadline(const struct rs_run *run)
{
    if (run->timeout_ms == DEADLINE_NEVER)
        return DEADLINE_NEVER;
    return clock_monotonic_ms() + run->timeout_ms;
}

int rs_run_set_timeout(rs_run *run, int timeout_ms)
{
    if (!run)
        return RS_E_INVALID;
    run->timeout_ms = timeout_ms < 0 ? DEADLINE_NEVER : (uint64_t)timeout_ms;
    return RS_OK;
}

const char *rs_run_id(const rs_run *run)
{
    return run->run_id;
}

bool rs_run_ended(const rs_run *run)
{
    return run->grammar.state == GRAMMAR_ENDED;
}

void run_destroy(struct rs_run *run)
{
    grammar_deinit(&run->grammar);
    buffer_deinit(&run->started);
    buffer_deinit(&run->data);
    free(run);
}

rs_run *rs_run_free(rs_run *run)
{
    if (!run)
        return NULL;
    struct rs_emitter *emitter = run->emitter;
    run_abandon(run);
    orphans_retry(emitter);
    int rc = run_end_abandoned(run, run_deadline(run));
    rs_batch_end(run);
    if (rc == RS_E_FULL) {
        orphan_add(emitter, run);
        emitter_unref(emitter);
        return NULL;
    }
    run_destroy(run);
    emitter_unref(emitter);
    return NULL;
}

void rs_run_drop(rs_run *run)
{
    run_abandon(run);
    grammar_seal(&run->grammar);
}

int run_start(struct rs_run *run, uint64_t deadline)
{
    struct step step = start_step(run);
    int rc = run_step(run, &step, deadline);
    if (rc == RS_OK)
        buffer_deinit(&run->started);
    return rc;
}

int rs_run_start(rs_run *run)
{
    return run ? run_start(run, run_deadline(run)) : RS_E_INVALID;
}

/* Where and how large: what the ring will be asked for. */
size_t run_event_size(const struct event *event)
{
    return EVENT_RECORD_HEADER_SIZE + event->run_id.len + event->thread_id.len +
           event->request_id.len + event->agent.len + event->message_id.len +
           event->tool_call_id.len + event->data.len;
}

struct event run_event(const struct rs_run *run, const struct step *step)
{
    struct event event = step->event;
    event.run_id = span_of_string(run->run_id);
    event.timestamp = clock_wall_ms();
    return event;
}

int run_fits(const struct rs_run *run, const struct step *step)
{
    struct event event = run_event(run, step);
    if (run->grammar.state == GRAMMAR_ENDED)
        return RS_E_ENDED;
    if (run->reservation.open)
        return RS_E_ORDER;
    return run_event_size(&event) > arena_spill_max(run->emitter->arena) ? RS_E_TOO_BIG : RS_OK;
}

int run_check(struct rs_run *run, const struct step *step)
{
    struct grammar_item *item;
    int rc = run_fits(run, step);
    if (rc)
        return rc;
    return error_from_verdict(grammar_check(&item, &run->grammar, step->kind, step->item_id));
}

static struct grammar_item *item_new(struct rs_run *run, const struct step *step)
{
    struct grammar_item *item;
    if (grammar_step_set(step->kind) == GRAMMAR_TOOL) {
        struct span name = step->tool_name_json;
        struct rs_tool *tool = calloc(1, sizeof(*tool) + name.len);
        if (!tool)
            return NULL;
        tool->run = run;
        tool->began_ms = clock_monotonic_ms();
        tool->name_length = name.len;
        put_span(tool->name_json, name);
        item = &tool->item;
    } else {
        item = calloc(1, sizeof(*item));
        if (!item)
            return NULL;
    }
    put_span(item->id, step->item_id);
    return item;
}

static int item_add(struct grammar_item **ret_item, struct rs_run *run, const struct step *step)
{
    struct grammar_item *item = item_new(run, step);
    if (!item)
        return RS_E_NO_MEMORY;
    if (grammar_add(&run->grammar, item, grammar_step_set(step->kind)) < 0) {
        free(item);
        return RS_E_NO_MEMORY;
    }
    *ret_item = item;
    return RS_OK;
}

/* A message goes on until it is final; thinking until the run does something else. */
static void follow(struct rs_run *run, const struct step *step, struct grammar_item *item)
{
    if (item && item->set == GRAMMAR_TEXT) {
        if (item->state == ITEM_OPEN)
            run->current = item;
        else if (run->current == item)
            run->current = NULL;
    }
    if (step->kind == STEP_TEXT || step->kind == STEP_TEXT_LAST || step->kind == STEP_TOOL_BEGIN)
        run->thinking_id[0] = '\0';
}

int run_take_begin(struct taking *ret_taking, struct rs_run *run, const struct step *step)
{
    struct taking taking = {.fresh = false};
    int rc =
        error_from_verdict(grammar_check(&taking.item, &run->grammar, step->kind, step->item_id));
    if (rc)
        return rc;
    taking.fresh = !taking.item && grammar_step_set(step->kind) != GRAMMAR_NONE;
    if (taking.fresh)
        rc = item_add(&taking.item, run, step);
    if (rc == RS_OK)
        *ret_taking = taking;
    return rc;
}

void run_take_end(struct rs_run *run, const struct step *step, struct taking *taking, int rc)
{
    if (rc) {
        if (taking->fresh)
            grammar_remove(&run->grammar, taking->item);
        return;
    }
    grammar_apply(&run->grammar, step->kind, taking->item);
    follow(run, step, taking->item);
}

int run_step(struct rs_run *run, const struct step *step, uint64_t deadline)
{
    struct taking taking;
    if (run->reservation.open)
        return RS_E_ORDER;
    int rc = run_take_begin(&taking, run, step);
    if (rc)
        return rc;
    struct event event = run_event(run, step);
    rc = emitter_send(run->emitter, &run->stream, &event, deadline);
    run_take_end(run, step, &taking, rc);
    return rc;
}

int run_step_data(struct rs_run *run, struct step *step, uint64_t deadline)
{
    if (buffer_error(&run->data))
        return RS_E_NO_MEMORY;
    step->event.data = buffer_span(&run->data);
    return run_step(run, step, deadline);
}

struct span run_text_id(struct rs_run *run, const char *message_id, char made[IDENTIFIER_MADE_SIZE])
{
    if (message_id)
        return span_of_string(message_id);
    if (run->current)
        return span_of_string(run->current->id);
    identifier_make(made, "m-");
    return span_of_string(made);
}

struct span run_thinking_id(struct rs_run *run, const char *message_id)
{
    if (message_id)
        return span_of_string(message_id);
    if (!run->thinking_id[0])
        identifier_make(run->thinking_id, "m-");
    return span_of_string(run->thinking_id);
}
