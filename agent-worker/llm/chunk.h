/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json/view.h"

/* One piece of a streamed chat completion: the data of one event. Pure. */
struct llm_usage {
    uint64_t prompt;
    uint64_t completion;
    uint64_t total;
};

/* Spans are JSON, point into the data, and are empty where the piece has no such thing. */
struct llm_chunk {
    struct span content; /* strings */
    struct span reasoning;
    struct span refusal;
    struct span finish;
    struct span tool_calls; /* an array */
    struct span error;      /* any value: the server gives up */
    bool has_usage;
    struct llm_usage usage;
};

/* What an error of a server says, from an event or a body. */
struct llm_server_error {
    struct buffer message; /* the caller's to free; text, in UTF-8 */
    long status;           /* 0: it says none */
    bool no_quota;
};

/* 0; or -EBADMSG, and then *ret_reason (static) says what is wrong. */
int llm_chunk_parse(struct llm_chunk *ret_chunk, struct span data, const char **ret_reason);
/* `error` is the value of a piece's `error`. */
void llm_server_error_parse(struct llm_server_error *ret_error, struct span error);
/* The same of an answer's body, which may be anything. */
void llm_server_error_of_body(struct llm_server_error *ret_error, struct span body);
