/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * An event stream (text/event-stream) taken apart: bytes come in pieces of any size, and the data
 * of one event after the other goes out. Comments and fields other than `data` are passed over.
 * Pure.
 */
#define LLM_EVENT_MAX (1024u * 1024u)

struct llm_stream {
    struct buffer bytes; /* come and not yet looked at, from `at` on */
    size_t at;
    struct buffer line; /* of which the end has not come */
    struct buffer data; /* of the event that is coming; the last one's until the next call */
    bool has_data;
    bool given;    /* `data` was */
    bool after_cr; /* a line feed now belongs to the line before */
    bool any_line; /* one has ended: no byte order mark can come */
    bool done;     /* the stream said it is over */
};

#define LLM_STREAM_INIT ((struct llm_stream){0})

enum llm_stream_step {
    LLM_STREAM_MORE, /* nothing whole is there */
    LLM_STREAM_DATA,
    LLM_STREAM_DONE, /* it said [DONE]; whatever follows is passed over */
    LLM_STREAM_TOO_LARGE,
    LLM_STREAM_NO_MEMORY,
};

void llm_stream_deinit(struct llm_stream *stream);
/* For another answer. */
void llm_stream_reset(struct llm_stream *stream);
void llm_stream_feed(struct llm_stream *stream, struct span bytes);
/* No more will come: an event whose empty line is missing counts as well. */
void llm_stream_close(struct llm_stream *stream);
/* LLM_STREAM_DATA: `ret_data` is valid until the next call. */
enum llm_stream_step llm_stream_next(struct llm_stream *stream, struct span *ret_data);
