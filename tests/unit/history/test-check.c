/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "history/check.h"

#include <stdio.h>
#include <string.h>

static void make_store(struct fixture *fixture)
{
    fixture_open(fixture);
    for (int i = 0; i < 20; i++) {
        stage_events(fixture, "ann-with-a-name", 20);
        commit_events(fixture, "bob-with-a-name", 20);
    }
}

/* Changes one byte in each place where `text` stands in the data file. */
static void change_text(const char *directory, const char *text)
{
    size_t size;
    _cleanup_free_ char *bytes = read_whole_file(directory, "data.mdb", &size);
    char *at = bytes;
    while ((at = memmem(at, size - (size_t)(at - bytes), text, strlen(text))))
        at[strlen(text) - 1] ^= 1;
    write_whole_file(directory, "data.mdb", bytes, size);
}

static void keep_sentence(void *context, const char *sentence)
{
    buffer_append_string(context, sentence);
    buffer_append_char(context, '\n');
}

static void check_store(
    struct fixture *fixture, struct history_check *ret_check, struct buffer *sentences)
{
    *ret_check = (struct history_check){.tell = keep_sentence, .context = sentences};
    buffer_clear(sentences);
    if (history_check(ret_check, fixture->directory, fixture->reason))
        fail_msg("%s", fixture->reason);
}

static void test_all_of_a_sound_store_is_looked_at(void **state)
{
    struct fixture *fixture = *state;
    struct history_check check;
    _cleanup_(buffer_deinit) struct buffer sentences = BUFFER_INIT;
    make_store(fixture);
    fixture_close(fixture);
    check_store(fixture, &check, &sentences);
    assert_int_equal(check.batches, 20);
    assert_int_equal(check.sections, 40);
    assert_int_equal(check.events, 800);
    assert_int_equal(check.damaged_batches + check.damaged_events, 0);
    assert_int_equal(sentences.len, 0);
}

static void test_a_damaged_event_and_a_damaged_front_are_named(void **state)
{
    struct fixture *fixture = *state;
    struct history_check check;
    _cleanup_(buffer_deinit) struct buffer sentences = BUFFER_INIT;
    make_store(fixture);
    commit_events(fixture, "cid-with-a-name", 5);
    fixture_close(fixture);
    change_text(fixture->directory, "[ann-with-a-name #31f");
    check_store(fixture, &check, &sentences);
    assert_int_equal(check.damaged_events, 1);
    assert_int_equal(check.damaged_batches, 0);
    buffer_append_char(&sentences, '\0');
    assert_string_equal(
        sentences.data, "batch 2: events 31 to 31 of ann-with-a-name are damaged\n");
    change_text(fixture->directory, "cid-with-a-name");
    check_store(fixture, &check, &sentences);
    assert_int_equal(check.damaged_batches, 1);
    buffer_append_char(&sentences, '\0');
    assert_non_null(strstr(sentences.data, "batch 21, "));
}

static void test_what_is_no_store_is_refused_with_what_to_do(void **state)
{
    struct fixture *fixture = *state;
    struct history_check check = {0};
    assert_true(history_check(&check, "/proc/no/such/place", fixture->reason) < 0);
    assert_non_null(strstr(fixture->reason, "restore a backup"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_all_of_a_sound_store_is_looked_at),
        CASE(test_a_damaged_event_and_a_damaged_front_are_named),
        CASE(test_what_is_no_store_is_refused_with_what_to_do),
    };
    return cmocka_run_group_tests_name("history-check", tests, NULL, NULL);
}
