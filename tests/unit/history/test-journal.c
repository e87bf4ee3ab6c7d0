/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "history/journal.h"
#include "history/sync.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Commits that go to the journal: as if the process died, the files are copied while the history is
 * open, and the copy is opened. Kills: test-kills.c. Writes that fail: test-faults.c.
 */
#define JOURNAL_BYTES (1u << 16)

static int journal_setup(void **state)
{
    int rc = fixture_setup(state);
    struct fixture *fixture = *state;
    fixture->options.journal_bytes = JOURNAL_BYTES;
    return rc;
}

static uint64_t batches(struct fixture *fixture)
{
    struct history_usage usage;
    history_usage(fixture->history, &usage);
    return usage.batches;
}

/* The store as it is found after the process died just now; the former is closed. */
static void die(struct fixture *fixture, bool other_boot)
{
    static char directory[PATHS_MAX];
    char copy[PATHS_MAX];
    static int deaths;
    char name[16];
    snprintf(name, sizeof(name), "copy-%d", deaths++);
    sibling_directory(fixture, name, copy);
    copy_store(fixture->options.directory, copy);
    if (other_boot)
        pretend_other_boot(copy);
    fixture_close(fixture);
    snprintf(directory, sizeof(directory), "%s", copy);
    fixture->options.directory = directory;
    fixture_open(fixture);
}

/* ---- what is committed there */

static void test_a_commit_is_read_and_counted_before_there_is_a_batch(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 3);
    commit_events(fixture, "bob", 1);
    commit_events(fixture, "ann", 2);
    assert_int_equal(batches(fixture), 0);
    assert_int_equal(history_commit_count(fixture->history), 3);
    assert_int_equal(history_synced_count(fixture->history), 0);
    assert_range(fixture, "ann", 1, 5);
    assert_range(fixture, "bob", 1, 1);
    struct history_stream_usage usage;
    history_stream_usage(fixture_stream(fixture, "ann"), &usage);
    assert_int_equal(usage.events, 5);
    assert_int_equal(usage.head, 5);
}

static void test_what_is_staged_behind_the_journal_is_not_read(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 3);
    stage_events(fixture, "ann", 2);
    assert_int_equal(history_committed_head(fixture_stream(fixture, "ann")), 3);
    assert_int_equal(history_shown_head(fixture_stream(fixture, "ann")), 3);
    assert_int_equal(history_staged_events(fixture->history), 2);
    assert_events(fixture, "ann", 0, 3);
}

static void test_one_page_goes_over_from_the_store_into_the_journal(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    _cleanup_(buffer_deinit) struct buffer expected = BUFFER_INIT;
    uint64_t last;
    fixture_open(fixture);
    commit_events(fixture, "ann", 4);
    assert_return_code(history_settle(fixture->history), 0);
    commit_events(fixture, "ann", 3);
    const struct history_stream *stream = fixture_stream(fixture, "ann");
    assert_return_code(history_read(stream, 2, SIZE_MAX, &page, &last), 0);
    for (uint64_t seq = 3; seq <= 7; seq++)
        event_text(&expected, "ann", seq);
    assert_int_equal(last, 7);
    assert_int_equal(page.len, expected.len);
    assert_memory_equal(page.data, expected.data, page.len);
    for (size_t most = 0; most <= expected.len; most += 7) { /* never more than fits, but for one */
        buffer_clear(&page);
        assert_return_code(history_read(stream, 2, most, &page, &last), 0);
        assert_true(page.len <= most || last == 3);
    }
}

static void test_a_batch_is_written_when_the_journal_is_full(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    unsigned commits = 0;
    for (; batches(fixture) == 0; commits++)
        commit_events(fixture, "ann", 10);
    assert_in_range(commits, 20, JOURNAL_BYTES / 10);
    assert_range(fixture, "ann", 1, 10 * commits);
    commit_events(fixture, "ann", 10);
    assert_int_equal(batches(fixture), 1);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 10 * (commits + 1));
}

static void test_a_commit_larger_than_the_journal_is_a_batch(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    commit_events(fixture, "ann", JOURNAL_BYTES / 50);
    assert_int_equal(batches(fixture), 1);
    assert_range(fixture, "ann", 1, 1 + JOURNAL_BYTES / 50);
}

static void test_synced_commits_need_no_journal(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fixture_open(fixture);
    commit_events(fixture, "ann", 1);
    assert_int_equal(batches(fixture), 1);
    assert_int_equal(history_synced_count(fixture->history), 1);
}

/* ---- the process dies */

