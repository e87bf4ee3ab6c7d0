/* SPDX-License-Identifier: Apache-2.0 */
/* Events whose `data` the caller made, passed to rs_emit or written in place. */
#pragma once

#include "members.h"
#include "run.h"

struct request {
    enum event_type type;
    const char *message_id; /* as the caller said, or NULL */
    const char *tool_call_id;
    struct span data; /* valid, but for request_form */
};

/* The form that the type and the identifiers given make. RS_E_TYPE, RS_E_INVALID. */
int request_form(enum form *ret_form, const struct request *request);
/*
 * The end of the event's data behind members_open(request->data), whose last byte at least is in
 * `out`: the members the caller left to the library, and the closing brace.
 */
void request_fill(
    struct buffer *out, const struct rs_run *run, enum form form, const struct request *request);
/* What the event means to the run; `step` has its type, identifiers and data. */
void request_plan(struct step *step, enum form form, const struct request *request);
