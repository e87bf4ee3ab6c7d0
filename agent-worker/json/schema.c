/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema is not compiled: it is walked along with the value, as spans of its text. A check takes
 * steps from a budget, one for each keyword and item it looks at, so that no schema, however it
 * refers to itself, and no value makes it long. `path` names the place; it is put together only as
 * the walk goes down, and cut off again.
 */
#include "json/schema.h"

#include "json/same.h"
#include "json/view.h"

#include "base/cleanup.h"
#include "base/json_member.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define STEPS_MAX 1000000
#define STEP_BYTES 256
/* References that lead on without going down in the value. */
#define DEPTH_MAX 128
#define PATH_MAX_BYTES 200

struct check {
    struct span root; /* where references begin */
    size_t steps;     /* that are left */
    unsigned depth;
    struct buffer path;
    struct buffer *problem; /* NULL: nobody wants to know */
};

static bool check_value(struct check *check, struct span schema, struct span value);

static bool fail(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first reason counts. */
static bool fail(struct check *check, const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    if (check->problem && check->problem->len == 0)
        buffer_printf(
            check->problem, SCHEMA_ROOT "%.*s %s", SPAN_ARG(buffer_span(&check->path)), why);
    return false;
}

/* `bytes` are about to be looked through. */
static bool step(struct check *check, size_t bytes)
{
    size_t cost = 1 + bytes / STEP_BYTES;
    if (check->steps > cost) {
        check->steps -= cost;
        return true;
    }
    check->steps = 0;
    return fail(check, "is too large to be checked");
}

/* ---- places */

static size_t go_into(struct check *check, char before, struct span name)
{
    size_t was = check->path.len;
    if (was + name.len > PATH_MAX_BYTES) {
        buffer_append_string(&check->path, "…");
        return was;
    }
    buffer_append_char(&check->path, before);
    buffer_append_span(&check->path, name);
    if (before == '[')
        buffer_append_char(&check->path, ']');
    return was;
}

static bool check_member(struct check *check, struct span schema, const struct json_member *member)
{
    size_t was = go_into(check, '.', member->name);
    bool fits = check_value(check, schema, member->value);
    check->path.len = was;
    return fits;
}

static bool check_item(struct check *check, struct span schema, struct span item, size_t index)
{
    char number[24];
    int len = snprintf(number, sizeof(number), "%zu", index);
    size_t was = go_into(check, '[', span_of(number, (size_t)len));
    bool fits = check_value(check, schema, item);
    check->path.len = was;
    return fits;
}

/* ---- keywords for any value */

static bool is_type(struct span name, struct span value)
{
    static const char *const names[] = {[JSON_OBJECT] = "\"object\"",
        [JSON_ARRAY] = "\"array\"",
        [JSON_STRING] = "\"string\"",
        [JSON_NUMBER] = "\"number\"",
        [JSON_BOOL] = "\"boolean\"",
        [JSON_NULL] = "\"null\""};
    enum json_kind kind = json_kind(value);
    if (kind == JSON_NUMBER && span_is(name, "\"integer\"")) {
        double number = json_number(value);
        return floor(number) == number;
    }
    return kind != JSON_ABSENT && span_is(name, names[kind]);
}

static bool check_type(struct check *check, struct span keyword, struct span value)
{
    struct span name;
    bool fits = is_type(keyword, value);
    for (size_t at = 0; json_kind(keyword) == JSON_ARRAY && !fits;) {
        if (!json_item_next(&name, keyword, &at))
            break;
        fits = is_type(name, value);
    }
    return fits || fail(check, "is not of type %.*s", SPAN_ARG(keyword));
}

static bool check_enum(struct check *check, struct span keyword, struct span value)
{
    struct span choice;
    for (size_t at = 0; json_item_next(&choice, keyword, &at);) {
        if (!step(check, choice.len))
            return false;
        if (json_same(choice, value, &check->steps))
            return true;
    }
    return fail(check, "is not one of %.*s", SPAN_ARG(keyword));
}

static bool check_const(struct check *check, struct span keyword, struct span value)
{
    return json_same(keyword, value, &check->steps) ||
           fail(check, "is not %.*s", SPAN_ARG(keyword));
}

/* How many of the schemas the value fits; stops at `enough`. */
static size_t count_fitting(
    struct check *check, struct span schemas, struct span value, size_t enough)
{
    struct buffer *problem = check->problem;
    struct span schema;
    size_t count = 0;
    check->problem = NULL;
    for (size_t at = 0; count < enough && json_item_next(&schema, schemas, &at);)
        count += check_value(check, schema, value);
    check->problem = problem;
    return count;
}

static bool check_all_of(struct check *check, struct span keyword, struct span value)
{
    struct span schema;
    for (size_t at = 0; json_item_next(&schema, keyword, &at);) {
        if (!check_value(check, schema, value))
            return false;
    }
    return true;
}

static bool check_any_of(struct check *check, struct span keyword, struct span value)
{
    return count_fitting(check, keyword, value, 1) == 1 ||
           fail(check, "fits none of the alternatives");
}

static bool check_one_of(struct check *check, struct span keyword, struct span value)
{
    size_t fits = count_fitting(check, keyword, value, 2);
    return fits == 1 || fail(check, fits ? "fits more than one of the alternatives"
                                         : "fits none of the alternatives");
}

static bool check_not(struct check *check, struct span keyword, struct span value)
{
    struct buffer *problem = check->problem;
    check->problem = NULL;
    bool fits = check_value(check, keyword, value);
    check->problem = problem;
    return !fits || fail(check, "is what it must not be");
}

/* "#", "#/$defs/NAME" and "#/definitions/NAME"; empty for all else. */
static struct span refer(struct span root, struct span keyword)
{
    static const char *const places[] = {"$defs", "definitions"};
    struct span target;
    if (!json_plain_string(&target, keyword))
        return SPAN_EMPTY;
    if (span_is(target, "#"))
        return root;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        char prefix[20];
        char name[128];
        int len = snprintf(prefix, sizeof(prefix), "#/%s/", places[i]);
        if (target.len <= (size_t)len || memcmp(target.data, prefix, (size_t)len) != 0 ||
            target.len - (size_t)len >= sizeof(name))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)target.len - len, target.data + len);
        return json_member_value(json_member_value(root, places[i]), name);
    }
    return SPAN_EMPTY;
}

