/* SPDX-License-Identifier: Apache-2.0 */
/* What a person types and gets back: the status and the line on stderr. */
#include "cli.h"

#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];
static char said[16384];    /* on stderr */
static char printed[16384]; /* on stdout */

static int make_scratch(void **state)
{
    (void)state;
    char path[96];
    strcpy(scratch, "/tmp/ringside-verbs-XXXXXX");
    if (!mkdtemp(scratch))
        return -1;
    unsetenv("RINGSIDE_CONFIG");
    snprintf(path, sizeof(path), "%s/run", scratch);
    setenv("RINGSIDE_RUN_DIR", path, 1);
    snprintf(path, sizeof(path), "%s/data", scratch);
    return setenv("RINGSIDE_DATA_DIR", path, 1);
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

struct capture {
    int target;
    int saved;
    int file;
};

static struct capture capture_begin(int target)
{
    struct capture capture = {.target = target, .saved = dup(target)};
    capture.file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(capture.saved >= 0 && capture.file >= 0);
    dup2(capture.file, target);
    return capture;
}

static void capture_end(const struct capture *capture, char *ret_text, size_t size)
{
    dup2(capture->saved, capture->target);
    ssize_t len = pread(capture->file, ret_text, size - 1, 0);
    ret_text[len > 0 ? len : 0] = '\0';
    close(capture->saved);
    close(capture->file);
}

/* `words` ends with NULL. */
static enum cli_status type(const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t) "ringside"};
    int argc = 1;
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    fflush(stdout);
    struct capture out = capture_begin(STDOUT_FILENO), err = capture_begin(STDERR_FILENO);
    enum cli_status status = cli_run(argc, argv);
    fflush(stdout);
    fflush(stderr);
    capture_end(&err, said, sizeof(said));
    capture_end(&out, printed, sizeof(printed));
    return status;
}

#define TYPE(...) type((const char *[]){__VA_ARGS__, NULL})

static void assert_usage(enum cli_status status, const char *line)
{
    assert_int_equal(status, CLI_USAGE);
    if (!strstr(said, line))
        fail_msg("expected \"%s\" in: %s", line, said);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
    assert_string_equal(printed, "");
}

static void test_help_teaches_every_verb(void **state)
{
    (void)state;
    static const char *const verbs[] = {"up", "token", "run", "tail", "status", "runs", "run-info",
        "users", "user", "workers", "gateways", "agents", "history", "cancel", "kick", "pause",
        "resume", "drain", "verify", "doctor"};
    assert_int_equal(TYPE("--help"), CLI_DONE);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        assert_non_null(strstr(printed, verbs[i]));
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        assert_int_equal(TYPE(verbs[i], "--help"), CLI_DONE);
        assert_non_null(strstr(printed, "Examples:\n"));
        assert_non_null(strstr(printed, "Exit status:\n"));
        assert_string_equal(said, "");
    }
    assert_int_equal(TYPE("help", "run"), CLI_DONE);
    assert_non_null(strstr(printed, "Usage: ringside run [FLAG…] TEXT\n"));
}

static void test_version_is_one_line(void **state)
{
    (void)state;
    assert_int_equal(TYPE("--version"), CLI_DONE);
    assert_string_equal(printed, "ringside " RINGSIDE_VERSION "\n");
}

static void test_wrong_verb_gets_the_nearest(void **state)
{
    (void)state;
    assert_usage(TYPE("statsu"), "there is no verb \"statsu\"; did you mean \"status\"?");
    assert_usage(TYPE("juggling"), "there is no verb \"juggling\"; ringside --help lists them");
    assert_usage(type((const char *[]){NULL}), "which verb?");
}

