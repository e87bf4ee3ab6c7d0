/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/layout.h"

static void path_of(char *to, size_t size, const struct fixture *f, const char *name)
{
    snprintf(to, size, "%s/%s", f->directory, name);
}

/* Overwrites part of the arena file. */
static void scribble(const struct fixture *f, off_t offset, const void *bytes, size_t length)
{
    char path[128];

    path_of(path, sizeof path, f, "arena");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, offset), length);
    close(fd);
}

static int attach_result(const struct fixture *f)
{
    struct arena *arena;
    int r = arena_attach(&arena, f->directory);

    if (r == 0)
        arena_detach(arena);
    return r;
}

static int create_result(struct fixture *f, enum arena_outcome *ret_outcome, const char **reason)
{
    struct arena_options options = {.directory = f->directory,
        .ring_count = FIXTURE_RINGS,
        .ring_bytes = FIXTURE_RING_BYTES,
        .process_count = 16,
        .slot_count = 32,
        .ret_reason = reason};
    struct arena *arena;
    int r = arena_create(&arena, &options);

    if (r == 0) {
        *ret_outcome = arena_outcome(arena);
        arena_detach(arena);
    }
    return r;
}

static void test_arena_files_are_open_to_their_user_only(void **state)
{
    static const char *const names[] = {"arena", "lock", "bell"};
    struct fixture *f = *state;
    struct stat st;
    char path[128];

    assert_int_equal(stat(f->directory, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    for (size_t i = 0; i < 3; i++) {
        path_of(path, sizeof path, f, names[i]);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void test_second_owner_is_told_busy(void **state)
{
    struct fixture *f = *state;
    enum arena_outcome outcome = ARENA_CREATED;

    assert_int_equal(create_result(f, &outcome, NULL), -EBUSY);
    fixture_disown(f);
    assert_int_equal(create_result(f, &outcome, NULL), 0);
    assert_int_equal(outcome, ARENA_RESUMED);
}

static void test_arena_survives_its_owner_and_keeps_its_identity(void **state)
{
    struct fixture *f = *state;
    uint64_t id = arena_id(f->arena);
    struct arena *other;
    struct ring_writer w;
    struct ring_lease lease;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    lease = writer_up(&w, other, "ann");
    emit_value(&w, &lease, 1, 100);
    fixture_disown(f);
    emit_value(&w, &lease, 2, 100); /* nobody owns it now */
    fixture_own(f);
    assert_int_equal(arena_outcome(f->arena), ARENA_RESUMED);
    assert_int_equal(arena_id(f->arena), id);
    emit_value(&w, &lease, 3, 100);
    for (uint64_t v = 1; v <= 3; v++)
        drain_value(f, lease.ring, v);
    release_all(f, lease.ring);
    ring_writer_deinit(&w);
    arena_detach(other);
}

static void test_new_user_can_be_claimed_while_the_owner_is_away(void **state)
{
    struct fixture *f = *state;
    struct arena *other;
    struct ring_writer w;
    struct ring_lease lease;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    fixture_disown(f);
    lease = writer_up(&w, other, "a new user");
    emit_value(&w, &lease, 7, 8);
    ring_writer_deinit(&w);
    arena_detach(other);
    fixture_own(f);
    drain_value(f, lease.ring, 7);
}

static void test_resumed_arena_keeps_its_own_geometry(void **state)
{
    struct fixture *f = *state;
    struct arena_options options = {.directory = f->directory, .ring_count = 128};

    fixture_disown(f);
    assert_int_equal(arena_create(&f->arena, &options), 0);
    assert_int_equal(arena_ring_count(f->arena), FIXTURE_RINGS);
    assert_int_equal(arena_ring_bytes(f->arena), FIXTURE_RING_BYTES);
}

static void test_attach_without_an_arena_says_so(void **state)
{
    struct fixture *f = *state;
    char path[128];

    assert_int_equal(attach_result(f), -ENOENT);
    assert_int_equal(mkdir(f->directory, 0700), 0);
    assert_int_equal(attach_result(f), -ENOENT);
    path_of(path, sizeof path, f, "lock");
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(attach_result(f), -ENOENT);
}

static void test_garbage_is_refused_and_replaced_when_unused(void **state)
{
    struct fixture *f = *state;
    const char garbage[64] = "this is no arena", *reason = NULL;
    enum arena_outcome outcome = ARENA_CREATED;

    scribble(f, 0, garbage, sizeof garbage);
    fixture_disown(f);
    assert_int_equal(attach_result(f), -EUCLEAN);
    assert_int_equal(create_result(f, &outcome, &reason), 0);
    assert_int_equal(outcome, ARENA_REPLACED);
    assert_non_null(reason);
    assert_int_equal(attach_result(f), 0);
}

static void test_garbage_in_use_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    const char garbage[64] = "this is no arena", *reason = NULL;
    enum arena_outcome outcome = ARENA_CREATED;
    struct arena *other;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    scribble(f, 0, garbage, sizeof garbage);
    fixture_disown(f);
    assert_int_equal(create_result(f, &outcome, &reason), -EUCLEAN);
    assert_non_null(reason);
    arena_detach(other);
    assert_int_equal(create_result(f, &outcome, &reason), 0);
    assert_int_equal(outcome, ARENA_REPLACED);
}

static void expect_versions(const char *reason)
{
    char expected[80];

    snprintf(expected, sizeof expected, "has layout version %u, this program has %u",
        LAYOUT_VERSION + 1, LAYOUT_VERSION);
    assert_non_null(strstr(reason, expected));
}

/* Makes the fixture's arena, which nobody uses, one of another version. */
static void become_another_version(struct fixture *f)
{
    const uint32_t version = LAYOUT_VERSION + 1;

    fixture_disown(f);
    scribble(f, offsetof(struct arena_header, version), &version, sizeof version);
}

static void test_another_version_is_a_protocol_error(void **state)
{
    struct fixture *f = *state;
    const uint32_t version = LAYOUT_VERSION + 1;
    const char *reason = NULL;
    enum arena_outcome outcome = ARENA_CREATED;
    struct arena *other;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    scribble(f, offsetof(struct arena_header, version), &version, sizeof version);
    fixture_disown(f);
    assert_int_equal(attach_result(f), -EPROTO);
    assert_int_equal(create_result(f, &outcome, &reason), -EPROTO);
    expect_versions(reason);
    arena_detach(other);
}

static void test_an_arena_of_another_version_that_may_hold_events_is_never_replaced(void **state)
{
    struct fixture *f = *state;
    const char *reason = NULL;
    enum arena_outcome outcome = ARENA_CREATED;
    const uint32_t version = LAYOUT_VERSION;
    uint64_t id = arena_id(f->arena);

    become_another_version(f);
    assert_int_equal(create_result(f, &outcome, &reason), -EPROTO);
    expect_versions(reason);
    assert_non_null(strstr(reason, "start the release that made it once more"));
    scribble(f, offsetof(struct arena_header, version), &version, sizeof version);
    fixture_own(f);
    assert_int_equal(arena_id(f->arena), id);
}

static void test_an_arena_of_another_version_left_at_rest_is_replaced(void **state)
{
    struct fixture *f = *state;
    const char *reason = NULL;
    enum arena_outcome outcome = ARENA_CREATED;

    assert_int_equal(arena_settle(f->arena), 0);
    become_another_version(f);
    assert_int_equal(create_result(f, &outcome, &reason), 0);
    assert_int_equal(outcome, ARENA_REPLACED);
    expect_versions(reason);
}

static void test_an_arena_is_at_rest_only_until_somebody_attaches(void **state)
{
    struct fixture *f = *state;
    const char *reason = NULL;
    enum arena_outcome outcome = ARENA_CREATED;
    struct arena *other;

    assert_int_equal(arena_settle(f->arena), 0);
    assert_int_equal(arena_attach(&other, f->directory), 0);
    assert_int_equal(arena_settle(f->arena), -EBUSY);
    assert_int_equal(arena_settle(other), -EPERM);
    arena_detach(other);
    become_another_version(f);
    assert_int_equal(create_result(f, &outcome, &reason), -EPROTO);
}

static void test_truncated_arena_is_refused(void **state)
{
    struct fixture *f = *state;
    const off_t lengths[] = {0, 8, 4096, 1 << 16};
    char path[128];

    fixture_disown(f);
    path_of(path, sizeof path, f, "arena");
    for (size_t i = sizeof lengths / sizeof *lengths; i-- > 0;) {
        assert_int_equal(truncate(path, lengths[i]), 0);
        assert_int_equal(attach_result(f), -EUCLEAN);
    }
}

static void test_symbolic_links_are_not_followed(void **state)
{
    static const char *const names[] = {"arena", "lock", "bell"};
    struct fixture *f = *state;
    enum arena_outcome outcome = ARENA_CREATED;
    char path[128], target[128];

    fixture_disown(f);
    snprintf(target, sizeof target, "%s/target", f->parent);
    for (size_t i = 0; i < 3; i++) {
        path_of(path, sizeof path, f, names[i]);
        assert_int_equal(rename(path, target), 0);
        assert_int_equal(symlink(target, path), 0);
        assert_int_equal(attach_result(f), -ELOOP);
        assert_int_equal(create_result(f, &outcome, NULL), -ELOOP);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename(target, path), 0);
    }
    assert_int_equal(attach_result(f), 0);
}

static void test_files_open_to_others_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];

    path_of(path, sizeof path, f, "arena");
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(attach_result(f), -EPERM);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(f->directory, 0777), 0);
    assert_int_equal(attach_result(f), -EPERM);
    assert_int_equal(chmod(f->directory, 0700), 0);
    assert_int_equal(attach_result(f), 0);
}