static void stage_everything(struct fixture *fixture, uint64_t position)
{
    const struct history_position drained = {1, 2, 3, position};
    assert_return_code(history_stage_position(fixture->history, &drained), 0);
    assert_return_code(history_stage_run(fixture->history, SPAN_LITERAL("open"), true,
                           SPAN_LITERAL("still going")),
        0);
    assert_return_code(
        history_stage_run(fixture->history, SPAN_LITERAL("ended"), false, SPAN_LITERAL("gone")), 0);
    assert_return_code(history_stage_message(fixture->history, SPAN_LITERAL("ann"),
                           SPAN_LITERAL("m"), SPAN_LITERAL("open")),
        0);
}

static int note_run(void *context, struct span run_id, struct span record)
{
    buffer_printf(context, "%.*s: %.*s. ", SPAN_ARG(run_id), SPAN_ARG(record));
    return 0;
}

static void assert_everything(struct fixture *fixture, uint64_t position)
{
    _cleanup_(buffer_deinit) struct buffer found = BUFFER_INIT;
    struct history_position drained = {.arena_id = 1, .ring = 2, .generation = 3};
    assert_return_code(history_find_position(fixture->history, &drained), 0);
    assert_int_equal(drained.position, position);
    assert_return_code(history_each_open_run(fixture->history, note_run, &found), 0);
    assert_return_code(history_find_run(fixture->history, SPAN_LITERAL("ended"), &found), 0);
    assert_return_code(
        history_find_message(fixture->history, SPAN_LITERAL("ann"), SPAN_LITERAL("m"), &found), 0);
    buffer_append_char(&found, '\0');
    assert_string_equal(found.data, "open: still going. goneopen");
}

static void test_all_kinds_of_what_is_committed_survive_the_process(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    stage_everything(fixture, 10);
    commit_events(fixture, "bob", 2);
    stage_everything(fixture, 20);
    assert_return_code(history_commit(fixture->history), 0);
    stage_everything(fixture, 30); /* and is not committed */
    die(fixture, false);
    assert_int_equal(batches(fixture), 0);
    assert_everything(fixture, 20);
    assert_range(fixture, "ann", 1, 2);
    assert_range(fixture, "bob", 1, 2);
    commit_events(fixture, "bob", 1);
    die(fixture, false);
    assert_everything(fixture, 20);
    assert_range(fixture, "bob", 1, 3);
    assert_return_code(history_settle(fixture->history), 0);
    assert_int_equal(batches(fixture), 1);
    die(fixture, false);
    assert_everything(fixture, 20);
    assert_range(fixture, "ann", 1, 2);
    assert_range(fixture, "bob", 1, 3);
}

static void test_what_a_batch_has_is_not_taken_in_again(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int i = 0; i < 5; i++)
        commit_events(fixture, "ann", 4);
    assert_return_code(history_settle(fixture->history), 0);
    die(fixture, false);
    assert_range(fixture, "ann", 1, 20);
    commit_events(fixture, "ann", 1); /* shorter than what stands behind it in the file */
    die(fixture, false);
    assert_range(fixture, "ann", 1, 21);
}

static void test_a_frame_that_is_not_whole_ends_the_journal(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    commit_events(fixture, "bob", 1);
    size_t size;
    _cleanup_free_ char *bytes = read_whole_file(fixture->directory, "journal", &size);
    size_t end = size;
    while (bytes[end - 1] == '\0')
        end--;
    bytes[end - 1] ^= 1;
    write_whole_file(fixture->directory, "journal", bytes, size);
    die(fixture, false);
    assert_range(fixture, "ann", 1, 2);
    assert_range(fixture, "bob", 1, 0);
    commit_events(fixture, "bob", 2);
    die(fixture, false);
    assert_range(fixture, "bob", 1, 2);
}

static void test_a_history_without_a_journal_stores_what_one_has_left(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    fixture->options.journal_bytes = 0;
    die(fixture, false);
    assert_int_equal(batches(fixture), 1);
    assert_range(fixture, "ann", 1, 2);
    fixture->options.sync = HISTORY_SYNC_ALWAYS;
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 2);
}

static void test_closing_stores_and_drops_what_was_only_staged(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    fixture_reopen(fixture);
    assert_int_equal(batches(fixture), 1);
    commit_events(fixture, "ann", 2);
    stage_events(fixture, "ann", 2);
    fixture_reopen(fixture);
    assert_range(fixture, "ann", 1, 4);
}

/* ---- the host goes down */

static void test_after_another_boot_the_journal_counts_no_more(void **state)
{
    struct fixture *fixture = *state;
    char epoch[HISTORY_EPOCH_SIZE];
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    assert_return_code(history_sync(fixture->history), 0);
    assert_int_equal(history_synced_count(fixture->history), 1);
    commit_events(fixture, "ann", 2);
    assert_int_equal(history_synced_count(fixture->history), 1);
    snprintf(epoch, sizeof(epoch), "%s", history_epoch(fixture_stream(fixture, "ann")));
    die(fixture, true);
    assert_range(fixture, "ann", 1, 2);
    assert_string_not_equal(history_epoch(fixture_stream(fixture, "ann")), epoch);
    die(fixture, false); /* nor later */
    assert_range(fixture, "ann", 1, 2);
    commit_events(fixture, "ann", 1);
    die(fixture, false);
    assert_range(fixture, "ann", 1, 3);
}

