/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked about runs, and of them. */
#include "protocol_fields.h"

bool protocol_decode_run_cancel(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    const json_t *reason = json_object_get(params, "reason");
    if (reason && (!json_is_string(reason) || json_string_length(reason) > PROTOCOL_REASON_MAX))
        return protocol_refuse(error, "reason", "must be a string of at most 1024 bytes");
    request->reason = protocol_text(reason);
    if (!protocol_read_optional_identifier(&request->run_id, params, "run_id", error) ||
        !protocol_read_optional_identifier(&request->thread_id, params, "thread_id", error))
        return false;
    if (!request->run_id.len && !request->thread_id.len)
        return protocol_refuse(error, "run_id", "or params.thread_id must be given");
    return true;
}

/* The broker knows the states; here it is a word. */
static bool read_state(struct span *ret_state, const json_t *params, struct protocol_error *error)
{
    return protocol_read_optional_identifier(ret_state, params, "state", error);
}

/* What a page named as its next one, given back as it came. */
static bool read_after(struct span *ret_after, const json_t *params, struct protocol_error *error)
{
    const json_t *after = json_object_get(params, "after");
    if (!after)
        return true;
    *ret_after = protocol_text(after);
    if (ret_after->len == 0 || ret_after->len > PROTOCOL_PAGE_NAME_MAX)
        return protocol_refuse(error, "after", "must be the next of another page");
    return true;
}

static bool read_limit(uint64_t *ret_limit, const json_t *params, struct protocol_error *error)
{
    const json_t *limit = json_object_get(params, "limit");
    *ret_limit = PROTOCOL_RUNS_MAX;
    if (!limit)
        return true;
    if (!json_is_integer(limit) || json_integer_value(limit) < 1 ||
        json_integer_value(limit) > PROTOCOL_RUNS_MAX)
        return protocol_refuse(error, "limit", "must be a whole number from 1 to 100");
    *ret_limit = (uint64_t)json_integer_value(limit);
    return true;
}

bool protocol_decode_runs_list(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    return protocol_read_optional_identifier(&request->thread_id, params, "thread_id", error) &&
           read_state(&request->state, params, error) &&
           read_after(&request->after, params, error) && read_limit(&request->limit, params, error);
}

bool protocol_decode_run_get(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    return protocol_read_identifier(&request->run_id, params, "run_id", error);
}

static bool read_payload(
    struct buffer *ret_payload, const json_t *params, struct protocol_error *error)
{
    const json_t *payload = json_object_get(params, "payload");
    if (!payload)
        return true;
    if (!protocol_nests_within(payload, PROTOCOL_CONTENT_DEPTH))
        return protocol_refuse(error, "payload", "is nested too deeply");
    return protocol_write_json(ret_payload, payload, "payload", PROTOCOL_PAYLOAD_MAX, error);
}

bool protocol_decode_interrupt_respond(
    struct protocol_request *request, const json_t *params, struct protocol_error *error)
{
    return protocol_read_identifier(&request->interrupt_id, params, "interrupt_id", error) &&
           protocol_read_optional_identifier(&request->run_id, params, "run_id", error) &&
           (json_object_get(params, "status") ||
               protocol_refuse(error, "status", "must be given: resolved or cancelled")) &&
           protocol_read_choice(&request->status, params, "status", "resolved|cancelled", error) &&
           read_payload(&request->content, params, error);
}
