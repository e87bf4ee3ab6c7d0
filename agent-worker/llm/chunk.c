/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/chunk.h"

#include "base/cleanup.h"
#include "base/json_member.h"
#include "base/json_scan.h"

#include <errno.h>

static int malformed(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

static void drop_null(struct span *value)
{
    if (json_kind(*value) == JSON_NULL)
        *value = SPAN_EMPTY;
}

static bool is_string_or_absent(struct span value)
{
    return value.len == 0 || json_kind(value) == JSON_STRING;
}

static int parse_delta(struct llm_chunk *chunk, struct span delta, const char **ret_reason)
{
    struct span reasoning;
    const struct json_wanted wanted[] = {{"content", &chunk->content},
        {"reasoning_content", &chunk->reasoning}, {"reasoning", &reasoning},
        {"refusal", &chunk->refusal}, {"tool_calls", &chunk->tool_calls}};
    if (!json_members(delta, wanted, ARRAY_SIZE(wanted)))
        return malformed(ret_reason, "a delta is not an object");
    if (json_kind(chunk->reasoning) != JSON_STRING)
        chunk->reasoning = json_kind(reasoning) == JSON_STRING ? reasoning : SPAN_EMPTY;
    drop_null(&chunk->content);
    drop_null(&chunk->refusal);
    drop_null(&chunk->tool_calls);
    if (!is_string_or_absent(chunk->content) || !is_string_or_absent(chunk->refusal))
        return malformed(ret_reason, "the text of a delta is not a string");
    if (chunk->tool_calls.len && json_kind(chunk->tool_calls) != JSON_ARRAY)
        return malformed(ret_reason, "the tool calls of a delta are not a list");
    return 0;
}

/* One answer was asked for; of a server that gives several the first counts. */
static int parse_choice(struct llm_chunk *chunk, struct span choices, const char **ret_reason)
{
    struct span choice, delta;
    const struct json_wanted wanted[] = {{"delta", &delta}, {"finish_reason", &chunk->finish}};
    size_t at = 0;
    uint64_t index = 0;
    if (!json_item_next(&choice, choices, &at))
        return 0;
    if (!json_members(choice, wanted, ARRAY_SIZE(wanted)))
        return malformed(ret_reason, "a choice is not an object");
    if (json_uint(&index, json_member_value(choice, "index")) && index > 0) {
        chunk->finish = SPAN_EMPTY;
        return 0;
    }
    drop_null(&chunk->finish);
    drop_null(&delta);
    if (!is_string_or_absent(chunk->finish))
        return malformed(ret_reason, "a finish_reason is not a string");
    return delta.len ? parse_delta(chunk, delta, ret_reason) : 0;
}

static void parse_usage(struct llm_chunk *chunk, struct span usage)
{
    struct span prompt, completion, total;
    const struct json_wanted wanted[] = {
        {"prompt_tokens", &prompt}, {"completion_tokens", &completion}, {"total_tokens", &total}};
    if (!json_members(usage, wanted, ARRAY_SIZE(wanted)))
        return;
    bool some = json_uint(&chunk->usage.prompt, prompt);
    some |= json_uint(&chunk->usage.completion, completion);
    if (!json_uint(&chunk->usage.total, total) || !chunk->usage.total)
        chunk->usage.total = chunk->usage.prompt + chunk->usage.completion;
    chunk->has_usage = some || chunk->usage.total;
}

int llm_chunk_parse(struct llm_chunk *ret_chunk, struct span data, const char **ret_reason)
{
    struct llm_chunk chunk = {0};
    struct span choices, usage;
    const struct json_wanted wanted[] = {
        {"choices", &choices}, {"usage", &usage}, {"error", &chunk.error}};
    data = json_trim(data);
    if (!json_scan_valid(data))
        return malformed(ret_reason, "a piece is not JSON");
    if (!json_members(data, wanted, ARRAY_SIZE(wanted)))
        return malformed(ret_reason, "a piece is not an object");
    drop_null(&chunk.error);
    drop_null(&choices);
    int rc = 0;
    if (json_kind(choices) == JSON_ARRAY)
        rc = parse_choice(&chunk, choices, ret_reason);
    else if (choices.len || (!chunk.error.len && json_kind(usage) != JSON_OBJECT))
        rc = malformed(ret_reason, "a piece has no list of choices");
    parse_usage(&chunk, usage);
    if (!rc)
        *ret_chunk = chunk;
    return rc;
}

/* ---- errors */

static bool has_word(struct span value, const char *word)
{
    struct span text = SPAN_EMPTY;
    return json_plain_string(&text, value) && span_is(text, word);
}

void llm_server_error_parse(struct llm_server_error *ret_error, struct span error)
{
    struct span message = error, code, type;
    uint64_t number = 0;
    const struct json_wanted wanted[] = {{"message", &message}, {"code", &code}, {"type", &type}};
    *ret_error = (struct llm_server_error){0};
    if (json_members(error, wanted, ARRAY_SIZE(wanted))) {
        ret_error->no_quota =
            has_word(code, "insufficient_quota") || has_word(type, "insufficient_quota");
        if (json_uint(&number, code) && number >= 400 && number < 600)
            ret_error->status = (long)number;
    } else {
        message = error;
    }
    if (!json_string(&ret_error->message, message))
        buffer_clear(&ret_error->message);
}

void llm_server_error_of_body(struct llm_server_error *ret_error, struct span body)
{
    struct span error = SPAN_EMPTY;
    const struct json_wanted wanted[] = {{"error", &error}};
    body = json_trim(body);
    if (json_scan_valid_object(body))
        json_members(body, wanted, ARRAY_SIZE(wanted));
    llm_server_error_parse(ret_error, error);
}
