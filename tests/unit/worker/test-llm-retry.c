/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "llm/retry.h"

static const struct llm_retry_policy policy = {
    .retries = 3, .wait_ms = 100, .max_wait_ms = 300, .providers = 2};

static bool decide(struct llm_attempts *attempts, struct llm_setback setback, uint64_t *ret_wait)
{
    return llm_retry_decide(attempts, &policy, &setback, ret_wait);
}

static void test_waits_double_up_to_the_longest_and_a_half_of_each_is_by_chance(void **state)
{
    static const uint64_t longest[] = {100, 200, 300};
    (void)state;
    for (uint64_t chance = 0; chance < 1000; chance += 7) {
        struct llm_attempts attempts = {0};
        for (size_t i = 0; i < 3; i++) {
            uint64_t wait;
            assert_true(decide(&attempts,
                (struct llm_setback){.failure = LLM_UNAVAILABLE, .chance = chance}, &wait));
            assert_int_equal(attempts.provider, 0);
            assert_in_range(wait, longest[i] - longest[i] / 2, longest[i]);
            assert_true(chance || wait == longest[i]);
        }
    }
}

static void test_what_the_server_says_is_waited_for_unless_it_is_too_long(void **state)
{
    struct llm_attempts attempts = {0};
    struct llm_setback busy = {.failure = LLM_RATE_LIMITED, .retry_after_ms = 250};
    uint64_t wait;
    (void)state;
    assert_true(decide(&attempts, busy, &wait));
    assert_true(wait == 250 && attempts.provider == 0);
    busy.retry_after_ms = 301;
    assert_true(decide(&attempts, busy, &wait));
    assert_true(wait == 0 && attempts.provider == 1);
    assert_false(decide(&attempts, busy, &wait));
}

static void test_each_provider_has_its_tries_and_then_there_is_none_left(void **state)
{
    struct llm_attempts attempts = {0};
    uint64_t wait, asked = 1;
    (void)state;
    while (decide(&attempts, (struct llm_setback){.failure = LLM_UNAVAILABLE}, &wait))
        asked++;
    assert_int_equal(asked, 8);
    assert_int_equal(attempts.provider, 1);
}

static void test_nothing_is_asked_again_once_something_was_shown(void **state)
{
    (void)state;
    for (int failure = LLM_OK + 1; failure < LLM_FAILURE_COUNT; failure++) {
        struct llm_attempts attempts = {0};
        uint64_t wait;
        assert_false(decide(&attempts,
            (struct llm_setback){.failure = (enum llm_failure)failure, .shown = true}, &wait));
    }
}

static void test_what_asking_again_does_not_mend_goes_on_or_ends(void **state)
{
    static const enum llm_failure next[] = {
        LLM_UNAUTHORIZED, LLM_NO_QUOTA, LLM_REJECTED, LLM_BAD_RESPONSE};
    static const enum llm_failure ends[] = {LLM_REFUSED, LLM_CONTENT_FILTER, LLM_LENGTH,
        LLM_BUDGET_EXCEEDED, LLM_MAX_STEPS, LLM_STREAM_BROKEN};
    uint64_t wait;
    (void)state;
    for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
        struct llm_attempts attempts = {0};
        assert_true(decide(&attempts, (struct llm_setback){.failure = next[i]}, &wait));
        assert_true(attempts.provider == 1 && wait == 0);
        assert_false(decide(&attempts, (struct llm_setback){.failure = next[i]}, &wait));
    }
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct llm_attempts attempts = {0};
        assert_false(decide(&attempts, (struct llm_setback){.failure = ends[i]}, &wait));
    }
}

static void test_each_status_is_a_failure(void **state)
{
    static const struct row {
        long status;
        enum llm_failure failure;
    } rows[] = {{200, LLM_OK}, {204, LLM_BAD_RESPONSE}, {301, LLM_REJECTED}, {400, LLM_REJECTED},
        {401, LLM_UNAUTHORIZED}, {402, LLM_NO_QUOTA}, {403, LLM_UNAUTHORIZED}, {404, LLM_REJECTED},
        {408, LLM_UNAVAILABLE}, {409, LLM_UNAVAILABLE}, {425, LLM_UNAVAILABLE},
        {429, LLM_RATE_LIMITED}, {500, LLM_UNAVAILABLE}, {529, LLM_UNAVAILABLE}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(llm_failure_of_status(rows[i].status, false), rows[i].failure);
    assert_int_equal(llm_failure_of_status(429, true), LLM_NO_QUOTA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_double_up_to_the_longest_and_a_half_of_each_is_by_chance),
        cmocka_unit_test(test_what_the_server_says_is_waited_for_unless_it_is_too_long),
        cmocka_unit_test(test_each_provider_has_its_tries_and_then_there_is_none_left),
        cmocka_unit_test(test_nothing_is_asked_again_once_something_was_shown),
        cmocka_unit_test(test_what_asking_again_does_not_mend_goes_on_or_ends),
        cmocka_unit_test(test_each_status_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
