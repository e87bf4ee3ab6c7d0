/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

/*
 * The members at the top of an object that json_scan_valid_object has accepted, as spans of its own
 * bytes: no tree, no copy, and strings are skipped a quote at a time. Other text than such an
 * object gives nothing useful, and is never read beyond its end.
 */
struct json_member {
    struct span name;  /* without its quotes, escapes as written */
    struct span value; /* without space around it */
};

/* Steps through the members: start with *at = 0; false at the end. */
bool json_member_next(struct json_member *ret_member, struct span object, size_t *at);
/* How many there are; of a repeated name each counts. */
size_t json_member_count(struct span object);
/* Steps through the items of a valid array likewise. */
bool json_item_next(struct span *ret_item, struct span array, size_t *at);
/* The value of a member whose name is written without escapes; of a repeated name the last counts,
 * as parsers have it. Empty when there is none. */
struct span json_member_value(struct span object, const char *name);
/* What stands between the quotes of a string, escapes as written; empty for all else. */
struct span json_member_inside(struct span value);
