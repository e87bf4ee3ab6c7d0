/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "links/hand_over_port.h"
#include "links/versions.h"
#include "unit.h"

#include "wire/attachment.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW UINT64_C(1700000000000)

static struct buffer request;
static struct buffer answer;

static int begin(void **state)
{
    (void)state;
    buffer_clear(&request);
    buffer_clear(&answer);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_deinit(&request);
    buffer_deinit(&answer);
    return 0;
}

static bool asked(uint64_t until_ms, const struct versions *versions)
{
    buffer_printf(&request, "until=%llu ", (unsigned long long)until_ms);
    versions_append(&request, versions);
    bool goes = hand_over_answer(&answer, buffer_span(&request), NOW);
    buffer_append_char(&answer, '\0');
    return goes;
}

static void test_a_broker_hands_over_to_one_of_the_same_versions(void **state)
{
    (void)state;
    const struct versions own = versions_own();
    assert_true(asked(NOW + 10000, &own));
    assert_string_equal(answer.data, "{\"agreed\":true}");
}

static void expect_refusal(const char *what)
{
    assert_non_null(strstr(answer.data, "\"agreed\":false"));
    assert_non_null(strstr(answer.data, what));
}

static void test_each_version_that_differs_is_named_with_both_numbers_and_what_to_do(void **state)
{
    (void)state;
#define VERSION(name, number, of, todo)                                                            \
    do {                                                                                           \
        struct versions other = versions_own();                                                    \
        char numbers[80];                                                                          \
        snprintf(numbers, sizeof(numbers), "the running broker has version %u, the new one 77",    \
            other.name);                                                                           \
        other.name = 77;                                                                           \
        buffer_clear(&request);                                                                    \
        buffer_clear(&answer);                                                                     \
        assert_false(asked(NOW, &other));                                                          \
        expect_refusal(of);                                                                        \
        expect_refusal(numbers);                                                                   \
        expect_refusal(todo);                                                                      \
    } while (0);
#include "links/versions.def"
#undef VERSION
}

static void test_a_request_found_after_its_sender_gave_up_is_refused(void **state)
{
    (void)state;
    const struct versions own = versions_own();
    assert_false(asked(NOW - 1, &own));
    expect_refusal("has given up waiting");
}

static void test_a_request_that_does_not_say_its_versions_is_refused(void **state)
{
    (void)state;
    static const char *const requests[] = {"until=1800000000000 ",
        "until=1800000000000 wire=", "until=1800000000000 wire=99999999999999999999", "wire", "",
        "until=x"};
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        buffer_clear(&answer);
        assert_false(hand_over_answer(&answer, span_of_string(requests[i]), NOW));
    }
}

/* As one that listens anew: what it was asked, and who asked, are gone. */
static void *lose_request(void *argument)
{
    nng_socket *socket = argument;
    nng_msg *message;
    if (nng_recvmsg(*socket, &message, 0) == 0)
        nng_msg_free(message);
    nng_close(*socket);
    return NULL;
}

static void test_a_request_that_is_lost_is_told_from_one_that_waits(void **state)
{
    (void)state;
    char directory[] = "/tmp/ringside-test-XXXXXX";
    char url[128];
    nng_socket socket;
    pthread_t thread;
    assert_non_null(mkdtemp(directory));
    snprintf(url, sizeof(url), "ipc://%s/%s", directory, WIRE_CONTROL_SOCKET);
    assert_int_equal(nng_rep0_open(&socket), 0);
    assert_int_equal(nng_listen(socket, url, NULL, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, lose_request, &socket), 0);
    uint64_t now_ms = clock_wall_ms();
    assert_int_equal(hand_over_ask(directory, now_ms + 60000, &answer), -ECONNRESET);
    pthread_join(thread, NULL);
    assert_int_equal(hand_over_ask(directory, now_ms, &answer), -ETIMEDOUT);
    unlink(url + strlen("ipc://"));
    assert_int_equal(rmdir(directory), 0);
}

#define HAND_OVER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HAND_OVER_TEST(test_a_broker_hands_over_to_one_of_the_same_versions),
        HAND_OVER_TEST(test_each_version_that_differs_is_named_with_both_numbers_and_what_to_do),
        HAND_OVER_TEST(test_a_request_found_after_its_sender_gave_up_is_refused),
        HAND_OVER_TEST(test_a_request_that_does_not_say_its_versions_is_refused),
        HAND_OVER_TEST(test_a_request_that_is_lost_is_told_from_one_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
