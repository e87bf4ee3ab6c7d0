/* SPDX-License-Identifier: Apache-2.0 */
/* JSON and MessagePack say the same; jansson and msgpack-c are the judges. */
#include "transcode.h"
#include "unit.h"

#include "chance.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <msgpack.h>

/* ---- the same value, in the eyes of both libraries */

static void assert_same(const json_t *json, const msgpack_object *packed);

static void assert_same_map(const json_t *json, const msgpack_object_map *map)
{
    assert_int_equal(map->size, json_object_size(json));
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object_str *name = &map->ptr[i].key.via.str;
        assert_int_equal(map->ptr[i].key.type, MSGPACK_OBJECT_STR);
        char *text = strndup(name->size ? name->ptr : "", name->size);
        assert_same(json_object_get(json, text), &map->ptr[i].val);
        free(text);
    }
}

static void assert_same_array(const json_t *json, const msgpack_object_array *array)
{
    assert_int_equal(array->size, json_array_size(json));
    for (uint32_t i = 0; i < array->size; i++)
        assert_same(json_array_get(json, i), &array->ptr[i]);
}

static void assert_same(const json_t *json, const msgpack_object *packed)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        assert_int_equal(packed->type, MSGPACK_OBJECT_MAP);
        assert_same_map(json, &packed->via.map);
        break;
    case JSON_ARRAY:
        assert_int_equal(packed->type, MSGPACK_OBJECT_ARRAY);
        assert_same_array(json, &packed->via.array);
        break;
    case JSON_STRING:
        assert_int_equal(packed->type, MSGPACK_OBJECT_STR);
        assert_int_equal(packed->via.str.size, json_string_length(json));
        assert_memory_equal(packed->via.str.ptr, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER: assert_int_equal(packed->via.i64, json_integer_value(json)); break;
    case JSON_REAL:
        assert_int_equal(packed->type, MSGPACK_OBJECT_FLOAT64);
        assert_true(packed->via.f64 == json_real_value(json));
        break;
    case JSON_NULL: assert_int_equal(packed->type, MSGPACK_OBJECT_NIL); break;
    default:
        assert_int_equal(packed->type, MSGPACK_OBJECT_BOOLEAN);
        assert_int_equal(packed->via.boolean, json_is_true(json));
    }
}

static void assert_packs_as(const char *text, const json_t *json)
{
    struct buffer packed = BUFFER_INIT;
    msgpack_zone zone;
    msgpack_object object;
    size_t offset = 0;
    buffer_append_string(&packed, "!");
    assert_int_equal(transcode_to_msgpack(&packed, span_of_string(text)), 0);
    assert_true(msgpack_zone_init(&zone, 4096));
    msgpack_unpack_return rc =
        msgpack_unpack(packed.data + 1, packed.len - 1, &offset, &zone, &object);
    assert_true(rc == MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, packed.len - 1);
    assert_same(json, &object);
    msgpack_zone_destroy(&zone);
    struct buffer back = BUFFER_INIT;
    assert_int_equal(transcode_to_json(&back, span_of(packed.data + 1, packed.len - 1)), 0);
    json_t *again = json_loadb(back.data, back.len, 0, NULL);
    assert_true(json_equal(json, again));
    json_decref(again);
    buffer_deinit(&back);
    buffer_deinit(&packed);
}

static void assert_packs(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    assert_packs_as(text, json);
    json_decref(json);
}

static void test_transcode_keeps_every_kind_of_value(void **state)
{
    (void)state;
    assert_packs("{}");
    assert_packs(" { \"a\" : [ ] , \"b\":\t{ } }\n");
    assert_packs("{\"t\":true,\"f\":false,\"n\":null}");
    assert_packs("{\"\":[0,1,127,128,255,256,65535,65536,4294967295,4294967296,"
                 "9223372036854775807]}");
    assert_packs("{\"a\":[-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649,"
                 "-9223372036854775808]}");
    assert_packs("{\"a\":[1.5,-0.0,1e3,1E-7,0.1,1.7976931348623157e308]}");
    assert_packs("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00.\"}");
    assert_packs("{\"a\":\"h\u00e9llo \u20ac \U0001F600\"}");
    assert_packs("{\"a\\n\":{\"b\":{\"c\":[[[{}]]]}}}");
}

