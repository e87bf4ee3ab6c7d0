/* SPDX-License-Identifier: Apache-2.0 */
#include "record_frame.h"

#include "base/cleanup.h"
#include "base/identifier.h"

/* Members of `data` with a value of the agent's own, for which null is as good as any. */
static const char *const opaque[] = {
    "args", "result", "input", "payload", "content", "progress", "usage", "error"};

/* ---- members */

static bool missing(struct record_report *report, const char *name, const char *kind)
{
    record_found(report, RECORD_BAD_FRAME, "\"%s\" is missing or not %s", name, kind);
    return false;
}

static bool as_uint(const json_t *value, uint64_t *ret_number)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *ret_number = (uint64_t)json_integer_value(value);
        return true;
    }
    /* As a real, when another number of the line was too big for an integer. */
    double real = json_real_value(value);
    if (!json_is_real(value) || !(real >= 0) || real > 9007199254740992. ||
        real != (double)(uint64_t)real)
        return false;
    *ret_number = (uint64_t)real;
    return true;
}

static bool take_uint(
    const json_t *object, const char *name, uint64_t *ret_number, struct record_report *report)
{
    return as_uint(json_object_get(object, name), ret_number) ||
           missing(report, name, "a whole number");
}

static bool take_text(
    const json_t *object, const char *name, const char **ret_text, struct record_report *report)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return missing(report, name, "a string");
    *ret_text = json_string_value(value);
    return true;
}

/* An identifier that may be absent. */
static bool take_id(
    const json_t *object, const char *name, struct span *ret_id, struct record_report *report)
{
    const json_t *value = json_object_get(object, name);
    if (!value)
        return true;
    struct span id = span_of(json_string_value(value), json_string_length(value));
    if (!json_is_string(value) || !identifier_valid(id))
        return missing(report, name, "an identifier");
    *ret_id = id;
    return true;
}

static bool take_bool(
    const json_t *object, const char *name, bool *ret_value, struct record_report *report)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_boolean(value))
        return missing(report, name, "true or false");
    *ret_value = json_is_true(value);
    return true;
}

/* ---- what must not be anywhere */

static bool is_opaque(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(opaque); i++) {
        if (strcmp(name, opaque[i]) == 0)
            return true;
    }
    return false;
}

static bool has_null(const json_t *object, bool data, struct record_report *report)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (json_is_null(value) && !(data && is_opaque(name))) {
            record_found(report, RECORD_NULL_MEMBER, "\"%s\" is null", name);
            return true;
        }
    }
    return false;
}

static json_t *parse(struct span line, struct record_report *report)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_error_t error;
    json_t *root = json_loadb(line.data ? line.data : "", line.len, flags, &error);
    if (!root && json_error_code(&error) == json_error_numeric_overflow)
        root = json_loadb(line.data, line.len, flags | JSON_DECODE_INT_AS_REAL, &error);
    if (json_is_object(root))
        return root;
    if (root)
        record_found(report, RECORD_NOT_JSON, "an array, not an object");
    else if (json_error_code(&error) == json_error_duplicate_key)
        record_found(report, RECORD_DUPLICATE_MEMBER, "%s", error.text);
    else
        record_found(report, RECORD_NOT_JSON, "%s (byte %d)", error.text, error.position);
    json_decref(root);
    return NULL;
}

/* ---- events */

static bool take_tool(struct record_frame *frame, const json_t *data, struct record_report *report)
{
    static const char *const statuses[] = {"ok", "error", "denied", "cancelled", "lost"};
    if (frame->event.tool_call_id.len == 0)
        return missing(report, "tool_call_id", "an identifier");
    if (!take_text(data, "tool_name", &frame->tool_name, report))
        return false;
    if (frame->type == EVENT_TOOL_EXECUTING)
        return true;
    if (!take_text(data, "status", &frame->status, report))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        if (strcmp(frame->status, statuses[i]) == 0)
            return true;
    }
    return missing(report, "status", "ok, error, denied, cancelled or lost");
}

