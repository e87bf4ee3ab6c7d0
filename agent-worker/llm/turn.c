/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/turn.h"

#include "base/cleanup.h"

#include <errno.h>

static int malformed(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

static void calls_deinit(struct llm_turn *turn)
{
    for (size_t i = 0; i < turn->call_count; i++) {
        buffer_deinit(&turn->calls[i].id);
        buffer_deinit(&turn->calls[i].name);
        buffer_deinit(&turn->calls[i].arguments);
    }
    turn->call_count = 0;
}

void llm_turn_deinit(struct llm_turn *turn)
{
    calls_deinit(turn);
    buffer_deinit(&turn->text);
    buffer_deinit(&turn->news);
    buffer_deinit(&turn->thoughts);
}

void llm_turn_reset(struct llm_turn *turn)
{
    struct buffer text = turn->text, news = turn->news, thoughts = turn->thoughts;
    calls_deinit(turn);
    memset(turn, 0, sizeof(*turn));
    turn->text = text;
    turn->news = news;
    turn->thoughts = thoughts;
    buffer_clear(&turn->text);
    buffer_clear(&turn->news);
    buffer_clear(&turn->thoughts);
}

/* ---- text */

static int add_text(struct llm_turn *turn, const struct llm_chunk *chunk, const char **ret_reason)
{
    bool good = true;
    if (chunk->reasoning.len)
        good &= json_string(&turn->thoughts, chunk->reasoning);
    if (chunk->content.len)
        good &= json_string(&turn->news, chunk->content);
    if (chunk->refusal.len > 2) {
        good &= json_string(&turn->news, chunk->refusal);
        turn->refused = true;
    }
    if (!good)
        return malformed(ret_reason, "a piece has no text where there should be some");
    buffer_append_span(&turn->text, buffer_span(&turn->news));
    turn->bytes += turn->news.len + turn->thoughts.len;
    return 0;
}

/* ---- tool calls */

static struct llm_call *add_call(struct llm_turn *turn, uint64_t index)
{
    if (turn->call_count == LLM_CALLS_MAX)
        return NULL;
    struct llm_call *call = &turn->calls[turn->call_count++];
    *call = (struct llm_call){.index = index};
    return call;
}

static bool id_is(const struct llm_call *call, struct span id)
{
    struct buffer text = BUFFER_INIT;
    bool same = json_string(&text, id) && span_equal(buffer_span(&text), buffer_span(&call->id));
    buffer_deinit(&text);
    return same;
}

/* Servers that leave the number out begin a call with its id. */
static struct llm_call *find_call(struct llm_turn *turn, struct span index, struct span id)
{
    uint64_t wanted;
    struct llm_call *last = turn->call_count ? &turn->calls[turn->call_count - 1] : NULL;
    if (!json_uint(&wanted, index)) {
        bool same = last && (id.len <= 2 || id_is(last, id));
        return same ? last : add_call(turn, turn->call_count);
    }
    for (size_t i = 0; i < turn->call_count; i++) {
        if (turn->calls[i].index == wanted)
            return &turn->calls[i];
    }
    return add_call(turn, wanted);
}

/* Some say a name, or an id, once; some with every fragment; some in fragments. */
static bool append_new(struct buffer *out, struct span value)
{
    struct buffer text = BUFFER_INIT;
    bool good = value.len == 0 || json_kind(value) == JSON_NULL || json_string(&text, value);
    if (good && !span_equal(buffer_span(&text), buffer_span(out)))
        buffer_append_span(out, buffer_span(&text));
    buffer_deinit(&text);
    return good;
}

/* They are text; some servers give the object itself. */
static bool append_arguments(struct buffer *out, struct span value)
{
    switch (json_kind(value)) {
    case JSON_ABSENT:
    case JSON_NULL: return true;
    case JSON_OBJECT: json_append_one_line(out, value); return true;
    default: return json_string(out, value);
    }
}

static int add_fragment(struct llm_turn *turn, struct span item, const char **ret_reason)
{
    struct span index, id, function, name, arguments;
    const struct json_wanted wanted[] = {{"index", &index}, {"id", &id}, {"function", &function}};
    const struct json_wanted inside[] = {{"name", &name}, {"arguments", &arguments}};
    if (!json_members(item, wanted, ARRAY_SIZE(wanted)))
        return malformed(ret_reason, "a tool call is not an object");
    json_members(function, inside, ARRAY_SIZE(inside));
    struct llm_call *call = find_call(turn, index, id);
    if (!call)
        return malformed(ret_reason, "an answer has more tool calls than 64");
    size_t before = call->id.len + call->name.len + call->arguments.len;
    if (!append_new(&call->id, id) || !append_new(&call->name, name) ||
        !append_arguments(&call->arguments, arguments))
        return malformed(ret_reason, "the id, name or arguments of a tool call are no text");
    turn->bytes += call->id.len + call->name.len + call->arguments.len - before;
    if (buffer_error(&call->id) || buffer_error(&call->name) || buffer_error(&call->arguments))
        return -ENOMEM;
    return 0;
}

static int add_calls(struct llm_turn *turn, struct span calls, const char **ret_reason)
{
    struct span item;
    int rc = 0;
    for (size_t at = 0; !rc && calls.len && json_item_next(&item, calls, &at);)
        rc = add_fragment(turn, item, ret_reason);
    return rc;
}

/* ---- the end */

static enum llm_finish finish_of(struct span finish)
{
    struct span word = SPAN_EMPTY;
    (void)json_plain_string(&word, finish);
    if (span_is(word, "length"))
        return LLM_FINISH_LENGTH;
    if (span_is(word, "content_filter"))
        return LLM_FINISH_CONTENT_FILTER;
    return LLM_FINISH_STOP;
}

int llm_turn_add(struct llm_turn *turn, const struct llm_chunk *chunk, const char **ret_reason)
{
    buffer_clear(&turn->news);
    buffer_clear(&turn->thoughts);
    int rc = add_text(turn, chunk, ret_reason);
    if (!rc)
        rc = add_calls(turn, chunk->tool_calls, ret_reason);
    if (rc)
        return rc;
    if (turn->bytes > LLM_ANSWER_MAX)
        return malformed(ret_reason, "an answer is larger than 4 MiB");
    if (chunk->finish.len > 2)
        turn->finish = finish_of(chunk->finish);
    if (chunk->has_usage) {
        turn->has_usage = true;
        turn->usage = chunk->usage;
    }
    return buffer_error(&turn->text) || buffer_error(&turn->news) ? -ENOMEM : 0;
}
