/* SPDX-License-Identifier: Apache-2.0 */
#include "forwarded.h"
#include "unit.h"

#include <stdio.h>

#define PROXY "10.0.0.1"
#define TRUSTED "10.0.0.0/8, fd00::/8"
#define X(value) "X-Forwarded-For: " value "\r\n"
#define F(value) "Forwarded: " value "\r\n"

/* Whom a request with these header lines is taken for, when `peer` brings it. */
static void assert_client(
    const char *peer, enum forwarded_header header, const char *lines, const char *wanted)
{
    char head[4096];
    char text[ADDRESS_TEXT_SIZE];
    struct http_request request;
    struct networks trusted;
    struct address from;
    struct span wrong;
    snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
    assert_int_equal(http_request_parse(&request, span_of_string(head)), 0);
    assert_true(networks_parse(&trusted, TRUSTED, &wrong));
    assert_true(address_parse(&from, span_of_string(peer)));
    struct address client = forwarded_client(&trusted, &from, &request, header);
    address_format(text, &client);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s instead of %s for:\n%s", text, wanted, lines);
}

static void assert_x(const char *lines, const char *wanted)
{
    assert_client(PROXY, FORWARDED_X, lines, wanted);
}

static void assert_f(const char *lines, const char *wanted)
{
    assert_client(PROXY, FORWARDED_RFC7239, lines, wanted);
}

static void test_nobody_but_a_trusted_proxy_is_believed(void **state)
{
    (void)state;
    assert_client("192.0.2.9", FORWARDED_X, X("198.51.100.7"), "192.0.2.9");
    assert_client("192.0.2.9", FORWARDED_RFC7239, F("for=198.51.100.7"), "192.0.2.9");
    assert_client("fd00::1", FORWARDED_X, X("198.51.100.7"), "198.51.100.7");
}

static void test_the_rightmost_address_that_is_no_proxys_counts(void **state)
{
    (void)state;
    assert_x("", PROXY);
    assert_x(X(""), PROXY);
    assert_x(X("198.51.100.7"), "198.51.100.7");
    assert_x(X("203.0.113.1, 198.51.100.7"), "198.51.100.7");
    assert_x(X("203.0.113.1, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
    assert_x(X("203.0.113.1,198.51.100.7,10.0.0.3,10.0.0.2"), "198.51.100.7");
    assert_x(X("10.0.0.3, 10.0.0.2"), "10.0.0.3");
    assert_x(X("198.51.100.7:4711"), "198.51.100.7");
    assert_x(X("2001:db8::7"), "2001:db8::7");
    assert_x(X("[2001:db8::7]:4711"), "2001:db8::7");
    assert_x(X(" , 198.51.100.7 , ,"), "198.51.100.7");
}

static void test_lines_are_one_list(void **state)
{
    (void)state;
    assert_x(X("203.0.113.1") X("198.51.100.7") X("10.0.0.2"), "198.51.100.7");
    assert_x("x-forwarded-for: 203.0.113.1\r\n" X("198.51.100.7"), "198.51.100.7");
    assert_f(F("for=203.0.113.1") F("for=198.51.100.7"), "198.51.100.7");
}

static void test_an_entry_that_is_no_address_ends_the_search(void **state)
{
    (void)state;
    assert_x(X("198.51.100.7, unknown"), PROXY);
    assert_x(X("198.51.100.7, unknown, 10.0.0.2"), "10.0.0.2");
    assert_x(X("198.51.100.7, \"10.0.0.2\""), PROXY);
    assert_f(F("for=198.51.100.7, for=_hidden"), PROXY);
    assert_f(F("for=198.51.100.7, proto=https"), PROXY);
    assert_f(F("for=198.51.100.7, for="), PROXY);
}

static void test_only_the_header_that_proxies_write_is_read(void **state)
{
    (void)state;
    assert_x(F("for=203.0.113.1") X("198.51.100.7"), "198.51.100.7");
    assert_f(F("for=203.0.113.1") X("198.51.100.7"), "203.0.113.1");
    assert_x(F("for=203.0.113.1"), PROXY);
}

static void test_pairs_of_forwarded_come_in_any_order_and_case(void **state)
{
    (void)state;
    assert_f(F("for=198.51.100.7;proto=https;by=10.0.0.1"), "198.51.100.7");
    assert_f(F("proto=https; For=\"198.51.100.7:4711\""), "198.51.100.7");
    assert_f(F("host=\"a;for=203.0.113.1,b\";FOR=198.51.100.7"), "198.51.100.7");
    assert_f(F("for=\"[2001:db8::7]:4711\";by=x"), "2001:db8::7");
    assert_f(F("for=198.51.100.7;host=\"a,b\""), "198.51.100.7");
    assert_f(F("for=198.51.100.7;host=\"a;for=203.0.113.1\""), "198.51.100.7");
}

static void test_a_quotation_that_a_client_opens_does_not_hide_the_client(void **state)
{
    (void)state;
    assert_f(F("for=\"203.0.113.1, for=198.51.100.7"), "198.51.100.7");
    assert_f(F("for=203.0.113.1;by=\"") F("for=198.51.100.7"), "198.51.100.7");
    assert_f(F("\\\", for=198.51.100.7"), "198.51.100.7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_but_a_trusted_proxy_is_believed),
        cmocka_unit_test(test_the_rightmost_address_that_is_no_proxys_counts),
        cmocka_unit_test(test_lines_are_one_list),
        cmocka_unit_test(test_an_entry_that_is_no_address_ends_the_search),
        cmocka_unit_test(test_only_the_header_that_proxies_write_is_read),
        cmocka_unit_test(test_pairs_of_forwarded_come_in_any_order_and_case),
        cmocka_unit_test(test_a_quotation_that_a_client_opens_does_not_hide_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
