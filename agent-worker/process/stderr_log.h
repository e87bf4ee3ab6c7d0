/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "protocol/lines.h"

#include <stdint.h>

#define STDERR_TAIL_MAX 1024
#define STDERR_NAME_MAX 320

/*
 * What a child writes on stderr: its lines go to the worker's log behind the name they were given,
 * and the last of them are kept for the message of a run that fails. Bounded in every direction:
 * long lines are cut, more than so many lines a second are counted instead of written, and bytes
 * that would garble a terminal or a message become '?'.
 */
struct stderr_log {
    char name[STDERR_NAME_MAX]; /* "run r-1 librarian" */
    struct buffer partial;      /* the beginning of a line */
    bool cut;                   /* the line's beginning was written, its rest is dropped */
    uint64_t window;            /* the second that `written` and `left_out` count for */
    unsigned written;
    unsigned left_out;
    char tail[STDERR_TAIL_MAX]; /* the last lines, each with its newline */
    size_t tail_len;
};

void stderr_log_init(struct stderr_log *log, const char *name);
void stderr_log_rename(struct stderr_log *log, const char *name);
/* The last lines were another's. */
void stderr_log_forget_tail(struct stderr_log *log);
void stderr_log_deinit(struct stderr_log *log);
/* More bytes; `now_ms` on any clock that does not go back. */
void stderr_log_take(struct stderr_log *log, struct span bytes, uint64_t now_ms);
/* The stream has ended: what is left is a line as well. */
void stderr_log_end(struct stderr_log *log, uint64_t now_ms);
/* The last lines, at most STDERR_TAIL_MAX bytes of valid UTF-8 without the last newline. */
struct span stderr_log_tail(const struct stderr_log *log);