static bool take_text_part(
    struct record_frame *frame, const json_t *data, struct record_report *report)
{
    const json_t *delta = json_object_get(data, "delta");
    bool final;
    if (frame->event.tool_call_id.len == 0 && frame->event.message_id.len == 0)
        return missing(report, "message_id", "an identifier, as is \"tool_call_id\"");
    if (frame->event.tool_call_id.len)
        return true;
    if (!json_is_string(delta))
        return missing(report, "delta", "a string");
    if (!take_bool(data, "final", &final, report))
        return false;
    frame->has_delta = true;
    frame->delta = span_of(json_string_value(delta), json_string_length(delta));
    frame->event.flags |= final ? EVENT_FLAG_FINAL : 0;
    return true;
}

static bool take_end(struct record_frame *frame, const json_t *data, struct record_report *report)
{
    const char *outcome;
    if (!take_text(data, "outcome", &outcome, report))
        return false;
    if (strcmp(outcome, "cancelled") == 0)
        frame->event.flags |= EVENT_FLAG_OUTCOME_CANCELLED;
    else if (strcmp(outcome, "success") != 0 && strcmp(outcome, "interrupt") != 0)
        return missing(report, "outcome", "success, cancelled or interrupt");
    return true;
}

static bool take_error(struct record_frame *frame, const json_t *data, struct record_report *report)
{
    const char *text;
    bool fatal;
    if (!take_text(data, "code", &text, report) || !take_text(data, "message", &text, report) ||
        !take_bool(data, "fatal", &fatal, report))
        return false;
    frame->event.flags |= fatal ? EVENT_FLAG_FATAL : 0;
    return true;
}

static bool take_data(struct record_frame *frame, struct record_report *report)
{
    const json_t *data = json_object_get(frame->root, "data");
    if (!json_is_object(data))
        return missing(report, "data", "an object");
    if (has_null(data, true, report))
        return false;
    switch (frame->type) {
    case EVENT_TOOL_EXECUTING:
    case EVENT_TOOL_COMPLETED: return take_tool(frame, data, report);
    case EVENT_PARTIAL_RESULT: return take_text_part(frame, data, report);
    case EVENT_AGENT_COMPLETED: return take_end(frame, data, report);
    case EVENT_ERROR_EVENT: return take_error(frame, data, report);
    case EVENT_INTERRUPT_REQUESTED:
    case EVENT_INTERRUPT_RESOLVED:
        return take_text(data, "interrupt_id", &frame->interrupt, report);
    default: return true;
    }
}

static bool take_ids(struct event *event, const json_t *root, struct record_report *report)
{
    return take_id(root, "thread_id", &event->thread_id, report) &&
           take_id(root, "run_id", &event->run_id, report) &&
           take_id(root, "request_id", &event->request_id, report) &&
           take_id(root, "agent", &event->agent, report) &&
           take_id(root, "message_id", &event->message_id, report) &&
           take_id(root, "tool_call_id", &event->tool_call_id, report);
}

static bool take_event(struct record_frame *frame, const char *name, struct record_report *report)
{
    struct event *event = &frame->event;
    const json_t *root = frame->root;
    bool synthetic;
    frame->kind = RECORD_EVENT;
    frame->type = event->type = event_type_parse(span_of_string(name));
    if (!take_uint(root, "seq", &event->seq, report) ||
        !take_uint(root, "prev", &frame->prev, report))
        return false;
    if (event->seq == 0)
        return missing(report, "seq", "above 0");
    if (json_object_get(root, "first_seq") &&
        !take_uint(root, "first_seq", &frame->event.first_seq, report))
        return false;
    if (!take_ids(event, root, report))
        return false;
    if (frame->type == EVENT_NONE)
        return true; /* of a later version: it moves the position, no more is known of it */
    if (!take_uint(root, "timestamp", &event->timestamp, report) ||
        !take_bool(root, "synthetic", &synthetic, report))
        return false;
    event->flags |= synthetic ? EVENT_FLAG_SYNTHETIC : 0;
    return take_data(frame, report);
}

