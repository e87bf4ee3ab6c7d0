/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol/lines.h"
#include "protocol/rpc.h"

/*
 * The line between this process and its worker: stdin and stdout, both non-blocking. What cannot be
 * written yet is kept; whoever makes more of it looks at llm_line_is_full first, and waits.
 */
struct llm_line {
    struct buffer in;
    struct lines lines;
    struct buffer out;
    uint64_t last_id;
    bool closed; /* the worker will say nothing more */
};

/* -errno. */
int llm_line_init(struct llm_line *line);
void llm_line_deinit(struct llm_line *line);
/* Reads what is there. -errno; a worker that is gone is `closed`. */
int llm_line_read(struct llm_line *line);
/* The next message, valid until llm_line_drop. False when there is none. */
bool llm_line_next(struct llm_line *line, struct rpc_message *ret_message);
void llm_line_drop(struct llm_line *line);
/* Writes what can be written. -errno. */
int llm_line_write(struct llm_line *line);
bool llm_line_is_full(const struct llm_line *line);

void llm_line_notify(struct llm_line *line, const char *method, const struct buffer *params);
/* The number under which the answer will come. */
uint64_t llm_line_ask(struct llm_line *line, const char *method, const struct buffer *params);