static bool check_ref(struct check *check, struct span keyword, struct span value)
{
    struct span schema = refer(check->root, keyword);
    return schema.len == 0 || check_value(check, schema, value);
}

/* ---- keywords for numbers, strings and arrays */

static bool check_number(struct check *check, struct span name, struct span keyword, double value)
{
    double bound = json_number(keyword);
    if (span_is(name, "minimum") && value < bound)
        return fail(check, "is less than %.*s", SPAN_ARG(keyword));
    if (span_is(name, "maximum") && value > bound)
        return fail(check, "is more than %.*s", SPAN_ARG(keyword));
    if (span_is(name, "exclusiveMinimum") && value <= bound)
        return fail(check, "is not more than %.*s", SPAN_ARG(keyword));
    if (span_is(name, "exclusiveMaximum") && value >= bound)
        return fail(check, "is not less than %.*s", SPAN_ARG(keyword));
    if (span_is(name, "multipleOf") && bound > 0 && fmod(value, bound) != 0)
        return fail(check, "is not a multiple of %.*s", SPAN_ARG(keyword));
    return true;
}

static size_t characters_of(struct span string)
{
    struct buffer text = BUFFER_INIT;
    size_t count = 0;
    (void)json_string(&text, string);
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    buffer_deinit(&text);
    return count;
}

static size_t items_of(struct span array)
{
    struct span item;
    size_t count = 0;
    for (size_t at = 0; json_item_next(&item, array, &at);)
        count++;
    return count;
}

static bool check_size(
    struct check *check, struct span keyword, size_t size, bool least, const char *what)
{
    double bound = json_number(keyword);
    if (least ? (double)size >= bound : (double)size <= bound)
        return true;
    return fail(check, "has %s than %.*s %s", least ? "fewer" : "more", SPAN_ARG(keyword), what);
}

static bool check_string(
    struct check *check, struct span name, struct span keyword, struct span value)
{
    bool least = span_is(name, "minLength");
    if (!least && !span_is(name, "maxLength"))
        return true;
    return check_size(check, keyword, characters_of(value), least, "characters");
}

static bool check_items(struct check *check, struct span schema, struct span array)
{
    struct span item;
    size_t index = 0;
    for (size_t at = 0; json_item_next(&item, array, &at); index++) {
        if (!check_item(check, schema, item, index))
            return false;
    }
    return true;
}

static bool check_array(
    struct check *check, struct span schema, const struct json_member *keyword, struct span value)
{
    if (span_is(keyword->name, "minItems") || span_is(keyword->name, "maxItems"))
        return check_size(
            check, keyword->value, items_of(value), span_is(keyword->name, "minItems"), "items");
    /* The first items may have schemas of their own, which are not checked. */
    if (span_is(keyword->name, "items") && json_kind(keyword->value) != JSON_ARRAY &&
        json_member_value(schema, "prefixItems").len == 0)
        return check_items(check, keyword->value, value);
    return true;
}

/* ---- keywords for objects */

