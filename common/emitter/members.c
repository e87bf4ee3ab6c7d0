/* SPDX-License-Identifier: Apache-2.0 */
#include "members.h"

#include "base/cleanup.h"
#include "base/identifier.h"
#include "base/json_scan.h"

#include <ringside-error.h>

enum kind {
    KIND_ANY,
    KIND_TEXT,
    KIND_NAME,
    KIND_IDENTIFIER,
    KIND_BOOL,
    KIND_NUMBER,
    KIND_STATUS,
    KIND_OUTCOME,
    KIND_ERROR,
};

enum need { NEED_OPTIONAL, NEED_FILLED, NEED_REQUIRED };

/* The longest tool name as JSON: every byte escaped, and the quotes. */
#define NAME_JSON_MAX (IDENTIFIER_MAX * 6 + 2)

static const struct member_rule {
    enum form form;
    const char *name;
    enum kind kind;
    enum need need;
} rules[] = {
#define MEMBER(form, name, kind, need) {FORM_##form, #name, KIND_##kind, NEED_##need},
#include "members.def"
#undef MEMBER
};

const char *const tool_statuses[5] = {"ok", "error", "denied", "cancelled", "lost"};
const char *const outcomes[3] = {"success", "cancelled", "interrupt"};

struct member {
    struct span name; /* without quotes */
    struct span value;
};

static size_t space(struct span text, size_t at)
{
    while (at < text.len && strchr(" \t\r\n", text.data[at]))
        at++;
    return at;
}

/* Behind the string that begins at `at`. */
static size_t string_end(struct span text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++) {
        if (text.data[at] == '\\')
            at++;
    }
    return at + 1;
}

/* Behind the value that begins at `at`. */
static size_t value_end(struct span text, size_t at)
{
    size_t depth = 0;
    if (text.data[at] != '"' && text.data[at] != '{' && text.data[at] != '[')
        return at + strcspn(text.data + at, ",} \t\r\n");
    do {
        char byte = text.data[at];
        if (byte == '"') {
            at = string_end(text, at);
            continue;
        }
        depth += byte == '{' || byte == '[';
        depth -= byte == '}' || byte == ']';
        at++;
    } while (depth > 0 && at < text.len);
    return at;
}

/* Steps through a valid object: start with *at = 0; false at the end. */
static bool member_next(struct member *ret_member, struct span object, size_t *at)
{
    size_t name = space(object, *at);
    if (object.data[name] == '{' || object.data[name] == ',')
        name = space(object, name + 1);
    if (object.data[name] == '}')
        return false;
    size_t name_end = string_end(object, name);
    size_t value = space(object, space(object, name_end) + 1);
    *at = space(object, value_end(object, value));
    ret_member->name = span_of(object.data + name + 1, name_end - name - 2);
    ret_member->value = span_of(object.data + value, value_end(object, value) - value);
    return true;
}

struct span member_value(struct span object, const char *name)
{
    struct member member;
    for (size_t at = 0; member_next(&member, object, &at);) {
        if (span_is(member.name, name))
            return member.value;
    }
    return SPAN_EMPTY;
}

static struct span unquote(struct span value)
{
    if (value.len < 2 || value.data[0] != '"' || memchr(value.data, '\\', value.len))
        return SPAN_EMPTY;
    return span_of(value.data + 1, value.len - 2);
}

struct span member_text(struct span object, const char *name)
{
    return unquote(member_value(object, name));
}

bool member_is_true(struct span object, const char *name)
{
    return span_is(member_value(object, name), "true");
}

struct span members_open(struct span object)
{
    while (object.data[object.len - 1] != '}')
        object.len--;
    do
        object.len--;
    while (strchr(" \t\r\n", object.data[object.len - 1]));
    return object;
}

static bool one_of(struct span text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(text, names[i]))
            return true;
    }
    return false;
}

static bool is_number(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
    }
    return value.len <= 19;
}

static bool text_like(struct span value)
{
    return value.len > 0 && value.data[0] == '"';
}

static bool is_error(struct span value)
{
    return value.len > 0 && value.data[0] == '{' && identifier_valid(member_text(value, "code")) &&
           text_like(member_value(value, "message"));
}

static bool is_kind(enum kind kind, struct span value)
{
    switch (kind) {
    case KIND_ANY: return true;
    case KIND_TEXT: return text_like(value);
    case KIND_NAME: return text_like(value) && value.len > 2 && value.len <= NAME_JSON_MAX;
    case KIND_IDENTIFIER: return identifier_valid(unquote(value));
    case KIND_BOOL: return span_is(value, "true") || span_is(value, "false");
    case KIND_NUMBER: return is_number(value);
    case KIND_STATUS: return one_of(unquote(value), tool_statuses, ARRAY_SIZE(tool_statuses));
    case KIND_OUTCOME: return one_of(unquote(value), outcomes, ARRAY_SIZE(outcomes));
    case KIND_ERROR: return is_error(value);
    }
    return false;
}

static bool names_plain(struct span object)
{
    struct member member;
    for (size_t at = 0; member_next(&member, object, &at);) {
        if (memchr(member.name.data, '\\', member.name.len))
            return false;
    }
    return true;
}

static size_t count_members(struct span object, const char *name)
{
    struct member member;
    size_t count = 0;
    for (size_t at = 0; member_next(&member, object, &at);)
        count += span_is(member.name, name);
    return count;
}

static bool follows(const struct member_rule *rule, struct span object)
{
    size_t count = count_members(object, rule->name);
    if (count != 1)
        return count == 0 && rule->need != NEED_REQUIRED;
    return is_kind(rule->kind, member_value(object, rule->name));
}

int members_check(enum form form, struct span data)
{
    if (!json_scan_valid_object(data) || !names_plain(data))
        return RS_E_INVALID;
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if (rules[i].form == form && !follows(&rules[i], data))
            return RS_E_INVALID;
    }
    if (form == FORM_THINKING && count_members(data, "delta") + count_members(data, "status") != 1)
        return RS_E_INVALID;
    return RS_OK;
}
