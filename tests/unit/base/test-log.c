/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char captured[8192];

/* Runs `body` with stderr in a file and leaves what it wrote in `captured`. */
static size_t capture(void (*body)(void))
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    body();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(file);
    size_t len = fread(captured, 1, sizeof(captured) - 1, file);
    captured[len] = '\0';
    fclose(file);
    return len;
}

static void write_two_levels(void)
{
    log_init("tester", LOG_WARN);
    log_info("topic", "not this");
    log_warn("topic", "run %d", 7);
}

static void test_log_writes_one_line_with_program_and_topic_from_its_level_up(void **state)
{
    (void)state;
    capture(write_two_levels);
    assert_null(strstr(captured, "not this"));
    char *text = strstr(captured, "Z warn tester topic: run 7\n");
    assert_non_null(text);
    assert_int_equal(text - captured, strlen("2026-01-31T12:00:00.123"));
}

static void write_endless(void)
{
    static char text[5000];
    memset(text, 'x', sizeof(text) - 1);
    log_init("tester", LOG_DEBUG);
    errno = EPIPE;
    log_error("topic", "%s", text);
    assert_int_equal(errno, EPIPE);
}

static void test_log_cuts_an_endless_line_and_keeps_errno(void **state)
{
    (void)state;
    size_t len = capture(write_endless);
    assert_true(len > 1000 && len <= 2048);
    assert_ptr_equal(strchr(captured, '\n'), captured + len - 1);
}

static void test_log_levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_DEBUG;
    assert_int_equal(log_level_parse("error", &level), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_int_equal(level, LOG_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_writes_one_line_with_program_and_topic_from_its_level_up),
        cmocka_unit_test(test_log_cuts_an_endless_line_and_keeps_errno),
        cmocka_unit_test(test_log_levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
