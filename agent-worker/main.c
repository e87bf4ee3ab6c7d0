/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include "base/log.h"
#include "base/ready.h"

#include <unistd.h>

static const char *const sections[] = {"node", "worker", NULL};

static const struct config_flag no_flags[] = {{.name = NULL}};

static const struct config_program program = {
    .name = "ringside-worker",
    .summary =
        "Runs agents as child processes, one a run, and writes what they emit into the rings\n"
        "of its node. Takes runs from the node's broker. Any number of them a node.",
    .sections = sections,
    .flags = no_flags,
};

static int argument_count;
static char **arguments;

static enum config_action read_config(struct config *ret_config)
{
    return config_load(ret_config, &program, argument_count, arguments);
}

int main(int argc, char **argv)
{
    struct config config;
    struct worker worker;
    argument_count = argc;
    arguments = argv;
    enum config_action action = read_config(&config);
    if (action != CONFIG_RUN) {
        config_deinit(&config);
        return action == CONFIG_EXIT_DONE ? 0 : 2;
    }
    enum log_level level = LOG_INFO;
    (void)log_level_parse(config.node_log_level, &level);
    log_init("worker", level);
    int rc = worker_init(&worker, &config, read_config);
    if (rc == 0)
        worker_run(&worker);
    worker_deinit(&worker);
    /* nng of this version may wait for ever when its sockets are closed: the kernel does it. */
    _exit(rc ? 1 : worker.for_good ? EXIT_DRAINED : 0);
}
