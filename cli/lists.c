/* SPDX-License-Identifier: Apache-2.0 */
/* runs, users, workers, gateways, agents: what the node has, row by row. */
#include "ask.h"

#include "base/cleanup.h"

#include <stdio.h>

#define ROWS_DEFAULT 1000
#define ROWS_MAX 100000000

struct list {
    const char *name; /* of the verb, the query and the array in its answer */
    const char *program;
    const char *summary;
    const char *examples;
    bool filtered; /* by state, user and agent */
    bool checks;   /* --check is another program's */
};

struct list_flags {
    const char *json, *limit, *state, *user, *agent, *check;
};

static bool add_filter(
    const struct list *list, json_t *argument, const char *flag, const char *value)
{
    if (!value)
        return true;
    if (!cli_identifier(list->name, flag, value))
        return false;
    json_object_set_new(argument, flag, json_string(value));
    return true;
}

static enum cli_status show_list(
    const struct list *list, const struct list_flags *flags, const struct config *config)
{
    struct ask ask;
    uint64_t limit = ROWS_DEFAULT;
    json_t *answer = NULL, *argument = json_object();
    if (!add_filter(list, argument, "state", flags->state) ||
        !add_filter(list, argument, "user", flags->user) ||
        !add_filter(list, argument, "agent", flags->agent) ||
        (flags->limit && !cli_number(list->name, "limit", flags->limit, ROWS_MAX, &limit))) {
        json_decref(argument);
        return CLI_USAGE;
    }
    enum cli_status status = ask_init(&ask, list->name, config);
    if (status != CLI_GO_ON) {
        json_decref(argument);
        return status;
    }
    status = ask_pages(&ask, list->name, argument, limit, &answer);
    if (status != CLI_GO_ON)
        return status;
    if (!flags->json && json_object_del(answer, "more") == 0)
        fprintf(stderr, "ringside %s: there are more; --limit 0 shows all\n", list->name);
    return ask_show(&ask, answer, flags->json);
}

static enum cli_status run_list(const struct list *list, int argc, char **argv)
{
    struct list_flags flags = {NULL, NULL, NULL, NULL, NULL, NULL};
    const struct config_flag all[] = {
        {"json", NULL, "one JSON object", &flags.json},
        {"limit", "N", "rows at most; 0: all; default 1000", &flags.limit},
        {list->filtered ? "state" : NULL, "STATE", "only runs in this state", &flags.state},
        {"user", "NAME", "only this user's", &flags.user},
        {"agent", "NAME", "only this agent's", &flags.agent},
        {NULL, NULL, NULL, NULL},
    };
    const struct config_flag checking[] = {
        all[0],
        all[1],
        {"check", NULL, "run those of the configuration instead, and see: --check --help",
            &flags.check},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = list->program,
        .summary = list->summary,
        .sections = sections,
        .flags = list->checks ? checking : all,
        .examples = list->examples,
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status != CLI_GO_ON)
        return status;
    status = show_list(list, &flags, &config);
    config_deinit(&config);
    return status;
}

enum cli_status verb_runs(int argc, char **argv)
{
    static const struct list list = {
        .name = "runs",
        .program = "ringside runs",
        .summary =
            "Lists the runs that have not ended: whose, which agent's, in what state, on which\n"
            "worker and since when. `ringside run-info RUN` shows one, ended or not.",
        .examples = "  ringside runs\n"
                    "  ringside runs --state queued --user alice\n"
                    "  ringside runs --json --limit 0 | jq '.runs[] | select(.age_ms > 60000)'\n",
        .filtered = true,
    };
    return run_list(&list, argc, argv);
}

enum cli_status verb_users(int argc, char **argv)
{
    static const struct list list = {
        .name = "users",
        .program = "ringside users",
        .summary =
            "Lists everybody who has a stream: its newest and oldest event, how many gateways the\n"
            "user is connected to, open and waiting runs.",
        .examples = "  ringside users\n"
                    "  ringside users --json --limit 0 | jq '.users | length'\n",
    };
    return run_list(&list, argc, argv);
}

enum cli_status verb_workers(int argc, char **argv)
{
    static const struct list list = {
        .name = "workers",
        .program = "ringside workers",
        .summary = "Lists the workers that are connected: state, runs, room for more, agents.",
        .examples = "  ringside workers\n"
                    "  ringside workers --json | jq '.workers[].report'\n",
    };
    return run_list(&list, argc, argv);
}

enum cli_status verb_gateways(int argc, char **argv)
{
    static const struct list list = {
        .name = "gateways",
        .program = "ringside gateways",
        .summary =
            "Lists the gateways that are connected, and shells that follow a stream: users, those\n"
            "that are behind, credit for live events, pages of history they wait for.",
        .examples = "  ringside gateways\n"
                    "  ringside gateways --json | jq '.gateways[].report.counters'\n",
    };
    return run_list(&list, argc, argv);
}

/* To check them is a worker's work, in a program of its own that this one becomes. */
static bool wants_check(char *const *arguments)
{
    for (; *arguments; arguments++) {
        if (strcmp(*arguments, "--check") == 0)
            return true;
    }
    return false;
}

enum cli_status verb_agents(int argc, char **argv)
{
    static const struct list list = {
        .name = "agents",
        .program = "ringside agents",
        .summary =
            "Lists the agents: those that connected workers have, with how many have them and\n"
            "their room for runs, and those that are configured and nobody has. With --check,\n"
            "runs those of the configuration, without a node, and says what they get wrong.",
        .examples = "  ringside agents\n"
                    "  ringside agents --check librarian\n",
        .checks = true,
    };
    if (wants_check(argv))
        return cli_become("agents", "ringside-agent-check", "../agent-worker", argv);
    return run_list(&list, argc, argv);
}
