/* SPDX-License-Identifier: Apache-2.0 */
#include "token/token.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each test has a folder of its own, removed at its end. */
struct folder {
    char path[64];
    char key[80];
};

static int set_up(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    snprintf(folder->path, sizeof(folder->path), "/tmp/ringside-key-XXXXXX");
    if (!folder || !mkdtemp(folder->path))
        return -1;
    snprintf(folder->key, sizeof(folder->key), "%s/token.key", folder->path);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;
    unlink(folder->key);
    int rc = rmdir(folder->path); /* fails when a draft was left behind */
    free(folder);
    return rc;
}

static void write_key(const struct folder *folder, const char *text, mode_t mode)
{
    FILE *file = fopen(folder->key, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(folder->key, mode), 0);
}

static void test_key_is_made_once_private_and_read_again(void **state)
{
    struct folder *folder = *state;
    struct token_secret made;
    struct token_secret read_again;
    struct stat info;
    assert_int_equal(token_key_load(&made, folder->key), -ENOENT);
    assert_int_equal(token_key_load_or_create(&made, folder->key), 0);
    assert_int_equal(stat(folder->key, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(made.len, 32);
    assert_int_equal(token_key_load_or_create(&read_again, folder->key), 0);
    assert_int_equal(read_again.len, made.len);
    assert_memory_equal(read_again.bytes, made.bytes, made.len);
}

static void make_key_and_report(const struct folder *folder, int fd)
{
    struct token_secret secret;
    if (token_key_load_or_create(&secret, folder->key))
        _exit(1);
    _exit(write(fd, secret.bytes, 32) == 32 ? 0 : 1);
}

static void test_key_is_one_when_many_processes_make_it_at_once(void **state)
{
    struct folder *folder = *state;
    int ends[2];
    unsigned char first[32];
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < 8; i++) {
        pid_t child = fork();
        if (child == 0)
            make_key_and_report(folder, ends[1]);
        assert_true(child > 0);
    }
    for (int i = 0; i < 8; i++) {
        unsigned char secret[32];
        assert_int_equal(read(ends[0], secret, 32), 32);
        if (i == 0)
            memcpy(first, secret, 32);
        assert_memory_equal(secret, first, 32);
    }
    for (int i = 0; i < 8; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    close(ends[0]);
    close(ends[1]);
}

static void test_key_may_be_base64url_of_any_age(void **state)
{
    struct folder *folder = *state;
    struct token_secret secret;
    write_key(folder, "  AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\r\n", 0400);
    assert_int_equal(token_key_load(&secret, folder->key), 0);
    assert_int_equal(secret.len, 32);
    for (int i = 0; i < 32; i++)
        assert_int_equal(secret.bytes[i], i);
    write_key(folder, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", 0600);
    assert_int_equal(token_key_load(&secret, folder->key), 0);
    assert_int_equal(secret.len, 32);
}

static void test_key_that_is_short_or_open_to_others_is_refused(void **state)
{
    struct folder *folder = *state;
    struct token_secret secret;
    const char *whole = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    const char *const bad[] = {"", "\n", "00ff", "not base 64 at all, nor hexadecimal digits!!!"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_key(folder, bad[i], 0600);
        assert_int_equal(token_key_load_or_create(&secret, folder->key), -EINVAL);
    }
    const mode_t open_modes[] = {0604, 0602, 0620, 0644};
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        write_key(folder, whole, open_modes[i]);
        assert_int_equal(token_key_load(&secret, folder->key), -EPERM);
    }
    write_key(folder, whole, 0600);
    assert_int_equal(token_key_load(&secret, folder->key), 0);
}

static void test_key_cannot_be_made_where_there_is_no_folder(void **state)
{
    struct folder *folder = *state;
    struct token_secret secret;
    char path[128];
    snprintf(path, sizeof(path), "%s/nowhere/token.key", folder->path);
    assert_int_equal(token_key_load_or_create(&secret, path), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_key_is_made_once_private_and_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_key_is_one_when_many_processes_make_it_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_may_be_base64url_of_any_age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_key_that_is_short_or_open_to_others_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_key_cannot_be_made_where_there_is_no_folder, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
