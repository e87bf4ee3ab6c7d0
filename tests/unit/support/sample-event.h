/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

/* An event with every field set. */
static inline struct event sample_event(void)
{
    return (struct event){
        .type = EVENT_TOOL_EXECUTING,
        .flags = EVENT_FLAG_SYNTHETIC,
        .seq = 1042,
        .timestamp = 1795000000123,
        .user_tag = 0x1122334455667788,
        .thread_id = SPAN_LITERAL("t-7"),
        .run_id = SPAN_LITERAL("r-19"),
        .request_id = SPAN_LITERAL("q-3"),
        .agent = SPAN_LITERAL("researcher"),
        .message_id = SPAN_LITERAL("m-5"),
        .tool_call_id = SPAN_LITERAL("c-1"),
        .data = SPAN_LITERAL("{\"tool_name\":\"search\",\"args\":{\"q\":\"rings\"}}"),
    };
}

/* Type, flags, time, identifiers and data; `seq` and `user_tag` are looked at by themselves. */
static inline void assert_same_event(const struct event *a, const struct event *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->timestamp, b->timestamp);
    assert_true(span_equal(a->thread_id, b->thread_id));
    assert_true(span_equal(a->run_id, b->run_id));
    assert_true(span_equal(a->request_id, b->request_id));
    assert_true(span_equal(a->agent, b->agent));
    assert_true(span_equal(a->message_id, b->message_id));
    assert_true(span_equal(a->tool_call_id, b->tool_call_id));
    assert_true(span_equal(a->data, b->data));
}