static void test_process_table_full_is_an_answer(void **state)
{
    struct fixture *f = *state;
    struct arena *others[16];

    for (size_t i = 0; i < 15; i++) /* the owner has the sixteenth */
        assert_int_equal(arena_attach(&others[i], f->directory), 0);
    assert_int_equal(attach_result(f), -EUSERS);
    arena_detach(others[7]);
    assert_int_equal(arena_attach(&others[7], f->directory), 0);
    for (size_t i = 0; i < 15; i++)
        arena_detach(others[i]);
}

static void test_unlink_is_for_the_last_one_out(void **state)
{
    struct fixture *f = *state;
    struct arena *other;

    assert_int_equal(arena_attach(&other, f->directory), 0);
    assert_int_equal(arena_unlink(other), -EPERM);
    assert_int_equal(arena_unlink(f->arena), -EBUSY);
    arena_detach(other);
    assert_int_equal(arena_unlink(f->arena), 0);
    assert_int_equal(access(f->directory, F_OK), -1);
    fixture_disown(f);
}

/* What a forked child finds: 0 if every call refuses. */
static int child_findings(struct fixture *f, struct ring_writer *w, struct ring_lease *lease)
{
    struct ring_reader *reader;
    struct ring_writer another;
    uint32_t ring;

    if (!arena_is_forked(f->arena) || try_value(w, lease, 1, 8) != -ECHILD)
        return 1;
    if (ring_writer_init(&another, f->arena) != -ECHILD)
        return 2;
    if (directory_find(&ring, f->arena, "ann", 3) != -ECHILD)
        return 3;
    if (ring_reader_new(&reader, f->arena) != -ECHILD)
        return 4;
    ring_writer_deinit(w);
    arena_detach(f->arena);
    return 0;
}

