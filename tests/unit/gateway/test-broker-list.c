/* SPDX-License-Identifier: Apache-2.0 */
#include "broker_list.h"

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USERS 10000

static struct broker_list list_of(const char *text)
{
    struct broker_list list;
    const char *problem = "";
    struct span entry;
    int rc = broker_list_parse(&list, span_of_string(text), true, &problem, &entry);
    if (rc)
        fail_msg("%s: %s", text, problem);
    return list;
}

static const char *owner(const struct broker_list *list, unsigned number)
{
    char user[32];
    snprintf(user, sizeof(user), "user-%u", number);
    return list->entries[broker_list_owner(list, span_of_string(user))].name;
}

static void test_list_keeps_names_and_addresses(void **state)
{
    (void)state;
    struct broker_list list =
        list_of(" a = ipc:///run/a ,b=tls+tcp://host-b:7400,c=tcp://10.0.0.1:1");
    assert_int_equal(list.count, 3);
    assert_string_equal(list.entries[0].name, "a");
    assert_string_equal(list.entries[0].url, "ipc:///run/a");
    assert_string_equal(list.entries[1].url, "tls+tcp://host-b:7400");
    assert_string_equal(list.entries[2].url, "tcp://10.0.0.1:1");
}

static void refused(const char *text, bool plain, const char *why)
{
    struct broker_list list;
    const char *problem = "";
    struct span entry;
    assert_int_equal(
        broker_list_parse(&list, span_of_string(text), plain, &problem, &entry), -EINVAL);
    if (!strstr(problem, why))
        fail_msg("%s: \"%s\" has no \"%s\"", text, problem, why);
}

static void test_list_refuses_what_is_no_broker(void **state)
{
    (void)state;
    char *many = calloc(BROKER_LIST_MAX + 1, 32);
    for (unsigned i = 0; i <= BROKER_LIST_MAX; i++)
        sprintf(many + strlen(many), "%sb%u=ipc:///b%u", i ? "," : "", i, i);
    refused(many, false, "more brokers");
    free(many);
    refused("", false, "NAME=ADDRESS");
    refused("=ipc:///run/a", false, "NAME=ADDRESS");
    refused("a=ipc:///run/a,", false, "NAME=ADDRESS");
    refused("a=http://host:1", false, "must be ipc");
    refused("a=ipc://relative", false, "must be ipc");
    refused("a=ipc:///run/a,a=ipc:///run/b", false, "twice");
    refused("a=tcp://10.0.0.1:7400", false, "use tls+tcp");
}

static void test_list_lets_unencrypted_links_stay_on_this_machine(void **state)
{
    (void)state;
    struct broker_list list;
    const char *problem;
    struct span entry;
    struct span text = SPAN_LITERAL("a=tcp://127.0.0.1:1,b=tcp://[::1]:1,c=tcp://localhost:1");
    assert_int_equal(broker_list_parse(&list, text, false, &problem, &entry), 0);
    refused("a=tcp://localhost.example:1", false, "use tls+tcp");
}

static void test_users_are_spread_evenly(void **state)
{
    (void)state;
    struct broker_list list = list_of("a=ipc:///a,b=ipc:///b,c=ipc:///c,d=ipc:///d");
    unsigned counts[4] = {0};
    for (unsigned i = 0; i < USERS; i++)
        counts[owner(&list, i)[0] - 'a']++;
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(counts[i], USERS / 4 - USERS / 40, USERS / 4 + USERS / 40);
}

static void test_order_and_addresses_do_not_matter(void **state)
{
    (void)state;
    struct broker_list one = list_of("a=ipc:///a,b=ipc:///b,c=ipc:///c");
    struct broker_list other = list_of("c=tls+tcp://h:1,a=ipc:///x,b=ipc:///b");
    for (unsigned i = 0; i < USERS; i++)
        assert_string_equal(owner(&one, i), owner(&other, i));
}

static void test_another_broker_takes_only_its_own_users(void **state)
{
    (void)state;
    struct broker_list before = list_of("a=ipc:///a,b=ipc:///b,c=ipc:///c");
    struct broker_list after = list_of("a=ipc:///a,b=ipc:///b,c=ipc:///c,d=ipc:///d");
    unsigned moved = 0;
    for (unsigned i = 0; i < USERS; i++) {
        bool same = strcmp(owner(&before, i), owner(&after, i)) == 0;
        assert_true(same || strcmp(owner(&after, i), "d") == 0);
        moved += !same;
    }
    assert_in_range(moved, USERS / 4 - USERS / 40, USERS / 4 + USERS / 40);
}

/* Other releases and programs must find the same brokers: the weights are part of the protocol. */
static void test_owners_stay_what_they_are(void **state)
{
    (void)state;
    struct broker_list list = list_of("a=ipc:///a,b=ipc:///b,c=ipc:///c");
    char owners[13] = "";
    for (unsigned i = 0; i < 12; i++)
        owners[i] = owner(&list, i)[0];
    assert_string_equal(owners, "aaaccaaaaaab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_keeps_names_and_addresses),
        cmocka_unit_test(test_list_refuses_what_is_no_broker),
        cmocka_unit_test(test_list_lets_unencrypted_links_stay_on_this_machine),
        cmocka_unit_test(test_users_are_spread_evenly),
        cmocka_unit_test(test_order_and_addresses_do_not_matter),
        cmocka_unit_test(test_another_broker_takes_only_its_own_users),
        cmocka_unit_test(test_owners_stay_what_they_are),
    };
    return cmocka_run_group_tests_name("broker-list", tests, NULL, NULL);
}
