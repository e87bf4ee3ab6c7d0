/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "control.h"

#include "base/paths.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The broker copies; this asks how far it is until there is an end. */
#define LOOK_EVERY_NS (200 * 1000 * 1000L)

struct looking {
    char run_dir[PATHS_MAX];
    char path[PATHS_MAX];
    bool json;
    bool shows; /* progress on standard error */
};

static const char *member(const json_t *answer, const char *name)
{
    const char *text = json_string_value(json_object_get(answer, name));
    return text ? text : "";
}

static double mebibytes(const json_t *answer, const char *name)
{
    return (double)json_integer_value(json_object_get(answer, name)) / (1 << 20);
}

/* The broker works in a directory of its own. */
static int make_absolute(char ret_path[PATHS_MAX], const char *path)
{
    char here[PATHS_MAX];
    if (path[0] != '/' && !getcwd(here, sizeof(here)))
        return -errno;
    int rc = paths_join(ret_path, path[0] == '/' ? "" : here, path + (path[0] == '/'));
    size_t len = rc ? 0 : strlen(ret_path);
    while (len > 1 && ret_path[len - 1] == '/')
        ret_path[--len] = '\0';
    return rc;
}

static void show_progress(const struct looking *looking, const json_t *answer)
{
    if (looking->shows)
        fprintf(stderr, "\r%.1f MiB copied, of %.1f at most ", mebibytes(answer, "bytes"),
            mebibytes(answer, "of_at_most"));
}

static enum cli_status show_end(const struct looking *looking, const json_t *answer)
{
    bool done = strcmp(member(answer, "state"), "done") == 0;
    if (looking->shows)
        fputc('\n', stderr);
    if (looking->json) {
        char *text = json_dumps(answer, JSON_COMPACT);
        puts(text ? text : "{}");
        free(text);
    } else if (done) {
        printf("%.1f MiB in %s\n", mebibytes(answer, "bytes"), looking->path);
    }
    return done ? CLI_DONE : cli_fail(CLI_FAILED, "backup", "%s", member(answer, "reason"));
}

/* The broker's answer; NULL, and *ret_status, when there is none. */
static json_t *ask(const struct looking *looking, const char *path, enum cli_status *ret_status)
{
    struct buffer answer = BUFFER_INIT;
    int rc = control_present(looking->run_dir)
                 ? control_query(&answer, looking->run_dir, "backup", path)
                 : -EHOSTUNREACH;
    json_t *object = rc == 0 ? json_loadb(answer.data, answer.len, 0, NULL) : NULL;
    if (rc == -EHOSTUNREACH)
        *ret_status = cli_unreachable("backup", looking->run_dir);
    else if (rc)
        *ret_status = cli_fail(CLI_FAILED, "backup", "%s", strerror(-rc));
    else if (!object)
        *ret_status = cli_fail(CLI_FAILED, "backup", "the broker's answer is not JSON");
    buffer_deinit(&answer);
    return object;
}

static enum cli_status look_until_end(const struct looking *looking)
{
    static const struct timespec pause = {.tv_nsec = LOOK_EVERY_NS};
    enum cli_status status = CLI_FAILED;
    json_t *answer = ask(looking, looking->path, &status);
    while (answer && strcmp(member(answer, "state"), "running") == 0) {
        show_progress(looking, answer);
        json_decref(answer);
        nanosleep(&pause, NULL);
        answer = ask(looking, "", &status);
    }
    if (answer)
        status = show_end(looking, answer);
    json_decref(answer);
    return status;
}

static enum cli_status back_up(const struct config *config, const char *path, bool json)
{
    struct looking looking = {.json = json, .shows = !json && isatty(STDERR_FILENO)};
    if (!path)
        return cli_fail(CLI_USAGE, "backup", "into which directory?");
    if (make_absolute(looking.path, path) < 0 ||
        paths_run_dir(looking.run_dir, config->node_run_dir) < 0)
        return cli_fail(CLI_USAGE, "backup", "a path is too long");
    return look_until_end(&looking);
}

enum cli_status verb_backup(int argc, char **argv)
{
    const char *json = NULL;
    const struct config_flag flags[] = {
        {"json", NULL, "one JSON object at the end, and no progress", &json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside backup",
        .summary =
            "Copies the history while the node serves, as it is at one moment, into a directory\n"
            "that does not exist yet. To restore: stop the node, put the copy in the place of\n"
            "`history` in its data directory, start it. Clients then begin a new epoch.",
        .sections = sections,
        .flags = flags,
        .operands = "DIR",
        .examples = "  ringside backup /var/backups/ringside-monday\n",
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        status = config.operands[0] && config.operands[1]
                     ? cli_fail(CLI_USAGE, "backup", "one directory, no more")
                     : back_up(&config, config.operands[0], json != NULL);
        config_deinit(&config);
    }
    return status;
}
