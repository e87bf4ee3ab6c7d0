/* SPDX-License-Identifier: Apache-2.0 */
/* kick, pause, resume, drain: what an administrator does to a node. */
#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_MS 100

struct action {
    const char *name;             /* of the verb and the query */
    const char *member, *operand; /* NULL: none is taken */
    const char *program, *summary, *examples;
    bool waits; /* for the part to leave */
};

struct action_flags {
    const char *json, *restart, *no_wait;
};

/* ---- a part that leaves */

/* Whether the process is still among those of the node; CLI_GO_ON, or why that cannot be told. */
static enum cli_status look(const struct ask *ask, const char *list, json_int_t pid, bool *ret_here)
{
    json_t *answer;
    enum cli_status status = ask_pages(ask, list, json_object(), 0, &answer);
    if (status != CLI_GO_ON)
        return status;
    const json_t *rows = json_object_get(answer, list);
    for (size_t i = 0; i < json_array_size(rows); i++)
        *ret_here |= json_integer_value(json_object_get(json_array_get(rows, i), "pid")) == pid;
    json_decref(answer);
    return CLI_GO_ON;
}

/* The broker is not asked: it may be gone, or another one may answer. */
static bool broker_here(json_int_t pid)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%lld", (long long)pid);
    return access(path, F_OK) == 0;
}

static enum cli_status wait_until_gone(const struct ask *ask, const json_t *answer)
{
    const char *part = json_string_value(json_object_get(answer, "part"));
    json_int_t pid = json_integer_value(json_object_get(answer, "pid"));
    bool here = true;
    while (here) {
        poll(NULL, 0, LOOK_MS);
        here = false;
        if (part && strcmp(part, "broker") == 0) {
            here = broker_here(pid);
            continue;
        }
        enum cli_status status = look(ask, "workers", pid, &here);
        if (status == CLI_GO_ON)
            status = look(ask, "gateways", pid, &here);
        if (status != CLI_GO_ON)
            return status;
    }
    return CLI_GO_ON;
}

/* ---- the verbs */

static enum cli_status act(const struct action *action, const struct action_flags *flags,
    const struct config *config, const char *const *operands)
{
    struct ask ask;
    if (action->operand && (!operands[0] || operands[1]))
        return cli_fail(CLI_USAGE, action->name, "takes one %s", action->operand);
    if (action->operand && !cli_identifier(action->name, action->member, operands[0]))
        return CLI_USAGE;
    json_t *answer = NULL, *argument = json_object();
    if (action->operand)
        json_object_set_new(argument, action->member, json_string(operands[0]));
    json_object_set_new(argument, "restart", json_boolean(flags->restart));
    enum cli_status status = ask_init(&ask, action->name, config);
    if (status != CLI_GO_ON) {
        json_decref(argument);
        return status;
    }
    status = ask_broker(&ask, action->name, argument, &answer);
    if (status == CLI_GO_ON && action->waits && !flags->no_wait)
        status = wait_until_gone(&ask, answer);
    if (status == CLI_GO_ON)
        return ask_show(&ask, answer, flags->json);
    json_decref(answer);
    return status;
}

static enum cli_status run_action(const struct action *action, int argc, char **argv)
{
    struct action_flags flags = {NULL, NULL, NULL};
    const struct config_flag list[] = {
        {"json", NULL, "one JSON object", &flags.json},
        {action->waits ? "restart" : NULL, NULL,
            "`ringside up` starts another one in its place; without, the place stays empty",
            &flags.restart},
        {"no-wait", NULL, "leave at once; without, when the part has left", &flags.no_wait},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", NULL};
    const struct config_program program = {
        .name = action->program,
        .summary = action->summary,
        .sections = sections,
        .flags = list,
        .operands = action->operand,
        .examples = action->examples,
        .exit_statuses = CLI_EXIT_STATUSES,
    };
    struct config config;
    enum cli_status status = cli_load(&config, &program, argc, argv);
    if (status == CLI_GO_ON) {
        status = act(action, &flags, &config, config.operands);
        config_deinit(&config);
    }
    return status;
}

enum cli_status verb_kick(int argc, char **argv)
{
    static const struct action action = {
        .name = "kick",
        .member = "user",
        .operand = "USER",
        .program = "ringside kick",
        .summary =
            "Ends the user's connections on every gateway, with close code 4403. The user is not\n"
            "banned: who has a good token may connect again. Runs go on.",
        .examples = "  ringside kick alice\n",
    };
    return run_action(&action, argc, argv);
}

enum cli_status verb_pause(int argc, char **argv)
{
    static const struct action action = {
        .name = "pause",
        .program = "ringside pause",
        .summary =
            "Gives no more runs to workers. Requests are accepted and wait; runs that have begun\n"
            "go on. Until `ringside resume`, or until the broker is started anew.",
        .examples = "  ringside pause && ringside runs --state queued\n",
    };
    return run_action(&action, argc, argv);
}

enum cli_status verb_resume(int argc, char **argv)
{
    static const struct action action = {
        .name = "resume",
        .program = "ringside resume",
        .summary = "Gives runs to workers again, after `ringside pause`.",
        .examples = "  ringside resume\n",
    };
    return run_action(&action, argc, argv);
}

enum cli_status verb_drain(int argc, char **argv)
{
    static const struct action action = {
        .name = "drain",
        .member = "part",
        .operand = "PART",
        .program = "ringside drain",
        .summary =
            "Has a part of the node leave without loss, and waits until it has left. PART is\n"
            "`broker`, or a worker or gateway by its name or pid (`ringside workers`, `ringside\n"
            "gateways`). A worker takes no more runs, hands back those it has not begun and "
            "leaves\n"
            "when the others have ended; a gateway sends its clients away; the broker empties the\n"
            "rings and syncs the history.",
        .examples =
            "  ringside drain worker-4711\n"
            "  ringside drain --restart gateway-4713     # with another program in its file\n",
        .waits = true,
    };
    return run_action(&action, argc, argv);
}
