/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "base/identifier.h"

enum event_type {
    EVENT_NONE,
#define EVENT(symbol, name, class) EVENT_##symbol,
#include "event/types.def"
#undef EVENT
    EVENT_TYPE_COUNT,
};

enum event_class {
    EVENT_CLASS_EDGE,
    EVENT_CLASS_TEXT,
    EVENT_CLASS_STATUS,
};

enum event_flag {
    EVENT_FLAG_SYNTHETIC = 1u << 0,         /* the broker wrote it, not the agent */
    EVENT_FLAG_FATAL = 1u << 1,             /* an error_event that ends its run */
    EVENT_FLAG_FINAL = 1u << 2,             /* a partial_result that ends its message's text */
    EVENT_FLAG_OUTCOME_CANCELLED = 1u << 3, /* an agent_completed of a cancelled run */
    EVENT_FLAGS_ALL = 0xf,
};

/*
 * One event and its envelope. The spans are borrowed from whatever it was decoded from; an empty
 * span is an absent field. `data` is one JSON object, opaque behind the envelope: what the broker
 * must know of it (does this error end the run?) travels in `flags`, set by whoever wrote `data`.
 */
struct event {
    enum event_type type;
    uint32_t flags;
    uint64_t seq;       /* position in the user's stream; 0 before the sequencer */
    uint64_t first_seq; /* of a folded event: the first number it stands for; else 0 */
    uint64_t timestamp; /* wall-clock milliseconds, taken where it was emitted */
    uint64_t user_tag;  /* user_tag() of its user: checked at every hop */
    struct span thread_id;
    struct span run_id;
    struct span request_id;
    struct span agent;
    struct span message_id;
    struct span tool_call_id;
    struct span data;
};

/* "agent_started"; "unknown" for a number that names no type. Static. */
const char *event_type_name(enum event_type type);
/* EVENT_NONE when no type has this name. */
enum event_type event_type_parse(struct span name);
enum event_class event_type_class(enum event_type type);
/* The tag that stands for a user in records: XXH3 of the identifier. */
uint64_t event_user_tag(struct span user_id);

/* The first of the numbers that the event stands for. */
static inline uint64_t event_first_seq(const struct event *event)
{
    return event->first_seq ? event->first_seq : event->seq;
}

static inline bool event_is_terminal(const struct event *event)
{
    return event->type == EVENT_AGENT_COMPLETED ||
           (event->type == EVENT_ERROR_EVENT && (event->flags & EVENT_FLAG_FATAL));
}