/* ---- control frames */

static bool take_welcome(struct record_frame *frame, struct record_report *report)
{
    static const char *const resumes[] = {"live", "replay", "gap", "reset"};
    const json_t *root = frame->root;
    frame->kind = RECORD_WELCOME;
    if (!take_text(root, "epoch", &frame->welcome.epoch, report) ||
        !take_text(root, "user_id", &frame->welcome.user, report) ||
        !take_text(root, "resume", &frame->welcome.resume, report) ||
        !take_uint(root, "head", &frame->welcome.head, report) ||
        !take_uint(root, "oldest", &frame->welcome.oldest, report))
        return false;
    if (!identifier_valid(span_of_string(frame->welcome.epoch)))
        return missing(report, "epoch", "an identifier");
    if (!identifier_valid(span_of_string(frame->welcome.user)))
        return missing(report, "user_id", "an identifier");
    for (size_t i = 0; i < ARRAY_SIZE(resumes); i++) {
        if (strcmp(frame->welcome.resume, resumes[i]) == 0)
            return true;
    }
    return missing(report, "resume", "live, replay, gap or reset");
}

static bool take_gap(struct record_frame *frame, struct record_report *report)
{
    const char *reason;
    frame->kind = RECORD_GAP_FRAME;
    if (!take_uint(frame->root, "from", &frame->gap.from, report) ||
        !take_uint(frame->root, "to", &frame->gap.to, report) ||
        !take_text(frame->root, "reason", &reason, report))
        return false;
    frame->gap.epoch_changed = strcmp(reason, "epoch_changed") == 0;
    return true; /* for any other reason: the events are gone */
}

static bool take_position(
    struct record_frame *frame, enum record_kind kind, struct record_report *report)
{
    frame->kind = kind;
    if (!take_uint(frame->root, "seq", &frame->position, report))
        return false;
    if (kind == RECORD_CAUGHT_UP)
        return true;
    if (!take_id(frame->root, "run_id", &frame->event.run_id, report))
        return false;
    return frame->event.run_id.len || missing(report, "run_id", "an identifier");
}

static bool take_reply(struct record_frame *frame, struct record_report *report)
{
    const json_t *id = json_object_get(frame->root, "id");
    bool result = json_object_get(frame->root, "result");
    frame->kind = RECORD_OTHER;
    if (!json_is_string(id) && !json_is_number(id))
        return missing(report, "type", "there, nor is \"id\" of a reply");
    if (result == json_is_object(json_object_get(frame->root, "error")))
        return missing(report, "result", "the only one beside \"error\" in a reply");
    return true;
}

static bool take_control(struct record_frame *frame, const char *type, struct record_report *report)
{
    frame->kind = RECORD_OTHER;
    if (strcmp(type, "welcome") == 0)
        return take_welcome(frame, report);
    if (strcmp(type, "gap") == 0)
        return take_gap(frame, report);
    if (strcmp(type, "caught_up") == 0)
        return take_position(frame, RECORD_CAUGHT_UP, report);
    if (strcmp(type, "snapshot") == 0)
        return take_position(frame, RECORD_SNAPSHOT, report);
    return true;
}

bool record_frame_decode(
    struct record_frame *ret_frame, struct span line, struct record_report *report)
{
    struct record_frame *frame = ret_frame;
    *frame = (struct record_frame){.root = parse(line, report)};
    if (!frame->root || has_null(frame->root, false, report))
        return false;
    const json_t *type = json_object_get(frame->root, "type");
    if (!type)
        return take_reply(frame, report);
    if (!json_is_string(type))
        return missing(report, "type", "a string");
    const char *name = json_string_value(type);
    bool numbered = json_object_get(frame->root, "seq") && json_object_get(frame->root, "prev");
    if (numbered || event_type_parse(span_of_string(name)) != EVENT_NONE)
        return take_event(frame, name, report);
    return take_control(frame, name, report);
}

void record_frame_deinit(struct record_frame *frame)
{
    json_decref(frame->root);
    frame->root = NULL;
}
