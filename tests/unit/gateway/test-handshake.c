/* SPDX-License-Identifier: Apache-2.0 */
#include "handshake.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

/* A proper handshake; tests spoil one thing each. */
static struct http_request proper(const char *query)
{
    return (struct http_request){
        .method = HTTP_GET,
        .path = SPAN_LITERAL("/v1/ws"),
        .query = span_of_string(query),
        .host = SPAN_LITERAL("node:8080"),
        .upgrade = SPAN_LITERAL("WebSocket"),
        .connection = SPAN_LITERAL("keep-alive, Upgrade"),
        .websocket_key = SPAN_LITERAL("dGhlIHNhbXBsZSBub25jZQ=="),
        .websocket_version = SPAN_LITERAL("13"),
        .websocket_protocols = {SPAN_LITERAL("ringside.v1")},
        .websocket_protocol_lines = 1,
    };
}

static struct handshake parse(const char *query)
{
    struct handshake handshake;
    struct http_refusal refusal;
    const struct http_request request = proper(query);
    assert_true(handshake_parse(&handshake, &refusal, &request));
    return handshake;
}

static int refused(const struct http_request *request)
{
    struct handshake handshake;
    struct http_refusal refusal;
    assert_false(handshake_parse(&handshake, &refusal, request));
    assert_string_equal(refusal.error.code, "invalid_argument");
    return refusal.status;
}

static void test_handshake_reads_where_to_begin(void **state)
{
    (void)state;
    assert_int_equal(parse("").mode, WIRE_OPEN_LIVE);
    assert_int_equal(parse("unknown=1").mode, WIRE_OPEN_LIVE);
    assert_int_equal(parse("cursor=start").mode, WIRE_OPEN_START);
    struct handshake handshake = parse("cursor=e.p.42");
    assert_int_equal(handshake.mode, WIRE_OPEN_CURSOR);
    assert_string_equal(handshake.epoch, "e.p");
    assert_int_equal(handshake.after, 42);
    assert_int_equal(parse("cursor=e%2E0").after, 0);
}

static void test_handshake_reads_the_threads_to_show(void **state)
{
    (void)state;
    struct handshake handshake = parse("thread=t-1&cursor=start&thread=t%3A2");
    assert_int_equal(handshake.filter.count, 2);
    assert_string_equal(handshake.filter.threads[0], "t-1");
    assert_string_equal(handshake.filter.threads[1], "t:2");
}

static void test_handshake_reads_whether_open_runs_are_to_be_shown(void **state)
{
    (void)state;
    assert_false(parse("").snapshots);
    assert_true(parse("thread=t&snapshot=1").snapshots);
    assert_false(parse("snapshot=0").snapshots);
}

static void test_handshake_refuses_bad_queries(void **state)
{
    (void)state;
    const char *const bad[] = {"cursor=", "cursor=x", "cursor=.5", "cursor=e.", "cursor=e.-1",
        "cursor=e.1x", "cursor=e.+1", "cursor=e.99999999999999999999",
        "cursor=e.9223372036854775808", "cursor=a%20b.1", "cursor=START",
        "cursor=start&cursor=start", "cursor=e.1&cursor=e.2", "thread=", "thread=a%20b",
        "thread=a+b", "thread=%", "cursor=%zz", "snapshot=yes", "snapshot="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct http_request request = proper(bad[i]);
        assert_int_equal(refused(&request), 400);
    }
    char many[40 * (FILTER_THREADS_MAX + 1)] = "";
    for (int i = 0; i <= FILTER_THREADS_MAX; i++)
        strcat(many, "&thread=t");
    const struct http_request request = proper(many);
    struct handshake handshake;
    struct http_refusal refusal;
    assert_true(handshake_parse(&handshake, &refusal, &request)); /* admission refuses it */
    assert_int_equal(handshake.threads_asked, FILTER_THREADS_MAX + 1);
    assert_int_equal(handshake.filter.count, FILTER_THREADS_MAX);
}

static void test_handshake_refuses_what_is_no_upgrade(void **state)
{
    (void)state;
    struct http_request request = proper("");
    request.upgrade = SPAN_EMPTY;
    assert_int_equal(refused(&request), 426);
    request = proper("");
    request.connection = SPAN_LITERAL("keep-alive");
    assert_int_equal(refused(&request), 426);
    request = proper("");
    request.websocket_version = SPAN_LITERAL("8");
    assert_int_equal(refused(&request), 426);
    const char *const keys[] = {
        "", "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZ\r\n=="};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        request = proper("");
        request.websocket_key = span_of_string(keys[i]);
        assert_int_equal(refused(&request), 400);
    }
    request = proper("");
    request.method = HTTP_HEAD;
    assert_int_equal(refused(&request), 400);
}

static void test_handshake_wants_the_subprotocol_among_those_offered(void **state)
{
    (void)state;
    const char *const bad[] = {"", "ringside.v2", "ringside.v1.cbor", "RINGSIDE.V1", "bearer.x"};
    struct handshake handshake;
    struct http_refusal refusal;
    struct http_request request;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        request = proper("");
        request.websocket_protocols[0] = span_of_string(bad[i]);
        assert_int_equal(refused(&request), 400);
    }
    request = proper("");
    request.websocket_protocols[0] = SPAN_LITERAL("bearer.x, other ,ringside.v1");
    assert_true(handshake_parse(&handshake, &refusal, &request));
    request.websocket_protocols[0] = SPAN_LITERAL("bearer.x");
    request.websocket_protocols[1] = SPAN_LITERAL("ringside.v1");
    request.websocket_protocol_lines = 2;
    assert_true(handshake_parse(&handshake, &refusal, &request));
}

