/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner against jansson. What the scanner accepts a strict parser must accept too, or a
 * payload could break a client's frame; jansson is stricter in three known ways (numbers that do
 * not fit, NUL in strings, its own depth), so only syntax errors of other kinds count. The other
 * way round, jansson stops at a NUL behind the value, and nests deeper.
 */
#include "fuzz.h"

#include "base/json_scan.h"

#include <jansson.h>

static bool known_difference(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_numeric_overflow:
    case json_error_null_character:
    case json_error_null_byte_in_key:
    case json_error_stack_overflow:
    case json_error_out_of_memory: return true;
    default: return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_error_t error;
    bool valid = json_scan_valid(span_of(data, size));
    json_t *root = json_loadb((const char *)data, size, JSON_DECODE_ANY, &error);
    if (root)
        FUZZ_CHECK(valid || size > JSON_DEPTH_MAX || memchr(data, 0, size));
    else
        FUZZ_CHECK(!valid || known_difference(&error));
    json_decref(root);
    return 0;
}
