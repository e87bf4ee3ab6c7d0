/* SPDX-License-Identifier: Apache-2.0 */
#include "json/same.h"

#include "json/view.h"

#include "base/json_member.h"

#include <stdlib.h>

double json_number(struct span value)
{
    struct buffer text = BUFFER_INIT;
    buffer_append_span(&text, value);
    buffer_append_char(&text, '\0');
    double number = buffer_error(&text) ? 0 : strtod(text.data, NULL);
    buffer_deinit(&text);
    return number;
}

static bool strings_equal(struct span a, struct span b)
{
    struct buffer one = BUFFER_INIT;
    struct buffer two = BUFFER_INIT;
    bool same = span_equal(a, b);
    if (!same && (memchr(a.data, '\\', a.len) || memchr(b.data, '\\', b.len)))
        same = json_string(&one, a) && json_string(&two, b) &&
               span_equal(buffer_span(&one), buffer_span(&two));
    buffer_deinit(&one);
    buffer_deinit(&two);
    return same;
}

static bool arrays_equal(struct span a, struct span b, size_t *budget)
{
    struct span one;
    struct span two;
    size_t at = 0;
    size_t at_b = 0;
    while (json_item_next(&one, a, &at)) {
        if (!json_item_next(&two, b, &at_b) || !json_same(one, two, budget))
            return false;
    }
    return !json_item_next(&two, b, &at_b);
}

static bool has_equal(struct span object, const struct json_member *wanted, size_t *budget)
{
    struct json_member member;
    struct span name = span_of(wanted->name.data - 1, wanted->name.len + 2);
    for (size_t at = 0; json_member_next(&member, object, &at);) {
        if (strings_equal(name, span_of(member.name.data - 1, member.name.len + 2)))
            return json_same(wanted->value, member.value, budget);
        if (*budget)
            --*budget;
    }
    return false;
}

static bool objects_equal(struct span a, struct span b, size_t *budget)
{
    struct json_member member;
    for (size_t at = 0; json_member_next(&member, a, &at);) {
        if (!has_equal(b, &member, budget))
            return false;
    }
    return json_member_count(a) == json_member_count(b);
}

bool json_same(struct span a, struct span b, size_t *budget)
{
    enum json_kind kind = json_kind(a);
    size_t cost = 1 + (a.len + b.len) / 256;
    if (*budget <= cost) {
        *budget = 0;
        return false;
    }
    *budget -= cost;
    if (kind != json_kind(b))
        return false;
    switch (kind) {
    case JSON_NUMBER: return json_number(a) == json_number(b);
    case JSON_STRING: return strings_equal(a, b);
    case JSON_ARRAY: return arrays_equal(a, b, budget);
    case JSON_OBJECT: return objects_equal(a, b, budget);
    default: return span_equal(a, b);
    }
}
