/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void assert_parsed(const char *text, const char *wanted)
{
    struct address address;
    char again[ADDRESS_TEXT_SIZE];
    if (!address_parse_with_port(&address, span_of_string(text)))
        fail_msg("%s is no address", text);
    address_format(again, &address);
    assert_string_equal(again, wanted);
}

static void test_addresses_are_read_in_every_spelling(void **state)
{
    (void)state;
    assert_parsed("192.0.2.1", "192.0.2.1");
    assert_parsed("192.0.2.1:4711", "192.0.2.1");
    assert_parsed("2001:db8::1", "2001:db8::1");
    assert_parsed("2001:DB8:0:0::1", "2001:db8::1");
    assert_parsed("[2001:db8::1]", "2001:db8::1");
    assert_parsed("[2001:db8::1]:4711", "2001:db8::1");
    assert_parsed("::ffff:192.0.2.1", "192.0.2.1");
    assert_parsed("::", "::");
}

static void test_what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "unknown", "_hidden", "192.0.2", "192.0.2.256",
        "192.0.2.1:", "192.0.2.1:port", "192.0.2.1:4711111", "192.0.2.01", "[192.0.2.1]",
        "[2001:db8::1", "[2001:db8::1]4711", "[2001:db8::1]:", "2001:db8::1::2", "fe80::1%eth0",
        "1:2:3:4:5:6:7:8:9", " 192.0.2.1", "[]", "[", ":", "localhost",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct address address;
        if (address_parse_with_port(&address, span_of_string(bad[i])))
            fail_msg("%s passes for an address", bad[i]);
    }
    struct address address;
    assert_false(address_parse(&address, SPAN_LITERAL("192.0.2.1\0junk")));
    assert_false(address_parse(&address, SPAN_LITERAL("192.0.2.1:4711")));
}

static struct address parsed(const char *text)
{
    struct address address;
    assert_true(address_parse(&address, span_of_string(text)));
    return address;
}

static bool same_holder(const char *one, const char *other)
{
    char room[2][ADDRESS_HOLDER_SIZE];
    struct address a = parsed(one);
    struct address b = parsed(other);
    return span_equal(address_holder(room[0], &a), address_holder(room[1], &b));
}

static void test_holders_are_ipv4_addresses_and_ipv6_networks(void **state)
{
    (void)state;
    assert_true(same_holder("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(same_holder("192.0.2.1", "192.0.2.2"));
    assert_true(same_holder("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(same_holder("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_false(same_holder("0.0.0.0", "::"));
}

static void test_sockets_of_both_families_have_addresses(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT_SIZE];
    struct address address;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } from = {.v4 = {.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201)}}};
    assert_true(address_of(&address, &from.any));
    address_format(text, &address);
    assert_string_equal(text, "192.0.2.1");
    from.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &from.v6.sin6_addr), 1);
    assert_true(address_of(&address, &from.any));
    assert_false(address.v6);
    from.any.sa_family = AF_UNIX;
    assert_false(address_of(&address, &from.any));
}

static void test_networks_have_what_shares_their_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *address;
        bool has;
    } rows[] = {
        {"", "192.0.2.1", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.99/25", "192.0.2.127", true},
        {"192.0.2.99/25", "192.0.2.128", false},
        {"0.0.0.0/0", "203.0.113.7", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"10.0.0.0/8, ::1,192.0.2.1", "::1", true},
        {"10.0.0.0/8, ::1,192.0.2.1", "192.0.2.1", true},
        {"10.0.0.0/8, ::1,192.0.2.1", "192.0.2.2", false},
        {"::ffff:10.0.0.0/8", "10.1.2.3", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct networks networks;
        struct span wrong;
        assert_true(networks_parse(&networks, rows[i].list, &wrong));
        struct address address = parsed(rows[i].address);
        if (networks_have(&networks, &address) != rows[i].has)
            fail_msg("%s and %s", rows[i].list, rows[i].address);
    }
}

static void test_a_wrong_item_of_a_list_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *wrong;
    } rows[] = {
        {"192.0.2.1, local", "local"},
        {"192.0.2.0/33", "192.0.2.0/33"},
        {"::/129", "::/129"},
        {"192.0.2.0/, ::1", "192.0.2.0/"},
        {"192.0.2.0/+8", "192.0.2.0/+8"},
        {"192.0.2.0/0008", "192.0.2.0/0008"},
        {"192.0.2.1:80", "192.0.2.1:80"},
    };
    struct networks networks = {.count = 7};
    struct span wrong;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(networks_parse(&networks, rows[i].list, &wrong));
        assert_true(span_is(wrong, rows[i].wrong));
        assert_int_equal(networks.count, 7);
    }
    char list[10 * (NETWORKS_MAX + 1)] = "";
    for (int i = 0; i <= NETWORKS_MAX; i++)
        strcat(list, "10.0.0.1,");
    assert_false(networks_parse(&networks, list, &wrong));
    list[9 * NETWORKS_MAX] = '\0';
    assert_true(networks_parse(&networks, list, &wrong));
    assert_int_equal(networks.count, NETWORKS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_read_in_every_spelling),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_holders_are_ipv4_addresses_and_ipv6_networks),
        cmocka_unit_test(test_sockets_of_both_families_have_addresses),
        cmocka_unit_test(test_networks_have_what_shares_their_prefix),
        cmocka_unit_test(test_a_wrong_item_of_a_list_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
