/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "llm/request.h"
#include "llm/shown.h"
#include "llm/stream.h"
#include "llm/transfer.h"

/*
 * One step of a run: the model is asked until one of its providers has given a whole answer, or
 * none will. Nothing here waits: llm_step_go looks at what has come, and says when it wants to be
 * called again at the latest. When an answer says that it is over, the step ends, and the transfer
 * is left to end by itself for a moment, since only then can its connection be used again.
 */
enum llm_step_state {
    LLM_STEP_IDLE,
    LLM_STEP_ASKING,
    LLM_STEP_WAITING, /* to ask again */
    LLM_STEP_ANSWERED,
    LLM_STEP_FAILED,
};

struct llm_step {
    CURLM *multi;
    const struct llm_settings *settings;
    const struct llm_tools *tools;
    struct llm_shown *shown;
    enum llm_step_state state;
    struct llm_attempts attempts;
    struct buffer request;
    struct llm_transfer transfer;
    struct llm_stream stream;
    struct llm_turn turn;     /* the answer so far */
    enum llm_failure failure; /* of the answer so far; in the end, why there is none */
    struct buffer detail;     /* about it, for people */
    uint64_t wake_ms;         /* while waiting */
    uint64_t answered_ms;     /* when the last answer was over */
    struct span messages;     /* the caller's */
};

void llm_step_deinit(struct llm_step *step);
/* `messages` must stay until the step has ended. */
void llm_step_begin(struct llm_step *step, struct span messages, uint64_t now);
/* After curl_multi_perform, in every state. The state it is in now. */
enum llm_step_state llm_step_go(struct llm_step *step, uint64_t now);
uint64_t llm_step_due(const struct llm_step *step);
/* Drops what is under way. */
void llm_step_abort(struct llm_step *step);