static void test_transcode_takes_what_is_larger_than_an_integer_for_a_double(void **state)
{
    (void)state;
    struct buffer packed = BUFFER_INIT;
    assert_int_equal(
        transcode_to_msgpack(&packed, SPAN_LITERAL("{\"a\":18446744073709551616}")), 0);
    assert_memory_equal(packed.data,
        "\x81\xa1"
        "a\xcb\x43\xf0\0\0\0\0\0\0",
        12);
    buffer_clear(&packed);
    assert_int_equal(
        transcode_to_msgpack(&packed, SPAN_LITERAL("{\"a\":18446744073709551615}")), 0);
    assert_memory_equal(packed.data,
        "\x81\xa1"
        "a\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        12);
    buffer_deinit(&packed);
}

/* Lengths around each place where a header grows, with escapes and without. */
static void test_transcode_gives_every_length_its_header(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buffer text = BUFFER_INIT;
        buffer_append_string(&text, "{\"plain\":\"");
        for (size_t n = 0; n < sizes[i]; n++)
            buffer_append_char(&text, 'x');
        buffer_append_string(&text, "\",\"escaped\":\"");
        for (size_t n = 0; n < sizes[i]; n++)
            buffer_append_string(&text, n % 7 ? "y" : "\\n");
        buffer_append_string(&text, "\",\"array\":[");
        for (size_t n = 0; n < sizes[i]; n++)
            buffer_append_string(&text, n ? ",1" : "1");
        buffer_append_string(&text, "],\"map\":{");
        for (size_t n = 0; n < sizes[i]; n++)
            buffer_printf(&text, "%s\"%zu\":2", n ? "," : "", n);
        buffer_append_string(&text, "}}");
        buffer_append(&text, "", 1);
        assert_packs(text.data);
        buffer_deinit(&text);
    }
}

static json_t *random_value(struct chance *chance, unsigned depth)
{
    char text[40];
    json_t *value;
    switch (chance_below(chance, depth ? 8 : 6)) {
    case 0: return json_null();
    case 1: return json_boolean(chance_below(chance, 2));
    case 2: return json_integer((json_int_t)(chance_next(chance) >> chance_below(chance, 64)));
    case 3: return json_real((double)chance_next(chance) / 1e7);
    case 4:
    case 5:
        snprintf(text, sizeof(text), "\"%llx\\\n\u20ac", (unsigned long long)chance_next(chance));
        return json_stringn_nocheck(text, chance_below(chance, 2) ? strlen(text) : 4);
    case 6:
        value = json_array();
        for (size_t n = chance_below(chance, 20); n; n--)
            json_array_append_new(value, random_value(chance, depth - 1));
        return value;
    default:
        value = json_object();
        for (size_t n = chance_below(chance, 20); n; n--) {
            snprintf(text, sizeof(text), "%zu", n);
            json_object_set_new(value, text, random_value(chance, depth - 1));
        }
        return value;
    }
}

static void test_transcode_keeps_random_objects(void **state)
{
    (void)state;
    struct chance chance = chance_make();
    for (int turn = 0; turn < 300; turn++) {
        json_t *object = json_object();
        json_object_set_new(object, "random", random_value(&chance, 3));
        size_t flags = (chance_below(&chance, 2) ? JSON_ENSURE_ASCII : 0) |
                       (chance_below(&chance, 2) ? JSON_INDENT(2) : JSON_COMPACT);
        char *text = json_dumps(object, flags);
        assert_packs_as(text, object);
        free(text);
        json_decref(object);
    }
}

static void test_transcode_refuses_what_is_no_object_of_json(void **state)
{
    (void)state;
    const char *const bad[] = {"", "{", "[]", "1", "\"a\"", "{}x", "{} {}", "{\"a\"}", "{\"a\":}",
        "{\"a\":1", "{\"a\":1,}", "{a:1}", "{\"a\":tru}", "{\"a\":-}", "{\"a\":+1}",
        "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\udc00\"}", "{\"a\":\"", "{\"a\":[1}", "{\"a\":1e}", "{\"a\":1-2}"};
    struct buffer packed = BUFFER_INIT;
    buffer_append_string(&packed, "kept");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(transcode_to_msgpack(&packed, span_of_string(bad[i])), -EBADMSG);
        assert_true(span_is(buffer_span(&packed), "kept"));
    }
    buffer_deinit(&packed);
}

