/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "control.h"
#include "table.h"

#include "base/paths.h"

#include <errno.h>
#include <stdio.h>

static enum cli_status show(struct span answer, bool json)
{
    if (json) {
        printf("%.*s\n", SPAN_ARG(answer));
        return CLI_DONE;
    }
    json_t *object = json_loadb(answer.data ? answer.data : "", answer.len, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return cli_fail(CLI_FAILED, "status",
            "the broker's answer is not a JSON object; is it of "
            "another version? `ringside doctor` compares them");
    }
    struct buffer table = BUFFER_INIT;
    table_append(&table, object);
    fwrite(table.data, 1, table.len, stdout);
    buffer_deinit(&table);
    json_decref(object);
    return CLI_DONE;
}

static enum cli_status ask(const struct config *config, bool json)
{
    char run_dir[PATHS_MAX];
    struct buffer answer = BUFFER_INIT;
    enum cli_status status;
    if (paths_run_dir(run_dir, config->node_run_dir) < 0)
        return cli_fail(CLI_USAGE, "status", "the run directory's path is too long");
    int rc =
        control_present(run_dir) ? control_query(&answer, run_dir, "status", "") : -EHOSTUNREACH;
    if (rc == 0)
        status = show(buffer_span(&answer), json);
    else if (rc == -EHOSTUNREACH)
        status = cli_unreachable("status", run_dir);
    else if (rc == -EOPNOTSUPP)
        status = cli_fail(
            CLI_FAILED, "status", "the broker refused: %.*s", SPAN_ARG(buffer_span(&answer)));
    else
        status = cli_fail(CLI_FAILED, "status", "%s", strerror(-rc));
    buffer_deinit(&answer);
    return status;
}

enum cli_status verb_status(int argc, char **argv)
{
    const char *json = NULL;
    const struct config_flag flags[] = {
        {"json", NULL, "one JSON object", &json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = "ringside status",
        .summary =
            "Shows the node at a glance: processes, connections, users, runs by state, rings,\n"
            "history, events a second, lag and delivery rate.",
        .sections = sections,
        .flags = flags,
        .examples = "  ringside status\n"
                    "  ringside status --json | jq .runs\n",
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv, NULL);
    if (status != CLI_GO_ON)
        return status;
    status = ask(&config, json != NULL);
    config_deinit(&config);
    return status;
}
