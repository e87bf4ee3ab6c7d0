/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

/* The deepest nesting of arrays and objects that is accepted. */
#define JSON_DEPTH_MAX 64

/*
 * Whether `text` is exactly one JSON value (RFC 8259): valid UTF-8, no duplicate check, white
 * space around it allowed, nothing else behind it. Payloads are spliced into frames as they are,
 * so this is the gate that keeps a payload from forging fields of its envelope: it runs where a
 * payload is emitted and again where the broker takes it in. Reads each byte once, allocates
 * nothing.
 */
bool json_scan_valid(struct span text);
/* The same, and the value is an object. */
bool json_scan_valid_object(struct span text);
/* Whether `text` is well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_valid(struct span text);
/* How many bytes at the front of `text` stand for one character each within a string of JSON:
 * printable ASCII, neither quote nor backslash. */
size_t json_plain_length(struct span text);
