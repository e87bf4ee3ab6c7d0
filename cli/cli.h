/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"

/* `ringside`'s exit statuses, the same for every verb. */
enum cli_status {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3,
    CLI_GO_ON = -1, /* of cli_load: nothing has been decided yet */
};

/* For config_program.exit_statuses. */
#define CLI_EXIT_STATUSES                                                                          \
    "  0  done\n"                                                                                  \
    "  1  failed\n"                                                                                \
    "  2  the command line, the environment or the configuration file is wrong\n"                  \
    "  3  the node cannot be reached\n"

/* How long a node may take to answer before it counts as unreachable. */
#define CLI_REACH_SECONDS 3.0

/* One thing `ringside` does. `run` gets the arguments from the verb on and returns the status. */
struct verb {
    const char *name;
    const char *summary;
    enum cli_status (*run)(int argc, char **argv);
};

enum cli_status verb_up(int argc, char **argv);
enum cli_status verb_token(int argc, char **argv);
enum cli_status verb_run(int argc, char **argv);
enum cli_status verb_tail(int argc, char **argv);
enum cli_status verb_backup(int argc, char **argv);
enum cli_status verb_upgrade(int argc, char **argv);
enum cli_status verb_status(int argc, char **argv);
enum cli_status verb_runs(int argc, char **argv);
enum cli_status verb_run_info(int argc, char **argv);
enum cli_status verb_users(int argc, char **argv);
enum cli_status verb_user(int argc, char **argv);
enum cli_status verb_workers(int argc, char **argv);
enum cli_status verb_gateways(int argc, char **argv);
enum cli_status verb_agents(int argc, char **argv);
enum cli_status verb_history(int argc, char **argv);
enum cli_status verb_cancel(int argc, char **argv);
enum cli_status verb_kick(int argc, char **argv);
enum cli_status verb_pause(int argc, char **argv);
enum cli_status verb_resume(int argc, char **argv);
enum cli_status verb_drain(int argc, char **argv);
enum cli_status verb_rings(int argc, char **argv);
enum cli_status verb_batch(int argc, char **argv);
enum cli_status verb_bench(int argc, char **argv);
enum cli_status verb_verify(int argc, char **argv);
enum cli_status verb_doctor(int argc, char **argv);

/* Finds the verb in argv[1] and runs it, or explains the verbs. */
enum cli_status cli_run(int argc, char **argv);

/* config_load for a verb: CLI_GO_ON, or the status to leave with; `config` holds nothing then. */
enum cli_status cli_load(
    struct config *ret_config, const struct config_program *program, int argc, char **argv);
/* One line on stderr, "ringside VERB: …"; returns `status`. What, why, what to do. */
enum cli_status cli_fail(enum cli_status status, const char *verb, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Becomes a program that is installed beside this one, or built in `build_folder`. Returns only
 * when that cannot be, with the status to leave with. */
enum cli_status cli_become(
    const char *verb, const char *program, const char *build_folder, char **argv);
/* Whole numbers of a verb's own flags; complains as `verb` and returns false. */
bool cli_number(
    const char *verb, const char *flag, const char *text, uint64_t max, uint64_t *ret_number);
/* Identifiers of a verb's own flags: as identifier_valid. */
bool cli_identifier(const char *verb, const char *flag, const char *text);
/* "ringside VERB: cannot be reached …"; returns CLI_UNREACHABLE. */
enum cli_status cli_unreachable(const char *verb, const char *run_dir);
