/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "llm/step.h"

/*
 * A run of an agent that is a language model: step by step until the model has said all, with its
 * tools in between. One at a time in a process.
 */
enum llm_run_state {
    LLM_RUN_NONE,
    LLM_RUN_RECALLING, /* the worker is asked what was said before */
    LLM_RUN_ASKING,    /* a step is going on */
    LLM_RUN_CALLING,   /* tools are */
};

/* A tool call of the last answer. */
struct llm_pending {
    uint64_t asked; /* the number of our request; 0: not yet made, or never */
    bool done;
    struct buffer told; /* what the model is told of it */
};

struct llm_run {
    struct llm_line *line; /* borrowed */
    struct llm_settings settings;
    struct llm_tools tools;
    struct llm_shown shown;
    struct llm_step step;
    enum llm_run_state state;
    uint64_t recall;        /* the number of that request */
    struct buffer content;  /* what the user sent, JSON */
    struct buffer messages; /* the conversation so far */
    uint64_t steps;         /* answered ones */
    struct llm_usage usage;
    bool estimated;
    struct llm_pending pending[LLM_CALLS_MAX];
    size_t open; /* of them, with the worker */
};

void llm_run_init(struct llm_run *run, struct llm_line *line, CURLM *multi);
void llm_run_deinit(struct llm_run *run);
/* `params` is what `initialize` brought; for the runs that follow. -EINVAL, with lines in
 * `problems`; -ENOMEM. */
int llm_run_prepare(struct llm_run *run, struct span params, struct buffer *problems);
/* `params` is what `run/start` brought. */
void llm_run_start(struct llm_run *run, struct span params, uint64_t now);
void llm_run_cancel(struct llm_run *run, uint64_t now);
/* An answer of the worker's. */
void llm_run_answer(struct llm_run *run, const struct rpc_message *message, uint64_t now);
/* After curl_multi_perform, and when it is due. */
void llm_run_go(struct llm_run *run, uint64_t now);
uint64_t llm_run_due(const struct llm_run *run);