/* The member of this name; both names as they are written, or as they are meant. */
static bool find_member(
    struct check *check, struct json_member *ret_member, struct span object, struct span name)
{
    struct span wanted = span_of(name.data - 1, name.len + 2);
    for (size_t at = 0; step(check, 0) && json_member_next(ret_member, object, &at);) {
        struct span quoted = span_of(ret_member->name.data - 1, ret_member->name.len + 2);
        if (span_equal(wanted, quoted) ||
            ((memchr(wanted.data, '\\', wanted.len) || memchr(quoted.data, '\\', quoted.len)) &&
                json_same(wanted, quoted, &check->steps)))
            return true;
    }
    return false;
}

static bool check_required(struct check *check, struct span keyword, struct span object)
{
    struct span name;
    struct json_member found;
    for (size_t at = 0; json_item_next(&name, keyword, &at);) {
        struct span inside = json_member_inside(name);
        if (!step(check, object.len))
            return false;
        if (!find_member(check, &found, object, inside))
            return fail(check, "lacks \"%.*s\"", SPAN_ARG(inside));
    }
    return true;
}

static bool check_properties(struct check *check, struct span properties, struct span object)
{
    struct json_member member;
    struct json_member property;
    for (size_t at = 0; json_member_next(&member, object, &at);) {
        if (!step(check, properties.len))
            return false;
        if (find_member(check, &property, properties, member.name) &&
            !check_member(check, property.value, &member))
            return false;
    }
    return true;
}

/* Of an object with patternProperties nobody can say here what is additional. */
static bool check_additional(
    struct check *check, struct span schema, struct span keyword, struct span object)
{
    struct span properties = json_member_value(schema, "properties");
    struct json_member member;
    struct json_member property;
    if (json_member_value(schema, "patternProperties").len)
        return true;
    for (size_t at = 0; json_member_next(&member, object, &at);) {
        if (!step(check, properties.len))
            return false;
        if (find_member(check, &property, properties, member.name))
            continue;
        if (span_is(keyword, "false"))
            return fail(check, "may not have \"%.*s\"", SPAN_ARG(member.name));
        if (!check_member(check, keyword, &member))
            return false;
    }
    return true;
}

static bool check_object(
    struct check *check, struct span schema, const struct json_member *keyword, struct span value)
{
    struct span name = keyword->name;
    if (span_is(name, "properties"))
        return check_properties(check, keyword->value, value);
    if (span_is(name, "required"))
        return check_required(check, keyword->value, value);
    if (span_is(name, "additionalProperties"))
        return check_additional(check, schema, keyword->value, value);
    if (span_is(name, "minProperties") || span_is(name, "maxProperties"))
        return check_size(check, keyword->value, json_member_count(value),
            span_is(name, "minProperties"), "members");
    return true;
}

/* ---- the walk */

static const struct {
    const char *name;
    bool (*check)(struct check *check, struct span keyword, struct span value);
} anywhere[] = {{"type", check_type}, {"enum", check_enum}, {"const", check_const},
    {"allOf", check_all_of}, {"anyOf", check_any_of}, {"oneOf", check_one_of}, {"not", check_not},
    {"$ref", check_ref}};

static bool check_keyword(
    struct check *check, struct span schema, const struct json_member *keyword, struct span value)
{
    if (!step(check, keyword->value.len + value.len))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(anywhere); i++) {
        if (span_is(keyword->name, anywhere[i].name))
            return anywhere[i].check(check, keyword->value, value);
    }
    switch (json_kind(value)) {
    case JSON_NUMBER: return check_number(check, keyword->name, keyword->value, json_number(value));
    case JSON_STRING: return check_string(check, keyword->name, keyword->value, value);
    case JSON_ARRAY: return check_array(check, schema, keyword, value);
    case JSON_OBJECT: return check_object(check, schema, keyword, value);
    default: return true;
    }
}

static bool check_value(struct check *check, struct span schema, struct span value)
{
    struct json_member keyword;
    bool fits = true;
    if (span_is(schema, "false"))
        return fail(check, "may not be there");
    if (check->depth == DEPTH_MAX) {
        check->steps = 0;
        return fail(check, "is nested too deeply to be checked");
    }
    check->depth++;
    for (size_t at = 0; fits && json_kind(schema) == JSON_OBJECT;) {
        if (!json_member_next(&keyword, schema, &at))
            break;
        fits = check_keyword(check, schema, &keyword, value);
    }
    check->depth--;
    return fits;
}

int schema_check(struct span schema, struct span value, struct buffer *problem)
{
    struct check check = {.root = schema, .steps = STEPS_MAX, .problem = problem};
    bool fits = check_value(&check, schema, value);
    /* Where the steps ended, an alternative may have been taken for one that does not fit, or the
     * other way round. */
    if (fits && check.steps == 0)
        fits = fail(&check, "is too large to be checked");
    buffer_deinit(&check.path);
    return fits ? 0 : -EINVAL;
}
