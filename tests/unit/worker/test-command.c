/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as they are run for tools, and the tools of the librarian among them. */
#include "unit.h"

#include "process/command.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A test that comes this far has failed in any case; python3 takes its time on a busy machine. */
#define PATIENCE_MS 100000

static char *tool_path;

struct outcome {
    struct ev_loop *loop;
    enum command_end how;
    bool succeeded;
    struct buffer output; /* NUL-terminated */
};

static void on_ended(void *context, struct command *command)
{
    struct outcome *outcome = context;
    outcome->how = command_how(command);
    outcome->succeeded = process_succeeded(command_process(command));
    buffer_append_span(&outcome->output, command_output(command));
    buffer_append_char(&outcome->output, '\0');
    command_free(command);
    ev_break(outcome->loop, EVBREAK_ALL);
}

static void run(
    struct outcome *ret_outcome, char *const argv[], const char *input, uint64_t timeout_ms)
{
    char folder[4096];
    const char *books = getenv("LIBRARIAN_FOLDER");
    snprintf(folder, sizeof(folder), "LIBRARIAN_FOLDER=%s", books ? books : "");
    char *environment[] = {folder, NULL};
    const struct program program = {
        .path = argv[0], .argv = argv, .environment = environment, .directory = "/"};
    struct command *command;
    *ret_outcome = (struct outcome){.loop = ev_loop_new(EVFLAG_AUTO)};
    const struct command_options options = {.loop = ret_outcome->loop,
        .program = &program,
        .log_name = "test",
        .input = span_of_string(input),
        .timeout_ms = timeout_ms,
        .output_max = 100000};
    assert_int_equal(command_new(&command, &options, on_ended, ret_outcome), 0);
    ev_run(ret_outcome->loop, 0);
    ev_loop_destroy(ret_outcome->loop);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void shell(struct outcome *ret_outcome, char *script, uint64_t timeout_ms)
{
    char path[] = "/bin/sh";
    char flag[] = "-c";
    char *const argv[] = {path, flag, script, NULL};
    run(ret_outcome, argv, "the input", timeout_ms);
}

static void test_input_goes_in_and_output_comes_out(void **state)
{
    struct outcome outcome;
    char script[] = "cat; echo ' and more'; pwd";
    (void)state;
    shell(&outcome, script, PATIENCE_MS);
    assert_int_equal(outcome.how, COMMAND_EXITED);
    assert_true(outcome.succeeded);
    assert_string_equal(outcome.output.data, "the input and more\n/\n");
    buffer_deinit(&outcome.output);
}

static void test_words_reach_the_program_as_they_stand(void **state)
{
    struct outcome outcome;
    char path[] = "/usr/bin/printf";
    char format[] = "%s|";
    char words[] = "$(id) `id`; * > /tmp/x & $HOME \\";
    char *const argv[] = {path, format, words, NULL};
    (void)state;
    run(&outcome, argv, "", PATIENCE_MS);
    assert_true(outcome.succeeded);
    assert_string_equal(outcome.output.data, "$(id) `id`; * > /tmp/x & $HOME \\|");
    buffer_deinit(&outcome.output);
}

static void test_a_child_has_three_descriptors_and_its_own_group(void **state)
{
    struct outcome outcome;
    char script[] = "exec 2>/dev/null; cat >/dev/null; cd /proc/self/fd && echo [0-9]*; "
                    "read -r stat </proc/$$/stat; set -- $stat; test \"$5\" = $$ && echo leader";
    int stray = dup(STDOUT_FILENO); /* what a library forgot to close on exec */
    (void)state;
    shell(&outcome, script, PATIENCE_MS);
    close(stray);
    assert_non_null(strstr(outcome.output.data, "leader"));
    assert_null(strstr(outcome.output.data, "4"));
    buffer_deinit(&outcome.output);
}

static void test_a_command_that_takes_too_long_is_killed_with_all_it_started(void **state)
{
    struct outcome outcome;
    char script[] = "trap '' TERM; sleep 600 & sleep 600";
    uint64_t began = clock_monotonic_ms();
    (void)state;
    shell(&outcome, script, 100);
    assert_int_equal(outcome.how, COMMAND_TIMED_OUT);
    assert_in_range(clock_monotonic_ms() - began, 100, 20000);
    buffer_deinit(&outcome.output);
}

static void test_a_command_that_writes_too_much_is_killed(void **state)
{
    struct outcome outcome;
    char script[] = "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done";
    (void)state;
    shell(&outcome, script, PATIENCE_MS);
    assert_int_equal(outcome.how, COMMAND_TOO_MUCH);
    buffer_deinit(&outcome.output);
}

static void test_output_held_open_by_one_that_left_the_group_is_not_waited_for(void **state)
{
    struct outcome outcome;
    char script[] = "setsid sleep 600 & echo $!";
    (void)state;
    shell(&outcome, script, PATIENCE_MS);
    assert_int_equal(outcome.how, COMMAND_EXITED);
    pid_t holder = (pid_t)strtol(outcome.output.data, NULL, 10);
    assert_true(holder > 1);
    assert_int_equal(kill(holder, SIGKILL), 0); /* it was there all the time */
    buffer_deinit(&outcome.output);
}

static void test_a_program_that_is_not_there_is_an_error_at_once(void **state)
{
    char path[] = "/no/such/program";
    char *const argv[] = {path, NULL};
    char *environment[] = {NULL};
    const struct program program = {path, argv, environment, "/"};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    const struct command_options options = {
        .loop = loop, .program = &program, .log_name = "test", .timeout_ms = 1000};
    struct command *command;
    (void)state;
    assert_int_equal(command_new(&command, &options, on_ended, NULL), -ENOENT);
    ev_loop_destroy(loop);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* ---- the librarian's tools */

static void library(struct outcome *ret_outcome, const char *tool, const char *args)
{
    char python[] = "/usr/bin/python3";
    char name[16];
    snprintf(name, sizeof(name), "%s", tool);
    char *const argv[] = {python, tool_path, name, NULL};
    assert_non_null(tool_path);
    run(ret_outcome, argv, args, PATIENCE_MS);
    assert_int_equal(ret_outcome->how, COMMAND_EXITED);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void remove_books(char *books)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/../outside-%s.md", books, strrchr(books, '-') + 1);
    unlink(path);
    static const char *const names[] = {"whales.md", "ships.txt", "link.md"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", books, names[i]);
        unlink(path);
    }
    rmdir(books);
    unsetenv("LIBRARIAN_FOLDER");
}

static void make_books(char *books)
{
    char target[128];
    char path[256];
    assert_non_null(mkdtemp(books));
    write_file(books, "whales.md", "# Whales\n\nA whale breathes air.\n\nIt sings under water.\n");
    write_file(books, "ships.txt", "A ship carries people and their goods.\n");
    snprintf(target, sizeof(target), "../outside-%s.md", strrchr(books, '-') + 1);
    write_file(books, target, "A secret about whales.\n");
    snprintf(path, sizeof(path), "%s/link.md", books);
    assert_int_equal(symlink(target, path), 0);
    setenv("LIBRARIAN_FOLDER", books, 1);
}

static void test_the_library_finds_the_paragraph_that_answers(void **state)
{
    struct outcome outcome;
    char books[] = "/tmp/books-XXXXXX";
    (void)state;
    make_books(books);
    library(&outcome, "search", "{\"query\":\"Where do whales sing?\"}");
    assert_true(outcome.succeeded);
    const char *sings = strstr(outcome.output.data, "It sings under water.");
    const char *breathes = strstr(outcome.output.data, "A whale breathes air.");
    assert_non_null(sings);
    assert_true(!breathes || sings < breathes);
    assert_null(strstr(outcome.output.data, "ship"));
    assert_null(strstr(outcome.output.data, "secret"));
    buffer_deinit(&outcome.output);
    remove_books(books);
}

static void test_the_library_reads_nothing_outside_of_its_folder(void **state)
{
    static const char *const outside[] = {"{\"file\":\"../../etc/passwd\"}",
        "{\"file\":\"/etc/passwd\"}", "{\"file\":\"link.md\"}", "{\"file\":\"..\"}"};
    char books[] = "/tmp/books-XXXXXX";
    (void)state;
    make_books(books);
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        struct outcome outcome;
        library(&outcome, "read", outside[i]);
        assert_false(outcome.succeeded);
        assert_non_null(strstr(outcome.output.data, "\"permission_denied\""));
        buffer_deinit(&outcome.output);
    }
    remove_books(books);
}

static void test_the_library_says_what_is_wrong_with_its_arguments(void **state)
{
    static const char *const bad[] = {"", "[]", "{", "{\"query\":\"\"}", "{\"query\":7}",
        "{\"query\":\"a\",\"limit\":0}", "{\"query\":\"a\",\"limit\":\"many\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct outcome outcome;
        library(&outcome, "search", bad[i]);
        assert_false(outcome.succeeded);
        assert_non_null(strstr(outcome.output.data, "\"invalid_argument\""));
        buffer_deinit(&outcome.output);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_goes_in_and_output_comes_out),
        cmocka_unit_test(test_words_reach_the_program_as_they_stand),
        cmocka_unit_test(test_a_child_has_three_descriptors_and_its_own_group),
        cmocka_unit_test(test_a_command_that_takes_too_long_is_killed_with_all_it_started),
        cmocka_unit_test(test_a_command_that_writes_too_much_is_killed),
        cmocka_unit_test(test_output_held_open_by_one_that_left_the_group_is_not_waited_for),
        cmocka_unit_test(test_a_program_that_is_not_there_is_an_error_at_once),
        cmocka_unit_test(test_the_library_finds_the_paragraph_that_answers),
        cmocka_unit_test(test_the_library_reads_nothing_outside_of_its_folder),
        cmocka_unit_test(test_the_library_says_what_is_wrong_with_its_arguments),
    };
    signal(SIGPIPE, SIG_IGN); /* as the worker does: a command may leave before it has read */
    tool_path = argc > 1 ? realpath(argv[1], NULL) : NULL;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(tool_path);
    return failed;
}
