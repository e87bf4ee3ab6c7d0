/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * Writing JSON into a buffer without a tree. Strings must be valid UTF-8; reading JSON is
 * jansson's job, and checking it `base/json_scan.h`'s.
 */

/* "text", quoted and escaped. */
void json_append_string(struct buffer *out, struct span text);
/* `"name":`, with a comma before it unless the last byte opens an object. `name` needs no escape.
 */
void json_append_name(struct buffer *out, const char *name);
/* Members, each with its comma as needed. */
void json_append_member(struct buffer *out, const char *name, struct span text);
void json_append_member_uint(struct buffer *out, const char *name, uint64_t number);
void json_append_member_bool(struct buffer *out, const char *name, bool value);
/* `value` is JSON already. */
void json_append_member_raw(struct buffer *out, const char *name, struct span value);
