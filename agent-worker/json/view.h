/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"
#include "base/identifier.h"

#include <stdint.h>

/*
 * Looking into JSON without a tree: members of an object as spans of its own bytes, so that what
 * an agent wrote as an event's data goes on exactly as it wrote it. Everything here expects text
 * that json_scan_valid has accepted, without white space around it, and says nothing useful about
 * other text. Values are spans without surrounding space; an empty span is an absent value.
 */
enum json_kind {
    JSON_ABSENT,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL,
};

enum json_kind json_kind(struct span value);

/* One member that is looked for: the name, and where its value goes. */
struct json_wanted {
    const char *name;
    struct span *value;
};

/*
 * Fills the wanted members of `object`; those it does not have become empty, and of a repeated
 * name the last counts. False when `object` is no object.
 */
bool json_members(struct span object, const struct json_wanted *wanted, size_t count);

/*
 * Appends what a JSON string stands for, as UTF-8. False when `value` is no string, or stands for
 * text with a NUL or with half of a surrogate pair, which is no text.
 */
bool json_string(struct buffer *out, struct span value);
/* The bytes of a string that needs no unescaping; false for every other value. */
bool json_plain_string(struct span *ret_text, struct span value);
/* An identifier (see base/identifier.h) as a NUL-terminated string; false for all else. */
bool json_identifier(char ret_id[IDENTIFIER_SIZE], struct span value);
/* A whole number from 0 to 2^53; false for all else. */
bool json_uint(uint64_t *ret_number, struct span value);
/* Without the white space around it. */
struct span json_trim(struct span text);
/*
 * Appends `value` without its line breaks: in valid JSON they can only stand between values, where
 * a space does the same. What goes into a line of its own must not break it.
 */
void json_append_one_line(struct buffer *out, struct span value);