static void test_a_sync_that_nobody_waits_for_has_the_journal_in_it(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    commit_events(fixture, "ann", 2);
    assert_return_code(history_sync_begin(fixture->history, -1), 0);
    commit_events(fixture, "ann", 2);
    assert_return_code(history_sync_end(fixture->history), 0);
    assert_int_equal(history_synced_count(fixture->history), 1);
    die(fixture, true);
    assert_range(fixture, "ann", 1, 2);
}

/* ---- its room */

/* Else a full disk would be met where a frame is copied, and that is a signal. */
static void test_a_journal_with_holes_gets_its_blocks_when_it_is_opened(void **state)
{
    struct fixture *fixture = *state;
    char path[PATHS_MAX];
    struct stat status;
    fixture_open(fixture);
    fixture_close(fixture);
    assert_return_code(paths_join(path, fixture->options.directory, "journal"), 0);
    assert_return_code(truncate(path, 0), errno);
    assert_return_code(truncate(path, JOURNAL_BYTES), errno);
    fixture_open(fixture);
    assert_return_code(stat(path, &status), errno);
    assert_int_equal(status.st_size, JOURNAL_BYTES);
    assert_true(status.st_blocks * 512 >= JOURNAL_BYTES);
}

/* ---- frames */

static void test_a_frame_that_is_cut_short_anywhere_is_none(void **state)
{
    (void)state;
    _cleanup_(buffer_deinit) struct buffer sections = BUFFER_INIT;
    _cleanup_(buffer_deinit) struct buffer notes = BUFFER_INIT;
    _cleanup_(buffer_deinit) struct buffer bytes = BUFFER_INIT;
    char header[FRAME_HEADER_SIZE];
    const struct batch_entry entry = {0, 3};
    struct frame frame;
    frame_add_section(&sections, &(struct frame_section){7, SPAN_LITERAL("ann")});
    frame_add_note(&notes, &(struct frame_note){.kind = FRAME_MESSAGE,
                               .user_id = SPAN_LITERAL("ann"),
                               .id = SPAN_LITERAL("m"),
                               .value = SPAN_LITERAL("run")});
    const struct frame_input input = {.batch = 3,
        .sections = buffer_span(&sections),
        .entries = span_of(&entry, sizeof(entry)),
        .data = SPAN_LITERAL("abc"),
        .notes = buffer_span(&notes)};
    frame_write_header(header, &input);
    buffer_append(&bytes, header, sizeof(header));
    buffer_append_span(&bytes, input.sections);
    buffer_append_span(&bytes, input.entries);
    buffer_append_span(&bytes, input.data);
    buffer_append_span(&bytes, input.notes);
    assert_int_equal(frame_open(&frame, buffer_span(&bytes)), 0);
    assert_int_equal(frame.size, bytes.len);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(frame_open(&frame, span_of(bytes.data, len)), -EBADMSG);
    for (size_t len = 1; len < sections.len; len++) {
        struct frame_section section;
        struct span rest = span_of(sections.data, len);
        assert_int_equal(frame_next_section(&section, &rest), -EBADMSG);
    }
    for (size_t len = 1; len < notes.len; len++) {
        struct frame_note note;
        struct span rest = span_of(notes.data, len);
        assert_int_equal(frame_next_note(&note, &rest), -EBADMSG);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, journal_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_commit_is_read_and_counted_before_there_is_a_batch),
        CASE(test_what_is_staged_behind_the_journal_is_not_read),
        CASE(test_one_page_goes_over_from_the_store_into_the_journal),
        CASE(test_a_batch_is_written_when_the_journal_is_full),
        CASE(test_a_commit_larger_than_the_journal_is_a_batch),
        CASE(test_synced_commits_need_no_journal),
        CASE(test_all_kinds_of_what_is_committed_survive_the_process),
        CASE(test_what_a_batch_has_is_not_taken_in_again),
        CASE(test_a_frame_that_is_not_whole_ends_the_journal),
        CASE(test_a_history_without_a_journal_stores_what_one_has_left),
        CASE(test_closing_stores_and_drops_what_was_only_staged),
        CASE(test_after_another_boot_the_journal_counts_no_more),
        CASE(test_a_sync_that_nobody_waits_for_has_the_journal_in_it),
        CASE(test_a_journal_with_holes_gets_its_blocks_when_it_is_opened),
        cmocka_unit_test(test_a_frame_that_is_cut_short_anywhere_is_none),
    };
    return cmocka_run_group_tests_name("history-journal", tests, NULL, NULL);
}
