/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the `data` an agent made: one JSON object, of which only the members at its top are
 * looked at, in place. Their names must be written without escapes, and those that mean something
 * to the event once, so that nobody downstream can read something else than what was checked here.
 */
#pragma once

#include "base/span.h"

#include <stdint.h>

enum form {
    FORM_THINKING,
    FORM_TOOL_EXECUTING,
    FORM_TOOL_COMPLETED,
    FORM_TEXT,
    FORM_TOOL_PROGRESS,
    FORM_COMPLETED,
    FORM_ERROR,
    FORM_INTERRUPT_REQUESTED,
    FORM_INTERRUPT_RESOLVED,
    FORM_COUNT,
};

/* By enum rs_tool_status and enum rs_outcome. */
extern const char *const tool_statuses[5];
extern const char *const outcomes[3];

/* RS_OK when `data` is an object of this form, else RS_E_INVALID. */
int members_check(enum form form, struct span data);
/* The value of a member of a valid object as JSON, or an empty span. */
struct span member_value(struct span object, const char *name);
/* What is between the quotes of a member that is a string without escapes; else empty. */
struct span member_text(struct span object, const char *name);
/* Whether the member is there and `true`. */
bool member_is_true(struct span object, const char *name);
/* A valid object up to its last member: without the closing brace and white space before it. */
struct span members_open(struct span object);
