/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include "base/log.h"
#include "base/ready.h"

#include <unistd.h>

static const char *const sections[] = {"node", "ring", "history", "broker", NULL};

static const struct config_flag no_flags[] = {{.name = NULL}};

static const struct config_program program = {
    .name = "ringside-broker",
    .summary =
        "Owns a node's rings, history and runs: drains what agents emit, numbers it, keeps it\n"
        "and sends it to the gateways; gives requests to workers. One a node.",
    .sections = sections,
    .flags = no_flags,
};

int main(int argc, char **argv)
{
    struct config config;
    static struct broker broker;
    enum config_action action = config_load(&config, &program, argc, argv, NULL);
    if (action != CONFIG_RUN) {
        config_deinit(&config);
        return action == CONFIG_EXIT_DONE ? 0 : 2;
    }
    enum log_level level = LOG_INFO;
    (void)log_level_parse(config.node_log_level, &level);
    log_init("broker", level);
    int rc = broker_start(&broker, &config);
    if (rc == 0) {
        log_info("broker", "ready");
        ready_announce("ready");
        broker_run(&broker);
    }
    broker_stop(&broker);
    /* nng of this version may wait for ever when its sockets are closed: the kernel does it. */
    _exit(rc == 0 ? 0 : 1);
}
