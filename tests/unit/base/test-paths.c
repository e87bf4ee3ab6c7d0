/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];

static int make_scratch(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/ringside-paths-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
    (void)state;
    char path[PATHS_MAX];
    snprintf(path, sizeof(path), "%s/a/b", scratch);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/a", scratch);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/file", scratch);
    unlink(path);
    return rmdir(scratch);
}

static void test_paths_configured_beats_the_environment(void **state)
{
    (void)state;
    char path[PATHS_MAX];
    setenv("RINGSIDE_RUN_DIR", "/from/environment", 1);
    setenv("RINGSIDE_DATA_DIR", "/data/environment", 1);
    assert_int_equal(paths_run_dir(path, "/configured"), 0);
    assert_string_equal(path, "/configured");
    assert_int_equal(paths_run_dir(path, ""), 0);
    assert_string_equal(path, "/from/environment");
    assert_int_equal(paths_data_dir(path, NULL), 0);
    assert_string_equal(path, "/data/environment");
    unsetenv("RINGSIDE_RUN_DIR");
    unsetenv("RINGSIDE_DATA_DIR");
}

static void test_paths_too_long_are_refused(void **state)
{
    (void)state;
    char path[PATHS_MAX] = "untouched";
    char longest[PATHS_MAX + 1];
    memset(longest, 'x', PATHS_MAX);
    longest[PATHS_MAX] = '\0';
    assert_int_equal(paths_run_dir(path, longest), -ENAMETOOLONG);
    assert_int_equal(paths_arena_dir(path, longest), -ENAMETOOLONG);
    assert_int_equal(paths_join(path, "/run", longest), -ENAMETOOLONG);
    longest[PATHS_MAX - 1] = '\0';
    assert_int_equal(paths_run_dir(path, longest), 0);
}

static void test_paths_arena_lies_in_shared_memory(void **state)
{
    (void)state;
    char path[PATHS_MAX];
    assert_int_equal(paths_arena_dir(path, "one"), 0);
    assert_string_equal(path, "/dev/shm/ringside-one");
    assert_int_equal(paths_join(path, "/run/x", "broker.ipc"), 0);
    assert_string_equal(path, "/run/x/broker.ipc");
}

static void test_paths_make_dir_makes_parents_private_and_again_does_nothing(void **state)
{
    (void)state;
    char path[PATHS_MAX];
    struct stat status;
    assert_int_equal(paths_join(path, scratch, "a/b"), 0);
    assert_int_equal(paths_make_dir(path), 0);
    assert_int_equal(paths_make_dir(path), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void test_paths_make_dir_refuses_a_file_in_the_way(void **state)
{
    (void)state;
    char path[PATHS_MAX];
    assert_int_equal(paths_join(path, scratch, "file"), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(paths_make_dir(path), -ENOTDIR);
    assert_int_equal(paths_join(path, scratch, "file/below"), 0);
    assert_int_equal(paths_make_dir(path), -ENOTDIR);
}

static void test_paths_make_dir_refuses_a_directory_of_somebody_else(void **state)
{
    (void)state;
    char path[PATHS_MAX];
    if (geteuid() == 0) {
        assert_int_equal(paths_join(path, scratch, "a/b"), 0);
        assert_int_equal(paths_make_dir(path), 0);
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_int_equal(paths_make_dir(path), -EPERM);
    } else {
        assert_int_equal(paths_make_dir("/"), -EPERM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_configured_beats_the_environment),
        cmocka_unit_test(test_paths_too_long_are_refused),
        cmocka_unit_test(test_paths_arena_lies_in_shared_memory),
        cmocka_unit_test_setup_teardown(
            test_paths_make_dir_makes_parents_private_and_again_does_nothing, make_scratch,
            remove_scratch),
        cmocka_unit_test_setup_teardown(
            test_paths_make_dir_refuses_a_file_in_the_way, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(
            test_paths_make_dir_refuses_a_directory_of_somebody_else, make_scratch, remove_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
