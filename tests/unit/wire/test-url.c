/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/url.h"

#include "unit.h"

#include <string.h>

static void test_an_address_is_taken_apart(void **state)
{
    (void)state;
    struct wire_url url;
    assert_true(wire_url_parse(&url, SPAN_LITERAL("tls+tcp://broker.internal:7400")));
    assert_int_equal(url.scheme, WIRE_SCHEME_TLS);
    assert_true(span_is(url.host, "broker.internal"));
    assert_int_equal(url.port, 7400);
    assert_true(wire_url_parse(&url, SPAN_LITERAL("tcp://[::1]:65535")));
    assert_int_equal(url.scheme, WIRE_SCHEME_TCP);
    assert_true(span_is(url.host, "[::1]"));
    assert_int_equal(url.port, 65535);
    assert_true(wire_url_parse(&url, SPAN_LITERAL("ipc:///run/a b/broker.ipc")));
    assert_int_equal(url.scheme, WIRE_SCHEME_IPC);
    assert_int_equal(url.port, 0);
}

static void test_what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "ipc://", "ipc://relative", "tcp://", "tcp://host",
        "tcp://:1", "tcp://host:", "tcp://host:0", "tcp://host:65536", "tcp://host:999999",
        "tcp://host:1x", "tcp://host:-1", "http://host:1", "TCP://host:1", "tls+tcp:/host:1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!wire_url_problem(span_of_string(bad[i]), true))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void test_plain_tcp_stays_on_this_machine_unless_allowed(void **state)
{
    (void)state;
    static const char *const own[] = {
        "tcp://127.0.0.1:1", "tcp://127.8.9.1:1", "tcp://[::1]:1", "tcp://localhost:1"};
    static const char *const others[] = {"tcp://10.0.0.1:1", "tcp://0.0.0.0:1", "tcp://[::]:1",
        "tcp://localhost.example:1", "tcp://127.example:1", "tcp://*:1"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        assert_null(wire_url_problem(span_of_string(own[i]), false));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_non_null(wire_url_problem(span_of_string(others[i]), false));
        assert_null(wire_url_problem(span_of_string(others[i]), true));
    }
    assert_null(wire_url_problem(SPAN_LITERAL("tls+tcp://10.0.0.1:1"), false));
}

static void test_an_address_is_put_together(void **state)
{
    (void)state;
    char text[WIRE_URL_SIZE];
    char host[WIRE_URL_SIZE];
    const struct wire_url url = {WIRE_SCHEME_TLS, SPAN_LITERAL("*"), 7401};
    assert_int_equal(wire_url_format(text, &url), 0);
    assert_string_equal(text, "tls+tcp://*:7401");
    memset(host, 'h', sizeof(host));
    const struct wire_url long_url = {WIRE_SCHEME_TCP, span_of(host, sizeof(host)), 1};
    assert_true(wire_url_format(text, &long_url) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_taken_apart),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_plain_tcp_stays_on_this_machine_unless_allowed),
        cmocka_unit_test(test_an_address_is_put_together),
    };
    return cmocka_run_group_tests_name("wire-url", tests, NULL, NULL);
}