static void test_wrong_arguments_are_usage_errors_of_one_line(void **state)
{
    (void)state;
    assert_usage(TYPE("token"), "ringside token: needs --user NAME");
    assert_usage(TYPE("token", "--user", "a b"), "ringside token: --user: needs 1 to 127");
    assert_usage(TYPE("token", "--user", "a", "--ttl", "5"), "--ttl: \"5\" is not a duration");
    assert_usage(TYPE("token", "--usr", "a"), "--usr: unknown option; did you mean --user?");
    assert_usage(TYPE("token", "a"), "ringside token: a: takes no such argument");
    assert_usage(TYPE("run"), "ringside run: needs the text to send");
    assert_usage(TYPE("run", "--thread", "a b", "x"), "ringside run: --thread: needs 1 to 127");
    assert_usage(TYPE("run", "--agent", "", "x"), "ringside run: --agent: needs 1 to 127");
    assert_usage(TYPE("run", "\xff"), "ringside run: the text is not valid UTF-8");
    assert_usage(TYPE("tail", "--cursor", "7"), "--cursor: \"7\" is neither \"start\" nor");
    assert_usage(TYPE("tail", "--cursor", "e.x"), "--cursor: \"e.x\" is neither");
    assert_usage(TYPE("up", "--workers", "-1"), "--workers: \"-1\" is not a whole number");
    assert_usage(TYPE("up", "--workers", "257"), "--workers: \"257\" is not a whole number");
    assert_usage(TYPE("up", "--port", "65536"), "--port: \"65536\" is not a whole number");
    assert_usage(TYPE("runs", "x"), "ringside runs: x: takes no such argument");
    assert_usage(TYPE("runs", "--limit", "x"), "--limit: \"x\" is not a whole number");
    assert_usage(TYPE("runs", "--user", "a b"), "ringside runs: --user: needs 1 to 127");
    assert_usage(TYPE("users", "--state", "queued"), "--state: unknown option");
    assert_usage(TYPE("run-info"), "ringside run-info: takes one RUN");
    assert_usage(TYPE("user", "a", "b"), "ringside user: takes one USER");
    assert_usage(TYPE("history"), "ringside history: takes one USER");
    assert_usage(TYPE("history", "a", "--from", "x"), "--from: \"x\" is not a whole number");
    assert_usage(TYPE("history", "a", "--from", "5", "--to", "4"), "--to is below --from");
    assert_usage(TYPE("cancel"), "ringside cancel: takes one RUN");
    assert_usage(TYPE("kick", "a b"), "ringside kick: --user: needs 1 to 127");
    assert_usage(TYPE("pause", "x"), "ringside pause: x: takes no such argument");
    assert_usage(TYPE("drain"), "ringside drain: takes one PART");
    assert_usage(TYPE("verify"), "ringside verify: takes one FILE, or - for standard input");
    assert_usage(TYPE("verify", "a", "b"), "ringside verify: takes one FILE");
    assert_usage(TYPE("verify", "/no/such"), "ringside verify: /no/such: No such file");
    assert_usage(TYPE("verify", "/"), "ringside verify: /: Is a directory");
    assert_usage(TYPE("verify", "--limit", "x", "-"), "--limit: \"x\" is not a whole number");
    assert_usage(TYPE("status", "--config", "/no/such"), "/no/such: cannot be read");
}

