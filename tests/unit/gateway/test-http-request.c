/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"
#include "http_request.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_request_is_read_into_its_parts(void **state)
{
    (void)state;
    const char *head = "GET /v1/ws?cursor=e.5&thread=t HTTP/1.1\r\n"
                       "Host: example.org:8080\r\n"
                       "ORIGIN:https://example.org\r\n"
                       "Authorization:  Bearer abc \r\n"
                       "Sec-WebSocket-Protocol: ringside.v1, bearer.x\r\n"
                       "sec-websocket-protocol: other\r\n"
                       "X-Whatever: \t yes\r\n"
                       "\r\n";
    struct http_request request;
    assert_int_equal(http_request_parse(&request, span_of_string(head)), 0);
    assert_int_equal(request.method, HTTP_GET);
    assert_true(span_is(request.path, "/v1/ws"));
    assert_true(span_is(request.query, "cursor=e.5&thread=t"));
    assert_true(span_is(request.host, "example.org:8080"));
    assert_true(request.has_origin);
    assert_true(span_is(request.origin, "https://example.org"));
    assert_true(span_is(request.authorization, "Bearer abc"));
    assert_int_equal(request.websocket_protocol_lines, 2);
    assert_true(span_is(request.websocket_protocols[0], "ringside.v1, bearer.x"));
    assert_false(request.has_body);
}

static void test_request_head_ends_at_its_empty_line(void **state)
{
    (void)state;
    assert_int_equal(http_request_head_length(SPAN_LITERAL("GET / HTTP/1.1\r\nA: b\r\n")), 0);
    assert_int_equal(http_request_head_length(SPAN_LITERAL("GET / HTTP/1.1\r\n\r\nmore")), 18);
    assert_int_equal(http_request_head_length(SPAN_EMPTY), 0);
}

static void test_request_that_is_malformed_or_ambiguous_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET http://x/ HTTP/1.1\r\n\r\n",
        "GET /a#b HTTP/1.1\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\n\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nName : space before the colon\r\n\r\n",
        "GET / HTTP/1.1\r\n: no name\r\n\r\n",
        "GET / HTTP/1.1\r\nA: one\r\n two\r\n\r\n",
        "GET / HTTP/1.1\r\nA: line\nfeed\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nAuthorization: a\r\nauthorization: a\r\n\r\n",
        "GET / HTTP/1.1\r\nOrigin: a\r\nOrigin: a\r\n\r\n",
    };
    struct http_request request;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_request_parse(&request, span_of_string(bad[i])), -EBADMSG);
}

static void test_lists_over_several_lines_are_kept_in_order_and_bounded(void **state)
{
    (void)state;
    struct http_request request;
    char head[1024] = "GET / HTTP/1.1\r\n";
    for (int i = 0; i < HTTP_LINES_MAX; i++)
        strcat(head, "X-Forwarded-For: 192.0.2.1\r\nforwarded: for=_x\r\n");
    size_t len = strlen(head);
    strcat(head, "\r\n");
    assert_int_equal(http_request_parse(&request, span_of_string(head)), 0);
    assert_int_equal(request.x_forwarded_for.count, HTTP_LINES_MAX);
    assert_int_equal(request.forwarded.count, HTTP_LINES_MAX);
    assert_true(span_is(request.forwarded.values[HTTP_LINES_MAX - 1], "for=_x"));
    strcpy(head + len, "X-Forwarded-For: 192.0.2.2\r\n\r\n");
    assert_int_equal(http_request_parse(&request, span_of_string(head)), -EBADMSG);
}

static void test_request_with_a_body_says_so(void **state)
{
    (void)state;
    struct http_request request;
    assert_int_equal(
        http_request_parse(&request, SPAN_LITERAL("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")),
        0);
    assert_true(request.has_body);
    assert_int_equal(request.method, HTTP_OTHER);
    assert_int_equal(http_request_parse(&request,
                         SPAN_LITERAL("HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")),
        0);
    assert_true(request.has_body);
    assert_int_equal(
        http_request_parse(&request, SPAN_LITERAL("GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")),
        0);
    assert_false(request.has_body);
}

static void test_lists_are_split_at_commas(void **state)
{
    (void)state;
    struct span list = SPAN_LITERAL(" a ,, b\t,c d,");
    struct span item;
    const char *const wanted[] = {"a", "b", "c d"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(http_list_next(&list, &item));
        assert_true(span_is(item, wanted[i]));
    }
    assert_false(http_list_next(&list, &item));
    assert_true(http_list_has(SPAN_LITERAL("keep-alive, Upgrade"), "upgrade"));
    assert_false(http_list_has(SPAN_LITERAL("upgraded"), "upgrade"));
    assert_false(http_list_has(SPAN_EMPTY, "upgrade"));
}

static void test_queries_are_decoded_pair_by_pair(void **state)
{
    (void)state;
    char buffer[100];
    struct span query = SPAN_LITERAL("&a=1&&b=x%20%41+%2b&c&d=&%65=5");
    const char *const wanted[][2] = {{"a", "1"}, {"b", "x A +"}, {"c", ""}, {"d", ""}, {"e", "5"}};
    struct span name;
    struct span value;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(http_query_next(&query, buffer, &name, &value), 1);
        assert_true(span_is(name, wanted[i][0]));
        assert_true(span_is(value, wanted[i][1]));
    }
    assert_int_equal(http_query_next(&query, buffer, &name, &value), 0);
    const char *const broken[] = {"a=%", "a=%4", "a=%4g", "%zz=1", "a=%%41"};
    for (size_t i = 0; i < 5; i++) {
        query = span_of_string(broken[i]);
        assert_int_equal(http_query_next(&query, buffer, &name, &value), -EINVAL);
    }
}

/* No head, however mangled, makes the parser leave its bytes (the sanitizers watch). */
static void test_request_parser_survives_mangled_heads(void **state)
{
    (void)state;
    const char *sample = "GET /v1/ws?cursor=e.5%20 HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\n"
                         "Sec-WebSocket-Protocol: ringside.v1\r\n\r\n";
    struct chance chance = chance_make();
    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t len = strlen(sample);
        memcpy(text, sample, len);
        len = chance_mutate(&chance, text, len, sizeof(text), "\r\n: ,?=%/");
        char *exact = malloc(len ? len : 1);
        memcpy(exact, text, len);
        struct http_request request;
        size_t head = http_request_head_length(span_of(exact, len));
        if (head && http_request_parse(&request, span_of(exact, head)) == 0) {
            char buffer[256];
            struct span name;
            struct span value;
            while (http_query_next(&request.query, buffer, &name, &value) > 0)
                assert_true(name.len + value.len <= sizeof(buffer));
        }
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_is_read_into_its_parts),
        cmocka_unit_test(test_request_head_ends_at_its_empty_line),
        cmocka_unit_test(test_request_that_is_malformed_or_ambiguous_is_refused),
        cmocka_unit_test(test_lists_over_several_lines_are_kept_in_order_and_bounded),
        cmocka_unit_test(test_request_with_a_body_says_so),
        cmocka_unit_test(test_lists_are_split_at_commas),
        cmocka_unit_test(test_queries_are_decoded_pair_by_pair),
        cmocka_unit_test(test_request_parser_survives_mangled_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
