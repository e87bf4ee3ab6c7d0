/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"
#include "cli.h"

#include <stdio.h>

static void check_all(struct checks *checks)
{
    check_programs(checks);
    check_shared_memory(checks);
    check_descriptors(checks);
    check_clock(checks);
    checks_add(checks, CHECK_OK, "configuration", NULL, "%s",
        checks->config->file ? checks->config->file : "no file: defaults, environment and flags");
    check_agents(checks);
    check_folders(checks);
    check_keys(checks);
    check_arena(checks);
    check_sockets(checks);
    check_running_node(checks);
}

static enum cli_status examine(const struct config *config, bool json)
{
    struct checks checks = {.config = config, .json = json};
    char why[FOLDERS_WHY_SIZE];
    if (folders_find(&checks.folders, config, why) < 0)
        return cli_fail(CLI_FAILED, "doctor", "%s", why);
    check_all(&checks);
    if (json)
        printf("{\"ok\":%u,\"warn\":%u,\"fail\":%u,\"checks\":[%.*s]}\n", checks.counts[CHECK_OK],
            checks.counts[CHECK_WARN], checks.counts[CHECK_FAIL],
            SPAN_ARG(buffer_span(&checks.out)));
    else
        printf("%.*s\n%u ok, %u to look at, %u wrong\n", SPAN_ARG(buffer_span(&checks.out)),
            checks.counts[CHECK_OK], checks.counts[CHECK_WARN], checks.counts[CHECK_FAIL]);
    buffer_deinit(&checks.out);
    return checks.counts[CHECK_FAIL] ? CLI_FAILED : CLI_DONE;
}

enum cli_status verb_doctor(int argc, char **argv)
{
    const char *json = NULL;
    const struct config_flag flags[] = {
        {"json", NULL, "one JSON object", &json},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", "gateway", NULL};
    const struct config_program program = {
        .name = "ringside doctor",
        .summary =
            "Checks the installation and, when one runs, the node: a line each, and what to do\n"
            "about what is wrong. Changes nothing.",
        .sections = sections,
        .flags = flags,
        .examples = "  ringside doctor --config examples/ringside.yaml\n"
                    "  ringside doctor --json | jq '.checks[] | select(.level != \"ok\")'\n",
        .exit_statuses =
            "  0  nothing is wrong (there may be warnings)\n"
            "  1  something is\n"
            "  2  the command line, the environment or the configuration file is wrong\n",
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status != CLI_GO_ON)
        return status;
    status = examine(&config, json != NULL);
    config_deinit(&config);
    return status;
}