static void test_node_that_is_not_there_is_status_3(void **state)
{
    (void)state;
    assert_int_equal(TYPE("status"), CLI_UNREACHABLE);
    assert_non_null(strstr(said, "ringside status: no node answers in "));
    assert_int_equal(TYPE("run", "x"), CLI_UNREACHABLE);
    assert_int_equal(TYPE("tail"), CLI_UNREACHABLE);
    static const char *const lists[] = {
        "runs", "users", "workers", "gateways", "agents", "pause", "resume"};
    static const char *const with_name[] = {
        "run-info", "user", "history", "cancel", "kick", "drain"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        assert_int_equal(TYPE(lists[i]), CLI_UNREACHABLE);
    for (size_t i = 0; i < sizeof(with_name) / sizeof(with_name[0]); i++)
        assert_int_equal(TYPE(with_name[i], "x"), CLI_UNREACHABLE);
    assert_string_equal(printed, "");
}

static void test_token_is_one_line_and_its_key_private(void **state)
{
    (void)state;
    char path[128];
    struct stat status;
    assert_int_equal(TYPE("token", "--user", "demo"), CLI_DONE);
    assert_string_equal(said, "");
    char *newline = strchr(printed, '\n');
    assert_non_null(newline);
    assert_string_equal(newline, "\n");
    *newline = '\0';
    assert_int_equal(strspn(printed, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_."),
        strlen(printed));
    snprintf(path, sizeof(path), "%s/data/token.key", scratch);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_token_with_a_key_that_others_read_is_refused(void **state)
{
    (void)state;
    char path[128];
    assert_int_equal(TYPE("token", "--user", "demo"), CLI_DONE);
    snprintf(path, sizeof(path), "%s/data/token.key", scratch);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(TYPE("token", "--user", "demo"), CLI_FAILED);
    assert_non_null(strstr(said, "chmod 600"));
    assert_string_equal(printed, "");
}

static void test_up_without_its_programs_says_which(void **state)
{
    (void)state;
    assert_int_equal(TYPE("up", "--port", "0"), CLI_FAILED);
    assert_non_null(strstr(said, "ringside up: there is no program "));
    assert_non_null(strstr(said, "/ringside-broker; install it beside this one\n"));
}

static void test_doctor_fails_when_something_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(TYPE("doctor", "--json"), CLI_FAILED);
    assert_non_null(strstr(printed, "{\"check\":\"programs\",\"level\":\"fail\""));
    assert_int_equal(TYPE("doctor"), CLI_FAILED);
    assert_non_null(strstr(printed, "fail  programs       ringside-broker: not found\n"));
}

static void write_record(char ret_path[128], const char *text)
{
    snprintf(ret_path, 128, "%s/record.jsonl", scratch);
    FILE *file = fopen(ret_path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#define STARTED                                                                                    \
    "{\"type\":\"agent_started\",\"seq\":1,\"prev\":0,\"timestamp\":1,\"run_id\":\"r-1\","         \
    "\"data\":{}}\n"

static void test_verify_of_a_sound_record_is_status_0_and_lists_open_runs(void **state)
{
    (void)state;
    char path[128];
    write_record(path, STARTED);
    assert_int_equal(TYPE("verify", path), CLI_DONE);
    assert_non_null(strstr(printed, "verdict          sound\n"));
    assert_non_null(strstr(printed, "open runs        r-1\n"));
    assert_int_equal(TYPE("verify", "--complete", path), CLI_FAILED);
    assert_non_null(strstr(printed, "not_ended"));
    assert_string_equal(said, "");
}

static void test_verify_of_a_broken_record_is_status_1_with_its_line(void **state)
{
    (void)state;
    char path[128];
    write_record(path, STARTED STARTED);
    assert_int_equal(TYPE("verify", "--json", path), CLI_FAILED);
    assert_non_null(strstr(printed, "\"verdict\":\"broken\""));
    assert_non_null(strstr(printed, "\"violations\":[{\"line\":2,\"rule\":\"not_increasing\","));
    assert_int_equal(TYPE("verify", path), CLI_FAILED);
    assert_non_null(strstr(printed, "2     not_increasing  seq 1 after 1"));
    assert_int_equal(TYPE("verify", "--limit", "0", path), CLI_FAILED);
    assert_non_null(strstr(printed, "violation count  1\n"));
    assert_null(strstr(printed, "not_increasing"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        CASE(test_help_teaches_every_verb),
        CASE(test_version_is_one_line),
        CASE(test_wrong_verb_gets_the_nearest),
        CASE(test_wrong_arguments_are_usage_errors_of_one_line),
        CASE(test_node_that_is_not_there_is_status_3),
        CASE(test_token_is_one_line_and_its_key_private),
        CASE(test_token_with_a_key_that_others_read_is_refused),
        CASE(test_up_without_its_programs_says_which),
        CASE(test_verify_of_a_sound_record_is_status_0_and_lists_open_runs),
        CASE(test_verify_of_a_broken_record_is_status_1_with_its_line),
        CASE(test_doctor_fails_when_something_is_wrong),
    };
    return cmocka_run_group_tests_name("cli-verbs", tests, NULL, NULL);
}