static void test_transcode_refuses_what_is_no_map_of_msgpack(void **state)
{
    (void)state;
    const struct span bad[] = {SPAN_LITERAL(""), SPAN_LITERAL("\x90"), SPAN_LITERAL("\xc0"),
        SPAN_LITERAL("\x81"),
        SPAN_LITERAL("\x81\xa1"
                     "a"),
        SPAN_LITERAL("\x80\x80"), SPAN_LITERAL("\x81\x01\x01"), /* a name that is no text */
        SPAN_LITERAL("\x81\xa1"
                     "a\xc4\x01x"), /* binary */
        SPAN_LITERAL("\x81\xa1"
                     "a\xd4\x01x"), /* an extension */
        SPAN_LITERAL("\x81\xa1"
                     "a\xc1"), /* never used */
        SPAN_LITERAL("\x81\xa1"
                     "a\xa2\xc3\x28"),        /* no UTF-8 */
        SPAN_LITERAL("\x81\xa2\xc3\x28\x01"), /* no UTF-8 for a name */
        SPAN_LITERAL("\x81\xa1"
                     "a\xcb\x7f\xf0\0\0\0\0\0\0"), /* infinite */
        SPAN_LITERAL("\x81\xa1"
                     "a\xca\x7f\xc0\0\0"), /* no number */
        SPAN_LITERAL("\x81\xa1"
                     "a\xdb\xff\xff\xff\xff"
                     "abc"), /* lengths and counts that */
        SPAN_LITERAL("\x81\xa1"
                     "a\xdd\xff\xff\xff\xff\x01\x01\x01"), /* the bytes cannot have */
        SPAN_LITERAL("\xdf\xff\xff\xff\xff\xa1"
                     "a\x01"),
        SPAN_LITERAL("\x81\xa1"
                     "a\xcd\x01")};
    struct buffer json = BUFFER_INIT;
    buffer_append_string(&json, "kept");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(transcode_to_json(&json, bad[i]), -EBADMSG);
        assert_true(span_is(buffer_span(&json), "kept"));
    }
    buffer_deinit(&json);
}

static void test_transcode_goes_so_deep_and_no_deeper(void **state)
{
    (void)state;
    for (unsigned depth = TRANSCODE_DEPTH_MAX; depth <= TRANSCODE_DEPTH_MAX + 1; depth++) {
        int wanted = depth <= TRANSCODE_DEPTH_MAX ? 0 : -EBADMSG;
        struct buffer json = BUFFER_INIT;
        struct buffer packed = BUFFER_INIT;
        struct buffer out = BUFFER_INIT;
        buffer_append_string(&json, "{\"a\":");
        buffer_append_string(&packed, "\x81\xa1"
                                      "a");
        for (unsigned i = 2; i < depth; i++) {
            buffer_append_char(&json, '[');
            buffer_append_char(&packed, (char)0x91);
        }
        buffer_append_string(&json, "[]");
        buffer_append_char(&packed, (char)0x90);
        for (unsigned i = 2; i < depth; i++)
            buffer_append_char(&json, ']');
        buffer_append_char(&json, '}');
        assert_int_equal(transcode_to_msgpack(&out, buffer_span(&json)), wanted);
        assert_int_equal(transcode_to_json(&out, buffer_span(&packed)), wanted);
        buffer_deinit(&json);
        buffer_deinit(&packed);
        buffer_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transcode_keeps_every_kind_of_value),
        cmocka_unit_test(test_transcode_takes_what_is_larger_than_an_integer_for_a_double),
        cmocka_unit_test(test_transcode_gives_every_length_its_header),
        cmocka_unit_test(test_transcode_keeps_random_objects),
        cmocka_unit_test(test_transcode_refuses_what_is_no_object_of_json),
        cmocka_unit_test(test_transcode_refuses_what_is_no_map_of_msgpack),
        cmocka_unit_test(test_transcode_goes_so_deep_and_no_deeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
