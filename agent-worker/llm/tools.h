/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * The tools of a run, as the worker told them, under names that servers allow: letters, digits, '_'
 * and '-', at most 64, each once. Pure.
 */
#define LLM_TOOL_NAME_MAX 64

struct llm_tool {
    struct buffer name; /* the worker's, NUL-terminated */
    char wire[LLM_TOOL_NAME_MAX + 1];
    struct buffer description; /* JSON, a string, or empty */
    struct buffer schema;      /* JSON, an object */
};

struct llm_tools {
    struct llm_tool *tools;
    size_t count;
};

void llm_tools_deinit(struct llm_tools *tools);
/* `list` is JSON: names, or objects {name, description?, input_schema?}. In memory that is zero, or
 * instead of those there. -EBADMSG; -ENOMEM. */
int llm_tools_read(struct llm_tools *tools, struct span list);
/* NULL when there is none of this name. */
const struct llm_tool *llm_tools_find(const struct llm_tools *tools, struct span wire);
/* [{"type":"function","function":{…}},…] */
void llm_tools_append(struct buffer *out, const struct llm_tools *tools);
