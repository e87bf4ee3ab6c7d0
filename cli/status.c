/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

static enum cli_status show_status(const struct config *config, bool json)
{
    struct ask ask;
    json_t *answer;
    enum cli_status status = ask_init(&ask, "status", config);
    if (status == CLI_GO_ON)
        status = ask_broker(&ask, "status", NULL, &answer);
    return status == CLI_GO_ON ? ask_show(&ask, answer, json) : status;
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
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status != CLI_GO_ON)
        return status;
    status = show_status(&config, json != NULL);
    config_deinit(&config);
    return status;
}
