/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_member.h"

static size_t skip_space(struct span text, size_t at)
{
    while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\n' ||
                                text.data[at] == '\r' || text.data[at] == '\t'))
        at++;
    return at;
}

/* A quote ends its string unless an odd number of backslashes stands before it. */
static bool is_escaped(struct span text, size_t begin, size_t quote)
{
    size_t at = quote;
    while (at > begin && text.data[at - 1] == '\\')
        at--;
    return (quote - at) % 2 == 1;
}

/* Behind the string whose first quote is at `at`. */
static size_t string_end(struct span text, size_t at)
{
    size_t begin = at + 1;
    for (size_t from = begin; from < text.len;) {
        const char *quote = memchr(text.data + from, '"', text.len - from);
        if (!quote)
            break;
        size_t end = (size_t)(quote - text.data);
        if (!is_escaped(text, begin, end))
            return end + 1;
        from = end + 1;
    }
    return text.len;
}

static size_t container_end(struct span text, size_t at)
{
    size_t depth = 0;
    while (at < text.len) {
        char byte = text.data[at];
        if (byte == '"') {
            at = string_end(text, at);
            continue;
        }
        at++;
        if (byte == '{' || byte == '[')
            depth++;
        else if ((byte == '}' || byte == ']') && --depth == 0)
            break;
    }
    return at;
}

static size_t scalar_end(struct span text, size_t at)
{
    while (at < text.len && !strchr(",}] \t\r\n", text.data[at]))
        at++;
    return at;
}

static size_t value_end(struct span text, size_t at)
{
    if (at >= text.len)
        return text.len;
    switch (text.data[at]) {
    case '"': return string_end(text, at);
    case '{':
    case '[': return container_end(text, at);
    default: return scalar_end(text, at);
    }
}

bool json_member_next(struct json_member *ret_member, struct span object, size_t *at)
{
    size_t name = skip_space(object, *at);
    if (name < object.len && (object.data[name] == '{' || object.data[name] == ','))
        name = skip_space(object, name + 1);
    if (name >= object.len || object.data[name] != '"')
        return false;
    size_t name_end = string_end(object, name);
    size_t value = skip_space(object, skip_space(object, name_end) + 1);
    if (name_end < name + 2 || value >= object.len)
        return false;
    size_t end = value_end(object, value);
    ret_member->name = span_of(object.data + name + 1, name_end - name - 2);
    ret_member->value = span_of(object.data + value, end - value);
    *at = end;
    return true;
}

size_t json_member_count(struct span object)
{
    struct json_member member;
    size_t count = 0;
    for (size_t at = 0; json_member_next(&member, object, &at);)
        count++;
    return count;
}

bool json_item_next(struct span *ret_item, struct span array, size_t *at)
{
    size_t item = skip_space(array, *at);
    if (item >= array.len || (array.data[item] != '[' && array.data[item] != ','))
        return false;
    item = skip_space(array, item + 1);
    if (item >= array.len || array.data[item] == ']')
        return false;
    *at = skip_space(array, value_end(array, item));
    *ret_item = span_of(array.data + item, value_end(array, item) - item);
    return true;
}

struct span json_member_value(struct span object, const char *name)
{
    struct json_member member;
    struct span value = SPAN_EMPTY;
    struct span wanted = span_of_string(name);
    for (size_t at = 0; json_member_next(&member, object, &at);) {
        if (span_equal(member.name, wanted))
            value = member.value;
    }
    return value;
}

struct span json_member_inside(struct span value)
{
    if (value.len < 2 || value.data[0] != '"')
        return SPAN_EMPTY;
    return span_of(value.data + 1, value.len - 2);
}
