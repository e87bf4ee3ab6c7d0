/* SPDX-License-Identifier: Apache-2.0 */
/* Which keywords of a schema mean something here, and which do not. */
#include "json/schema.h"

#include "json/view.h"

#include "base/cleanup.h"
#include "base/json_member.h"

#include <errno.h>

enum form {
    FORM_ANY,
    FORM_NOTE, /* tells people or models, and constrains nothing */
    FORM_NUMBER,
    FORM_TYPE,
    FORM_LIST,
    FORM_NAMES,
    FORM_REFERENCE,
    FORM_SCHEMA,
    FORM_SCHEMAS,    /* a list of them */
    FORM_PROPERTIES, /* schemas by name */
};

static const struct {
    const char *name;
    enum form form;
} keywords[] = {
    {"type", FORM_TYPE},
    {"enum", FORM_LIST},
    {"const", FORM_ANY},
    {"properties", FORM_PROPERTIES},
    {"required", FORM_NAMES},
    {"additionalProperties", FORM_SCHEMA},
    {"minProperties", FORM_NUMBER},
    {"maxProperties", FORM_NUMBER},
    {"items", FORM_SCHEMA},
    {"minItems", FORM_NUMBER},
    {"maxItems", FORM_NUMBER},
    {"minLength", FORM_NUMBER},
    {"maxLength", FORM_NUMBER},
    {"minimum", FORM_NUMBER},
    {"maximum", FORM_NUMBER},
    {"exclusiveMinimum", FORM_NUMBER},
    {"exclusiveMaximum", FORM_NUMBER},
    {"multipleOf", FORM_NUMBER},
    {"allOf", FORM_SCHEMAS},
    {"anyOf", FORM_SCHEMAS},
    {"oneOf", FORM_SCHEMAS},
    {"not", FORM_SCHEMA},
    {"$ref", FORM_REFERENCE},
    {"$defs", FORM_PROPERTIES},
    {"definitions", FORM_PROPERTIES},
    {"title", FORM_NOTE},
    {"description", FORM_NOTE},
    {"default", FORM_NOTE},
    {"examples", FORM_NOTE},
    {"$schema", FORM_NOTE},
    {"$id", FORM_NOTE},
    {"$comment", FORM_NOTE},
    {"deprecated", FORM_NOTE},
    {"readOnly", FORM_NOTE},
    {"writeOnly", FORM_NOTE},
};

struct inspection {
    struct buffer *unchecked;
    struct buffer *problem;
};

static bool inspect(struct inspection *inspection, struct span schema);

static bool complain(struct inspection *inspection, struct span keyword, const char *why)
{
    buffer_printf(inspection->problem, "\"%.*s\" %s", SPAN_ARG(keyword), why);
    return false;
}

static void note_unchecked(struct inspection *inspection, struct span keyword)
{
    struct buffer *out = inspection->unchecked;
    for (struct span rest = buffer_span(out); rest.len;) {
        struct span said = span_take_until(&rest, ',');
        if (span_equal(json_trim(said), keyword))
            return;
    }
    buffer_printf(out, "%s%.*s", out->len ? ", " : "", SPAN_ARG(keyword));
}

static bool is_type_name(struct span value)
{
    static const char *const names[] = {"\"object\"", "\"array\"", "\"string\"", "\"number\"",
        "\"integer\"", "\"boolean\"", "\"null\""};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (span_is(value, names[i]))
            return true;
    }
    return false;
}

static bool each_item(struct span array, bool (*holds)(struct span item))
{
    struct span item;
    if (json_kind(array) != JSON_ARRAY)
        return false;
    for (size_t at = 0; json_item_next(&item, array, &at);) {
        if (!holds(item))
            return false;
    }
    return true;
}

static bool is_string(struct span value)
{
    return json_kind(value) == JSON_STRING;
}

static bool is_local_reference(struct span value)
{
    struct span target;
    return json_plain_string(&target, value) &&
           (span_is(target, "#") || (target.len > 8 && memcmp(target.data, "#/$defs/", 8) == 0) ||
               (target.len > 14 && memcmp(target.data, "#/definitions/", 14) == 0));
}

static bool inspect_list(struct inspection *inspection, struct span keyword, struct span value)
{
    struct span schema;
    if (json_kind(value) != JSON_ARRAY)
        return complain(inspection, keyword, "is not a list of schemas");
    for (size_t at = 0; json_item_next(&schema, value, &at);) {
        if (!inspect(inspection, schema))
            return false;
    }
    return true;
}

static bool inspect_named(struct inspection *inspection, struct span keyword, struct span value)
{
    struct json_member member;
    if (json_kind(value) != JSON_OBJECT)
        return complain(inspection, keyword, "is not an object of schemas");
    for (size_t at = 0; json_member_next(&member, value, &at);) {
        if (!inspect(inspection, member.value))
            return false;
    }
    return true;
}

static bool inspect_schema(struct inspection *inspection, struct span keyword, struct span value)
{
    if (json_kind(value) != JSON_ARRAY)
        return inspect(inspection, value);
    note_unchecked(inspection, keyword); /* a list, as older drafts have it for items */
    return true;
}

static bool inspect_keyword(
    struct inspection *inspection, enum form form, const struct json_member *keyword)
{
    struct span value = keyword->value;
    switch (form) {
    case FORM_ANY:
    case FORM_NOTE: return true;
    case FORM_NUMBER:
        return json_kind(value) == JSON_NUMBER ||
               complain(inspection, keyword->name, "is not a number");
    case FORM_TYPE:
        return is_type_name(value) || each_item(value, is_type_name) ||
               complain(inspection, keyword->name, "is not the name of a type");
    case FORM_LIST:
        return json_kind(value) == JSON_ARRAY ||
               complain(inspection, keyword->name, "is not a list");
    case FORM_NAMES:
        return each_item(value, is_string) ||
               complain(inspection, keyword->name, "is not a list of names");
    case FORM_REFERENCE:
        if (!is_local_reference(value))
            note_unchecked(inspection, keyword->name);
        return true;
    case FORM_SCHEMA: return inspect_schema(inspection, keyword->name, value);
    case FORM_SCHEMAS: return inspect_list(inspection, keyword->name, value);
    case FORM_PROPERTIES: return inspect_named(inspection, keyword->name, value);
    }
    return true;
}

static bool inspect_member(struct inspection *inspection, const struct json_member *keyword)
{
    for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
        if (span_is(keyword->name, keywords[i].name))
            return inspect_keyword(inspection, keywords[i].form, keyword);
    }
    note_unchecked(inspection, keyword->name);
    return true;
}

static bool inspect(struct inspection *inspection, struct span schema)
{
    struct json_member keyword;
    enum json_kind kind = json_kind(schema);
    if (kind == JSON_BOOL)
        return true;
    if (kind != JSON_OBJECT) {
        buffer_append_string(
            inspection->problem, "a schema is neither an object nor true or false");
        return false;
    }
    for (size_t at = 0; json_member_next(&keyword, schema, &at);) {
        if (!inspect_member(inspection, &keyword))
            return false;
    }
    return true;
}

int schema_inspect(struct span schema, struct buffer *unchecked, struct buffer *problem)
{
    struct inspection inspection = {.unchecked = unchecked, .problem = problem};
    return inspect(&inspection, schema) ? 0 : -EINVAL;
}
