/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include "base/cleanup.h"
#include "base/identifier.h"
#include "config/suggest.h"
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>

static const struct verb verbs[] = {
    {"up", "start a whole node and look after it", verb_up},
    {"token", "make a signed token for a user", verb_token},
    {"run", "ask an agent something and watch it work", verb_run},
    {"batch", "run a file of requests, without a node", verb_batch},
    {"tail", "follow a user's events", verb_tail},
    {"status", "the node at a glance", verb_status},
    {"upgrade", "replace the running broker by the one that is installed now", verb_upgrade},
    {"backup", "copy the history while the node serves", verb_backup},
    {"runs", "list the runs that have not ended", verb_runs},
    {"run-info", "show one run", verb_run_info},
    {"users", "list everybody who has a stream", verb_users},
    {"user", "show one user", verb_user},
    {"workers", "list the workers", verb_workers},
    {"gateways", "list the gateways", verb_gateways},
    {"agents", "list the agents", verb_agents},
    {"history", "show a user's retained events", verb_history},
    {"cancel", "stop a run", verb_cancel},
    {"kick", "end a user's connections", verb_kick},
    {"pause", "give no more runs to workers", verb_pause},
    {"resume", "give runs to workers again", verb_resume},
    {"drain", "have a part of the node leave without loss", verb_drain},
    {"rings", "look into a node's shared memory, or a copy of it", verb_rings},
    {"bench", "measure this machine", verb_bench},
    {"verify", "check a record of events for order, gaps and grammar", verb_verify},
    {"doctor", "check this machine and a running node", verb_doctor},
};

static void print_help(void)
{
    puts("Ringside: a ringside seat at your agents' work.\n"
         "\n"
         "Usage: ringside VERB [FLAG…]\n"
         "\n"
         "Verbs:");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        printf("  %-8s %s\n", verbs[i].name, verbs[i].summary);
    puts("\n"
         "To begin:\n"
         "  ringside up --config examples/ringside.yaml     start a node; Ctrl-C stops it\n"
         "  ringside run \"What is a ring?\"                  in another shell: ask, and watch\n"
         "  ringside status                                 what it is doing\n"
         "  ringside doctor                                 when something does not work\n"
         "\n"
         "`ringside VERB --help` explains a verb, with examples. A node is found through its run\n"
         "directory: $RINGSIDE_RUN_DIR, else /run/ringside, else $XDG_RUNTIME_DIR/ringside, else\n"
         "/tmp/ringside-$UID.\n"
         "\n"
         "Exit status:");
    fputs(CLI_EXIT_STATUSES, stdout);
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static enum cli_status unknown_verb(const char *name)
{
    struct suggestion suggestion = suggestion_for(name);
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        suggestion_offer(&suggestion, verbs[i].name);
    if (suggestion.nearest)
        fprintf(stderr, "ringside: there is no verb \"%s\"; did you mean \"%s\"?\n", name,
            suggestion.nearest);
    else
        fprintf(stderr, "ringside: there is no verb \"%s\"; ringside --help lists them\n", name);
    return CLI_USAGE;
}

enum cli_status cli_run(int argc, char **argv)
{
    if (argc < 2) {
        fputs("ringside: which verb? ringside --help lists them\n", stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        print_help();
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("ringside " RINGSIDE_VERSION);
        return CLI_DONE;
    }
    bool help = strcmp(argv[1], "help") == 0;
    const char *name = argv[help ? 2 : 1];
    const struct verb *verb = find_verb(name);
    if (!verb)
        return unknown_verb(name);
    char *explain[] = {argv[0], (char[]){"--help"}, NULL};
    return help ? verb->run(2, explain) : verb->run(argc - 1, argv + 1);
}

enum cli_status cli_load(
    struct config *ret_config, const struct config_program *program, int argc, char **argv)
{
    enum config_action action = config_load(ret_config, program, argc, argv);
    if (action == CONFIG_RUN)
        return CLI_GO_ON;
    config_deinit(ret_config);
    return action == CONFIG_EXIT_DONE ? CLI_DONE : CLI_USAGE;
}

enum cli_status cli_fail(enum cli_status status, const char *verb, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "ringside %s: ", verb);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

bool cli_number(
    const char *verb, const char *flag, const char *text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number;
    if (config_parse_number(text, &number) < 0 || number > max) {
        cli_fail(CLI_USAGE, verb, "--%s: \"%s\" is not a whole number from 0 to %llu", flag, text,
            (unsigned long long)max);
        return false;
    }
    *ret_number = number;
    return true;
}

bool cli_identifier(const char *verb, const char *flag, const char *text)
{
    if (identifier_valid(span_of_string(text)))
        return true;
    cli_fail(CLI_USAGE, verb,
        "--%s: needs 1 to %d printable ASCII characters without space, quote or backslash", flag,
        IDENTIFIER_MAX);
    return false;
}

enum cli_status cli_unreachable(const char *verb, const char *run_dir)
{
    return cli_fail(CLI_UNREACHABLE, verb,
        "no node answers in %s; start one with `ringside up`, or name its run directory in "
        "RINGSIDE_RUN_DIR",
        run_dir);
}
