/* SPDX-License-Identifier: Apache-2.0 */
#include "session_list.h"
#include "unit.h"

#include "base/json_scan.h"

#include <stdlib.h>

static void add(struct list_link *sessions, const char *user)
{
    struct session *session = calloc(1, sizeof(*session) + strlen(user) + 1);
    assert_non_null(session);
    strcpy(session->user, user);
    strcpy(session->id, "cn-1");
    session->state = SESSION_OPEN;
    session->started_at = session->heard_at = 1000;
    session->expires_at = 1800000000;
    assert_true(address_parse(&session->address, SPAN_LITERAL("2001:db8::1")));
    list_append(sessions, &session->host_link);
}

static void forget_all(struct list_link *sessions)
{
    LIST_FOR_EACH(struct session, session, sessions, host_link)
    {
        list_remove(&session->host_link);
        free(session);
    }
}

static unsigned times(const struct buffer *json, const char *text)
{
    unsigned count = 0;
    for (const char *at = json->data; (at = strstr(at, text)); at++)
        count++;
    return count;
}

static struct buffer list_of(const struct list_link *sessions, const char *user)
{
    struct buffer json = BUFFER_INIT;
    session_list_append(&json, sessions, span_of_string(user), 5000);
    assert_true(json_scan_valid_object(buffer_span(&json)));
    buffer_append_char(&json, '\0');
    return json;
}

static void test_a_connection_is_shown_with_whose_it_is_and_how_it_stands(void **state)
{
    (void)state;
    struct list_link sessions;
    list_init(&sessions);
    add(&sessions, "alice");
    struct buffer json = list_of(&sessions, "");
    assert_string_equal(json.data,
        "{\"connections\":[{\"connection_id\":\"cn-1\",\"user_id\":\"alice\","
        "\"address\":\"2001:db8::1\",\"format\":\"json\",\"state\":\"live\",\"age_ms\":4000,"
        "\"silent_ms\":4000,\"expires_at\":1800000000000,\"position\":0,\"acked\":0,"
        "\"waiting_bytes\":0,\"pending_requests\":0,\"filter_threads\":0}],\"total\":1}");
    buffer_deinit(&json);
    forget_all(&sessions);
}

static void test_the_list_is_one_users_when_asked_for(void **state)
{
    (void)state;
    struct list_link sessions;
    list_init(&sessions);
    add(&sessions, "alice");
    add(&sessions, "bob");
    add(&sessions, "alice");
    struct buffer json = list_of(&sessions, "alice");
    assert_int_equal(times(&json, "\"alice\""), 2);
    assert_int_equal(times(&json, "\"bob\""), 0);
    assert_int_equal(times(&json, "\"total\":2}"), 1);
    buffer_deinit(&json);
    forget_all(&sessions);
}

static void test_a_long_list_is_cut_off_and_says_how_many_there_are(void **state)
{
    (void)state;
    struct list_link sessions;
    list_init(&sessions);
    for (int i = 0; i < SESSION_LIST_MAX + 5; i++)
        add(&sessions, "alice");
    struct buffer json = list_of(&sessions, "");
    assert_int_equal(times(&json, "\"alice\""), SESSION_LIST_MAX);
    assert_int_equal(times(&json, "\"total\":1005}"), 1);
    buffer_deinit(&json);
    forget_all(&sessions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_is_shown_with_whose_it_is_and_how_it_stands),
        cmocka_unit_test(test_the_list_is_one_users_when_asked_for),
        cmocka_unit_test(test_a_long_list_is_cut_off_and_says_how_many_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
