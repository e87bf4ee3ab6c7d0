/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "batch/input.h"
#include "runs/engine.h"

#include "event/event.h"

/*
 * One attempt at a request: what its events have told so far, and in the end the lines that say
 * so. No clock and no file.
 */
#define BATCH_TEXT_MAX (4u << 20)
#define BATCH_EVENTS_MAX (64u << 20)

enum batch_status {
    BATCH_OPEN,
    BATCH_COMPLETED,
    BATCH_FAILED,
    BATCH_CANCELLED,
};

struct batch_run {
    struct batch_request *request; /* borrowed */
    char run_id[IDENTIFIER_MADE_SIZE];
    char agent[IDENTIFIER_SIZE];
    char user_id[IDENTIFIER_SIZE];
    char thread_id[IDENTIFIER_SIZE];
    bool keeps_events;
    enum batch_status status;
    uint64_t started_ms;
    uint64_t ended_ms;
    bool text_truncated;
    bool too_large; /* its events passed BATCH_EVENTS_MAX and are kept no more */
    bool retryable;
    char code[IDENTIFIER_SIZE]; /* why it failed */
    struct buffer message;      /* JSON */
    struct buffer text;         /* what stands between a JSON string's quotation marks */
    struct buffer result;       /* JSON */
    struct buffer events;       /* one encoding behind the other, without numbers */
};

/* A new attempt. NULL when memory is out. */
struct batch_run *batch_run_new(struct batch_request *request, const struct batch_content *content);
/* Takes NULL. */
void batch_run_free(struct batch_run *run);
/* The next of its events, in order. */
void batch_run_take(struct batch_run *run, const struct event *event, uint64_t now_ms);
/* It ended without a terminal event of its own. Nothing when it had one. */
void batch_run_refuse(struct batch_run *run, const struct engine_refusal *refusal, uint64_t now_ms);
/* Its lines: the events if they were kept, numbered behind *seq, which goes on; then the result. */
void batch_run_append(struct buffer *out, const struct batch_run *run, uint64_t *seq);
/* "completed", … Static. */
const char *batch_status_name(enum batch_status status);
