/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "process/stderr_log.h"

#include "base/json_scan.h"
#include "base/log.h"

static void take(struct stderr_log *log, const char *text)
{
    stderr_log_take(log, span_of_string(text), 0);
}

static void test_the_last_lines_are_kept_whole(void **state)
{
    struct stderr_log log;
    (void)state;
    stderr_log_init(&log, "run r-1");
    take(&log, "first\nsec");
    take(&log, "ond\n\nthi");
    assert_true(span_is(stderr_log_tail(&log), "first\nsecond"));
    stderr_log_end(&log, 0);
    assert_true(span_is(stderr_log_tail(&log), "first\nsecond\nthi"));
    for (int i = 0; i < 1000; i++)
        take(&log, "one of very many lines\n");
    struct span tail = stderr_log_tail(&log);
    assert_in_range(tail.len, STDERR_TAIL_MAX / 2, STDERR_TAIL_MAX);
    assert_memory_equal(tail.data, "one of very many", 16);
    stderr_log_deinit(&log);
}

static void test_what_would_garble_a_message_becomes_a_question_mark(void **state)
{
    struct stderr_log log;
    (void)state;
    stderr_log_init(&log, "run r-1");
    take(&log, "a\x1b[31mb\tc\n");
    take(&log, "not \xff utf-8 \xc3\n");
    take(&log, "gr\u00fc\u00dfe\n");
    assert_true(span_is(stderr_log_tail(&log), "a?[31mb c\nnot ? utf-8 ?\ngr\u00fc\u00dfe"));
    stderr_log_deinit(&log);
}

static void test_a_line_without_an_end_is_cut_and_takes_no_memory(void **state)
{
    struct stderr_log log;
    char chunk[8192];
    (void)state;
    for (size_t i = 0; i < sizeof(chunk); i += 2)
        memcpy(chunk + i, "\u00fc", 2);
    stderr_log_init(&log, "run r-1");
    stderr_log_take(&log, span_of("x", 1), 0);
    for (int i = 0; i < 100; i++)
        stderr_log_take(&log, span_of(chunk, sizeof(chunk)), 0);
    assert_true(log.partial.cap <= 4096);
    take(&log, "\nnext\n");
    struct span tail = stderr_log_tail(&log);
    assert_true(utf8_valid(tail));
    assert_in_range(tail.len, 400, 520);
    assert_memory_equal(tail.data + tail.len - 5, "\nnext", 5);
    stderr_log_deinit(&log);
}

static void test_lines_beyond_a_rate_are_counted_instead(void **state)
{
    struct stderr_log log;
    (void)state;
    stderr_log_init(&log, "run r-1");
    for (int i = 0; i < 1000; i++)
        take(&log, "spam\n");
    assert_true(log.written < 1000);
    assert_int_equal(log.written + log.left_out, 1000);
    stderr_log_take(&log, SPAN_LITERAL("later\n"), 5000);
    assert_int_equal(log.written, 1);
    assert_int_equal(log.left_out, 0);
    stderr_log_deinit(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_lines_are_kept_whole),
        cmocka_unit_test(test_what_would_garble_a_message_becomes_a_question_mark),
        cmocka_unit_test(test_a_line_without_an_end_is_cut_and_takes_no_memory),
        cmocka_unit_test(test_lines_beyond_a_rate_are_counted_instead),
    };
    log_init("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
