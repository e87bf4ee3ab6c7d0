/* SPDX-License-Identifier: Apache-2.0 */
#include "history-test.h"

#include "base/cleanup.h"
#include "history/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    char base[] = "/tmp/ringside-history-XXXXXX";
    assert_non_null(mkdtemp(base));
    assert_return_code(paths_join(fixture->directory, base, "store"), 0);
    fixture->options.directory = fixture->directory;
    fixture->options.sync = HISTORY_SYNC_INTERVAL;
    fixture->options.keep_records_ms = 24ull * 60 * 60 * 1000;
    *state = fixture;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    history_close(fixture->history);
    *strrchr(fixture->directory, '/') = '\0';
    nftw(fixture->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

void fixture_open(struct fixture *fixture)
{
    int rc = history_open(&fixture->history, &fixture->options, fixture->reason);
    if (rc)
        fail_msg("opening: %s: %s", strerror(-rc), fixture->reason);
}

void fixture_close(struct fixture *fixture)
{
    history_close(fixture->history);
    fixture->history = NULL;
}

void fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

int fixture_open_fails(struct fixture *fixture)
{
    struct history *history = NULL;
    int rc = history_open(&history, &fixture->options, fixture->reason);
    history_close(history);
    return rc;
}

struct history_stream *fixture_stream(struct fixture *fixture, const char *user)
{
    struct history_stream *stream = history_stream(fixture->history, span_of_string(user));
    assert_non_null(stream);
    return stream;
}

void event_text(struct buffer *out, const char *user, uint64_t seq)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    buffer_printf(out, "[%s #%llu", user, (unsigned long long)seq);
    buffer_append(out, letters + seq % 26, (seq * 7) % 97);
    buffer_append_char(out, ']');
    assert_int_equal(buffer_error(out), 0);
}

void stage_events(struct fixture *fixture, const char *user, unsigned count)
{
    struct history_stream *stream = fixture_stream(fixture, user);
    _cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
    for (unsigned i = 0; i < count; i++) {
        uint64_t seq = history_head(stream) + 1;
        buffer_clear(&text);
        event_text(&text, user, seq);
        assert_return_code(history_append(fixture->history, stream, seq, buffer_span(&text)), 0);
    }
}

void commit_events(struct fixture *fixture, const char *user, unsigned count)
{
    stage_events(fixture, user, count);
    assert_return_code(history_commit(fixture->history), 0);
}

void assert_events(struct fixture *fixture, const char *user, uint64_t after, uint64_t head)
{
    const struct history_stream *stream = fixture_stream(fixture, user);
    _cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
    _cleanup_(buffer_deinit) struct buffer expected = BUFFER_INIT;
    while (after < head) {
        uint64_t last = 0;
        buffer_clear(&page);
        int rc = history_read(stream, after, 1000, &page, &last);
        if (rc || last <= after)
            fail_msg("reading %s above %llu: %d, up to %llu", user, (unsigned long long)after, rc,
                (unsigned long long)last);
        buffer_clear(&expected);
        for (uint64_t seq = after + 1; seq <= last; seq++)
            event_text(&expected, user, seq);
        assert_int_equal(page.len, expected.len);
        assert_memory_equal(page.data, expected.data, page.len);
        after = last;
    }
    assert_int_equal(after, head);
}

void assert_range(struct fixture *fixture, const char *user, uint64_t oldest, uint64_t head)
{
    const struct history_stream *stream = fixture_stream(fixture, user);
    assert_int_equal(history_oldest(stream), oldest);
    assert_int_equal(history_head(stream), head);
    assert_int_equal(history_committed_head(stream), head);
    assert_events(fixture, user, oldest - 1, head);
}

/* ---- files */

char *read_whole_file(const char *directory, const char *name, size_t *ret_size)
{
    char path[PATHS_MAX];
    assert_return_code(paths_join(path, directory, name), 0);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_return_code(fd, errno);
    struct stat status;
    assert_return_code(fstat(fd, &status), errno);
    char *bytes = malloc((size_t)status.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
    *ret_size = (size_t)status.st_size;
    return bytes;
}

void write_whole_file(const char *directory, const char *name, const char *bytes, size_t size)
{
    char path[PATHS_MAX];
    assert_return_code(paths_join(path, directory, name), 0);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_return_code(fd, errno);
    assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
}

static bool has_file(const char *directory, const char *name)
{
    char path[PATHS_MAX];
    assert_return_code(paths_join(path, directory, name), 0);
    return access(path, F_OK) == 0;
}

void copy_store(const char *from, const char *to)
{
    static const char *const names[] = {"data.mdb", "state", "journal"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!has_file(from, names[i]))
            continue;
        size_t size;
        char *bytes = read_whole_file(from, names[i], &size);
        write_whole_file(to, names[i], bytes, size);
        free(bytes);
    }
}

void pretend_other_boot(const char *directory)
{
    char path[PATHS_MAX];
    struct state_file file;
    assert_return_code(paths_join(path, directory, "state"), 0);
    assert_return_code(state_file_open(&file, path), 0);
    struct state_slot slot = file.slot;
    snprintf(slot.boot_id, sizeof(slot.boot_id), "another boot");
    assert_return_code(state_file_save(&file, &slot), 0);
    state_file_close(&file);
}

void sibling_directory(const struct fixture *fixture, const char *name, char ret_path[PATHS_MAX])
{
    int len = snprintf(ret_path, PATHS_MAX, "%.400s-%s", fixture->directory, name);
    assert_in_range(len, 1, PATHS_MAX - 1);
    assert_return_code(paths_make_dir(ret_path), 0);
}
