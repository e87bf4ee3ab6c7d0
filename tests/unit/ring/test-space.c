/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system without room. Each case runs in a child with a small tmpfs of its own over the
 * fixture's directory, and is skipped where the kernel does not allow such a mount.
 */
#include "ring-test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_ALLOWED 77

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -1;
    n = write(fd, text, strlen(text));
    close(fd);
    return n < 0 ? -1 : 0;
}

static int own_namespace(void)
{
    char map[32];

    snprintf(map, sizeof map, "0 %u 1", (unsigned)geteuid());
    if (unshare(CLONE_NEWNS) == 0)
        return 0;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? write_file("/proc/self/uid_map", map) : -1;
}

static int small_tmpfs(const struct fixture *f, const char *size)
{
    char options[64];

    snprintf(options, sizeof options, "mode=0700,size=%s", size);
    if (own_namespace() < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", f->parent, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return NOT_ALLOWED;
    return 0;
}

static void in_child(struct fixture *f, int (*fn)(struct fixture *f))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED)
        skip();
    assert_int_equal(status, 0);
}

static const struct arena_options small = {
    .ring_count = FIXTURE_RINGS,
    .ring_bytes = FIXTURE_RING_BYTES,
    .process_count = 16,
    .slot_count = 32,
};

static int create_without_room(struct fixture *f)
{
    struct arena_options options = small;
    struct arena *arena;
    char path[128];

    if (small_tmpfs(f, "32k") != 0)
        return NOT_ALLOWED;
    options.directory = f->directory;
    if (arena_create(&arena, &options) != -ENOSPC)
        return 1;
    snprintf(path, sizeof path, "%s/arena.new", f->directory);
    return access(path, F_OK) == 0 ? 2 : 0; /* nothing half made stays */
}

static void test_arena_without_room_is_not_made(void **state)
{
    in_child(*state, create_without_room);
}

/* Users until there is no room; those there are can still fill their rings, which touches all of
 * their memory. */
static int claim_without_room(struct fixture *f)
{
    struct arena_options options = small;
    struct ring_writer w;
    struct ring_lease lease;
    struct arena *arena;
    char user[16];
    uint32_t users = 0;
    int r;

    if (small_tmpfs(f, "256k") != 0)
        return NOT_ALLOWED;
    options.directory = f->directory;
    if (arena_create(&arena, &options) < 0 || ring_writer_init(&w, arena) < 0)
        return 1;
    do {
        int n = snprintf(user, sizeof user, "user-%u", users++);

        r = ring_lease_for_user(&lease, &w, user, (size_t)n);
        while (r == 0 && try_value(&w, &lease, 1, arena_payload_max(arena)) == 0)
            ;
    } while (r == 0 && users < FIXTURE_RINGS);
    if (r != -ENOSPC || users < 3)
        return 2;
    r = ring_lease_for_user(&lease, &w, "user-0", 6);
    return r == 0 && try_value(&w, &lease, 1, 8) == -EAGAIN ? 0 : 3;
}

static void test_user_without_room_is_told_and_the_others_go_on(void **state)
{
    in_child(*state, claim_without_room);
}

#define WITHOUT_ARENA(test) cmocka_unit_test_setup_teardown(test, fixture_up_empty, fixture_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITHOUT_ARENA(test_arena_without_room_is_not_made),
        WITHOUT_ARENA(test_user_without_room_is_told_and_the_others_go_on),
    };

    return cmocka_run_group_tests_name("ring space", tests, NULL, NULL);
}
