/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner against jansson. What the scanner accepts a strict parser must accept too, or a
 * payload could break a client's frame; jansson is stricter in three known ways (numbers that do
 * not fit, NUL in strings, its own depth), so only syntax errors of other kinds count. The other
 * way round, jansson stops at a NUL behind the value, and nests deeper. Of a valid object, each
 * member found by its name is what jansson makes of it; of other text it must only stay within it.
 */
#include "fuzz.h"

#include "base/json_member.h"
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

/* False when a name is written with escapes: then names do not tell members apart. */
static bool walk(struct span object)
{
    struct json_member member;
    bool plain = true;
    for (size_t at = 0; json_member_next(&member, object, &at);) {
        FUZZ_CHECK(at <= object.len && member.value.data >= object.data);
        plain &= !memchr(member.name.data, '\\', member.name.len);
    }
    return plain;
}

static void check_members(struct span object, json_t *root)
{
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        struct span found = json_member_value(object, name);
        json_t *parsed = json_loadb(found.data, found.len, JSON_DECODE_ANY, NULL);
        FUZZ_CHECK(parsed && json_equal(parsed, value));
        json_decref(parsed);
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
    bool plain = walk(span_of(data, size));
    if (root && plain && json_scan_valid_object(span_of(data, size)))
        check_members(span_of(data, size), root);
    json_decref(root);
    return 0;
}
