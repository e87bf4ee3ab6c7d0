/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "llm/chunk.h"

#include "base/json_member.h"

/*
 * One answer of the model, put together from its pieces. Tool calls come in fragments, each with
 * the number of its call, several at once if the server likes. Pure.
 */
#define LLM_CALLS_MAX 64
#define LLM_ANSWER_MAX (4u * 1024u * 1024u)

enum llm_finish {
    LLM_FINISH_NONE, /* the answer is not over */
    LLM_FINISH_STOP, /* also: tools are wanted */
    LLM_FINISH_LENGTH,
    LLM_FINISH_CONTENT_FILTER,
};

struct llm_call {
    uint64_t index;
    struct buffer id;
    struct buffer name;
    struct buffer arguments; /* text that should be JSON */
};

struct llm_turn {
    struct buffer text;
    struct buffer news;     /* what the last piece added to it, refusals included */
    struct buffer thoughts; /* the last piece's */
    struct llm_call calls[LLM_CALLS_MAX];
    size_t call_count;
    size_t bytes; /* of everything */
    bool refused;
    enum llm_finish finish;
    bool has_usage;
    struct llm_usage usage;
};

/* In memory that is zero. */
void llm_turn_deinit(struct llm_turn *turn);
/* For another answer. */
void llm_turn_reset(struct llm_turn *turn);
/*
 * Takes in a piece that has no error; what it adds to what is shown is in `news` and `thoughts`
 * until the next one. 0; -EBADMSG, with *ret_reason (static); -ENOMEM.
 */
int llm_turn_add(struct llm_turn *turn, const struct llm_chunk *chunk, const char **ret_reason);