static void test_handshake_takes_the_format_that_is_offered_first(void **state)
{
    (void)state;
    const struct {
        const char *offered;
        enum frame_format format;
    } rows[] = {{"ringside.v1", FRAME_JSON}, {"ringside.v1.msgpack", FRAME_MSGPACK},
        {"other, ringside.v1.msgpack, ringside.v1, bearer.x", FRAME_MSGPACK},
        {"bearer.x, ringside.v1, ringside.v1.msgpack", FRAME_JSON}};
    struct handshake handshake;
    struct http_refusal refusal;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_request request = proper("");
        request.websocket_protocols[0] = span_of_string(rows[i].offered);
        assert_true(handshake_parse(&handshake, &refusal, &request));
        assert_int_equal(handshake.format, rows[i].format);
    }
}

static void test_event_stream_is_asked_for_without_an_upgrade(void **state)
{
    (void)state;
    struct handshake handshake;
    struct http_refusal refusal;
    struct http_request request = {
        .method = HTTP_GET, .query = SPAN_LITERAL("cursor=start&thread=t-1&snapshot=1")};
    assert_true(handshake_parse_events(&handshake, &refusal, &request));
    assert_int_equal(handshake.format, FRAME_SSE);
    assert_int_equal(handshake.mode, WIRE_OPEN_START);
    assert_int_equal(handshake.filter.count, 1);
    assert_true(handshake.snapshots);
    request.last_event_id = SPAN_LITERAL("w7.42");
    assert_true(handshake_parse_events(&handshake, &refusal, &request));
    assert_int_equal(handshake.mode, WIRE_OPEN_CURSOR);
    assert_string_equal(handshake.epoch, "w7");
    assert_int_equal(handshake.after, 42);
}

static void test_event_stream_refuses_what_is_no_place_and_no_get(void **state)
{
    (void)state;
    struct handshake handshake;
    struct http_refusal refusal;
    const struct http_request requests[] = {
        {.method = HTTP_HEAD},
        {.method = HTTP_GET, .query = SPAN_LITERAL("cursor=7")},
        {.method = HTTP_GET, .last_event_id = SPAN_LITERAL("start")},
        {.method = HTTP_GET, .last_event_id = SPAN_LITERAL("w7.x")},
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        assert_false(handshake_parse_events(&handshake, &refusal, &requests[i]));
        assert_int_equal(refusal.status, 400);
        assert_string_equal(refusal.error.code, "invalid_argument");
    }
}

static void test_token_comes_from_the_header_or_the_subprotocols(void **state)
{
    (void)state;
    struct http_request request = proper("token=a.b.c");
    assert_int_equal(handshake_token(&request).len, 0); /* never from the address */
    request.websocket_protocols[0] = SPAN_LITERAL("ringside.v1, bearer.a.b.c");
    assert_true(span_is(handshake_token(&request), "a.b.c"));
    request.authorization = SPAN_LITERAL("bEaReR d.e.f");
    assert_true(span_is(handshake_token(&request), "d.e.f"));
    request.authorization = SPAN_LITERAL("Bearer d, e");
    assert_int_equal(handshake_token(&request).len, 0);
    request.authorization = SPAN_LITERAL("Basic eDp5");
    assert_true(span_is(handshake_token(&request), "a.b.c"));
}

static bool origin_allowed(const char *origin, const char *allowed)
{
    struct http_request request = proper("");
    request.has_origin = origin != NULL;
    request.origin = span_of_string(origin);
    return handshake_origin_allowed(&request, allowed);
}

static void test_origin_must_be_the_own_host_unless_others_are_named(void **state)
{
    (void)state;
    assert_true(origin_allowed(NULL, "")); /* no browser */
    assert_true(origin_allowed("http://node:8080", ""));
    assert_true(origin_allowed("https://NODE:8080", ""));
    assert_false(origin_allowed("http://node", ""));
    assert_false(origin_allowed("http://node:8080.evil.example", ""));
    assert_false(origin_allowed("http://evil.example", ""));
    assert_false(origin_allowed("null", ""));
    assert_false(origin_allowed("", ""));
    assert_false(origin_allowed("ftp://node:8080", ""));
    assert_false(origin_allowed("node:8080", ""));
}

static void test_origin_may_be_any_that_is_named(void **state)
{
    (void)state;
    const char *allowed = "https://a.example, https://b.example:8443/";
    assert_true(origin_allowed("https://a.example", allowed));
    assert_true(origin_allowed("https://b.example:8443", allowed));
    assert_false(origin_allowed("http://a.example", allowed));
    assert_false(origin_allowed("https://a.example.evil", allowed));
    assert_false(origin_allowed("http://node:8080", allowed)); /* the list is the whole truth */
    assert_true(origin_allowed("https://anything.example", "*"));
    assert_true(origin_allowed(NULL, allowed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_reads_where_to_begin),
        cmocka_unit_test(test_handshake_reads_the_threads_to_show),
        cmocka_unit_test(test_handshake_reads_whether_open_runs_are_to_be_shown),
        cmocka_unit_test(test_handshake_refuses_bad_queries),
        cmocka_unit_test(test_handshake_refuses_what_is_no_upgrade),
        cmocka_unit_test(test_handshake_wants_the_subprotocol_among_those_offered),
        cmocka_unit_test(test_handshake_takes_the_format_that_is_offered_first),
        cmocka_unit_test(test_event_stream_is_asked_for_without_an_upgrade),
        cmocka_unit_test(test_event_stream_refuses_what_is_no_place_and_no_get),
        cmocka_unit_test(test_token_comes_from_the_header_or_the_subprotocols),
        cmocka_unit_test(test_origin_must_be_the_own_host_unless_others_are_named),
        cmocka_unit_test(test_origin_may_be_any_that_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
