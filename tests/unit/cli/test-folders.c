/* SPDX-License-Identifier: Apache-2.0 */
#include "folders.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[64];
static char why[FOLDERS_WHY_SIZE];

static int make_scratch(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/ringside-folders-XXXXXX");
    why[0] = '\0';
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

static int remove_scratch(void **state)
{
    (void)state;
    return nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct folders inside_scratch(void)
{
    struct folders folders;
    assert_int_equal(paths_join(folders.run_dir, scratch, "run"), 0);
    assert_int_equal(paths_join(folders.data_dir, scratch, "deep/data"), 0);
    return folders;
}

static void test_prepare_makes_private_folders(void **state)
{
    (void)state;
    struct folders folders = inside_scratch();
    struct stat status;
    assert_int_equal(folders_prepare(&folders, why), 0);
    assert_int_equal(stat(folders.run_dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(stat(folders.data_dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(folders_prepare(&folders, why), 0);
}

static void test_folder_that_others_may_write_is_refused(void **state)
{
    (void)state;
    struct folders folders = inside_scratch();
    assert_int_equal(mkdir(folders.run_dir, 0700), 0);
    assert_int_equal(chmod(folders.run_dir, 0777), 0);
    assert_int_equal(folders_prepare(&folders, why), -EPERM);
    assert_non_null(strstr(why, folders.run_dir));
    assert_non_null(strstr(why, "others may write it"));
}

static void test_file_in_the_way_is_named_with_the_flag(void **state)
{
    (void)state;
    struct folders folders = inside_scratch();
    FILE *file = fopen(folders.run_dir, "we");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(folders_prepare(&folders, why), -ENOTDIR);
    assert_non_null(strstr(why, folders.run_dir));
    assert_non_null(strstr(why, "--node-run-dir"));
}

static void test_lock_is_had_by_one_and_names_it(void **state)
{
    (void)state;
    struct folders folders = inside_scratch();
    char pid[32];
    int other = 0;
    assert_int_equal(folders_prepare(&folders, why), 0);
    assert_false(folders_locked(&folders, &other));
    int lock = folders_lock(&folders, why);
    assert_true(lock >= 0);
    assert_true(folders_locked(&folders, &other));
    assert_int_equal(other, getpid());
    assert_int_equal(folders_lock(&folders, why), -EBUSY);
    snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
    assert_non_null(strstr(why, pid));
    close(lock);
    assert_false(folders_locked(&folders, &other));
    lock = folders_lock(&folders, why);
    assert_true(lock >= 0);
    close(lock);
}

static void test_lock_of_a_dead_process_is_free(void **state)
{
    (void)state;
    struct folders folders = inside_scratch();
    assert_int_equal(folders_prepare(&folders, why), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(folders_lock(&folders, why) < 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    int lock = folders_lock(&folders, why);
    assert_true(lock >= 0);
    close(lock);
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

struct found {
    unsigned count;
    char last[PATHS_MAX];
};

static void note(void *context, const char *path)
{
    struct found *found = context;
    found->count++;
    snprintf(found->last, sizeof(found->last), "%s", path);
}

static void test_only_sockets_nobody_listens_on_are_stale(void **state)
{
    (void)state;
    struct found found = {0};
    char living[PATHS_MAX], dead[PATHS_MAX], plain[PATHS_MAX];
    paths_join(living, scratch, "broker.ipc");
    paths_join(dead, scratch, "link-1.ipc");
    paths_join(plain, scratch, "note.ipc");
    int fd = listen_on(living);
    close(listen_on(dead));
    fclose(fopen(plain, "we"));
    assert_int_equal(folders_probe_socket(living), SOCKET_ANSWERED);
    assert_int_equal(folders_probe_socket(dead), SOCKET_STALE);
    assert_int_equal(folders_probe_socket(plain), SOCKET_NONE);
    assert_int_equal(folders_probe_socket("/no/such/socket"), SOCKET_NONE);
    assert_int_equal(folders_each_stale(scratch, note, &found), 1);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.last, dead);
    close(fd);
}

static void test_listener_is_found_without_a_connection_to_it(void **state)
{
    (void)state;
    char path[PATHS_MAX];
    paths_join(path, scratch, "broker.ipc");
    int fd = listen_on(path);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(folders_probe_socket(path), SOCKET_ANSWERED);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        CASE(test_prepare_makes_private_folders),
        CASE(test_folder_that_others_may_write_is_refused),
        CASE(test_file_in_the_way_is_named_with_the_flag),
        CASE(test_lock_is_had_by_one_and_names_it),
        CASE(test_lock_of_a_dead_process_is_free),
        CASE(test_listener_is_found_without_a_connection_to_it),
        CASE(test_only_sockets_nobody_listens_on_are_stale),
    };
    return cmocka_run_group_tests_name("cli-folders", tests, NULL, NULL);
}
