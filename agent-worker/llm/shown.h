/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "llm/line.h"

/*
 * What the user is shown of an answer: pieces that come soon after one another become one event.
 * The first goes out at once, so that the answer begins as early as it can.
 */
struct llm_shown {
    struct llm_line *line;
    uint64_t window_ms;
    struct buffer pending;
    bool thinking;    /* that is what is pending */
    uint64_t sent_ms; /* when the last event went out */
    bool any;         /* something was shown since llm_shown_begin */
    bool text;        /* and some of it is text */
};

void llm_shown_deinit(struct llm_shown *shown);
/* An answer begins. */
void llm_shown_begin(struct llm_shown *shown);
void llm_shown_add(struct llm_shown *shown, bool thinking, struct span text, uint64_t now);
void llm_shown_flush(struct llm_shown *shown, uint64_t now);
/* When something is to be flushed; UINT64_MAX when nothing is. */
uint64_t llm_shown_due(const struct llm_shown *shown);
/* The text so far is a message of its own. */
void llm_shown_end_message(struct llm_shown *shown, uint64_t now);
/* Something went wrong, and the run goes on. */
void llm_shown_problem(struct llm_shown *shown, const char *code, const char *message);
/* What is being done, instead of the last such. */
void llm_shown_status(struct llm_shown *shown, const char *status);
