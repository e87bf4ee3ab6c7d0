/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "llm/settings.h"
#include "llm/tools.h"
#include "llm/turn.h"

/*
 * The conversation of a run, and requests as JSON. `messages` is the inside of a list: messages
 * with commas between them. Pure.
 */

/* `content` is JSON: a string, or a list of parts. */
void llm_request_add_message(struct buffer *messages, const char *role, struct span content);
/* What the model said and wants; each of its calls must get its result next. */
void llm_request_add_answer(struct buffer *messages, const struct llm_turn *turn);
/* `text` is what the model is told. */
void llm_request_add_result(struct buffer *messages, struct span call_id, struct span text);

void llm_request_append(struct buffer *out, const struct llm_settings *settings,
    const struct llm_provider *provider, const struct llm_tools *tools, struct span messages);