static void test_forked_child_is_refused_and_parent_goes_on(void **state)
{
    struct fixture *f = *state;
    struct ring_writer w;
    struct ring_lease lease = writer_up(&w, f->arena, "ann");
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child_findings(f, &w, &lease));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    emit_value(&w, &lease, 5, 8);
    drain_value(f, lease.ring, 5);
    ring_writer_deinit(&w);
}

static void test_forked_child_does_not_keep_its_parent_alive(void **state)
{
    struct fixture *f = *state;
    struct arena *other;
    int go[2];
    char byte;

    assert_int_equal(pipe(go), 0);
    assert_int_equal(arena_attach(&other, f->directory), 0);
    uint32_t index = arena_process_index(other);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(go[1]);
        _exit(read(go[0], &byte, 1) == 0 ? 0 : 1); /* lives until the parent is done */
    }
    assert_true(process_is_live(f->arena, index));
    arena_detach(other);
    assert_false(process_is_live(f->arena, index));
    close(go[0]);
    close(go[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)
#define WITHOUT_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up_empty, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_arena_files_are_open_to_their_user_only),
        WITH_ARENA(test_second_owner_is_told_busy),
        WITH_ARENA(test_arena_survives_its_owner_and_keeps_its_identity),
        WITH_ARENA(test_new_user_can_be_claimed_while_the_owner_is_away),
        WITH_ARENA(test_resumed_arena_keeps_its_own_geometry),
        WITHOUT_ARENA(test_attach_without_an_arena_says_so),
        WITH_ARENA(test_garbage_is_refused_and_replaced_when_unused),
        WITH_ARENA(test_garbage_in_use_is_not_replaced),
        WITH_ARENA(test_another_version_is_a_protocol_error),
        WITH_ARENA(test_an_arena_of_another_version_that_may_hold_events_is_never_replaced),
        WITH_ARENA(test_an_arena_of_another_version_left_at_rest_is_replaced),
        WITH_ARENA(test_an_arena_is_at_rest_only_until_somebody_attaches),
        WITH_ARENA(test_truncated_arena_is_refused),
        WITH_ARENA(test_symbolic_links_are_not_followed),
        WITH_ARENA(test_files_open_to_others_are_refused),
        WITH_ARENA(test_process_table_full_is_an_answer),
        WITH_ARENA(test_unlink_is_for_the_last_one_out),
        WITH_ARENA(test_forked_child_is_refused_and_parent_goes_on),
        WITH_ARENA(test_forked_child_does_not_keep_its_parent_alive),
    };

    return cmocka_run_group_tests_name("ring arena", tests, NULL, NULL);
}
