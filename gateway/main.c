/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include "base/log.h"
#include "base/ready.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define LARGE_BYTES (256 << 10)

static const char *const sections[] = {"node", "gateway", NULL};
static const struct config_flag flags[] = {{0}};
static const struct config_program program = {
    .name = "ringside-gateway",
    .summary =
        "Serves WebSocket clients: sends each user the events of the user's stream, live and\n"
        "from history, and takes the user's requests to the broker.\n"
        "TERM: clients are sent away, then it leaves. HUP: the configuration and the token keys "
        "are\n"
        "read again; no connection ends for it.",
    .sections = sections,
    .flags = flags,
};

static int argument_count;
static char **arguments;

static enum config_action read_config(struct config *ret_config)
{
    return config_load(ret_config, &program, argument_count, arguments);
}

/*
 * What a large message took is given back when it is gone. By itself the allocator takes the first
 * one for a sign that there will be more, and keeps as much in each of its threads' arenas.
 */
static void give_back_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

int main(int argc, char **argv)
{
    static struct gateway gateway;
    struct config config;
    enum log_level level = LOG_INFO;
    give_back_memory();
    argument_count = argc;
    arguments = argv;
    switch (read_config(&config)) {
    case CONFIG_RUN: break;
    case CONFIG_EXIT_DONE: config_deinit(&config); return 0;
    case CONFIG_EXIT_USAGE: config_deinit(&config); return 2;
    }
    log_level_parse(config.node_log_level, &level);
    log_init("gateway", level);
    int rc = gateway_init(&gateway, &config, read_config);
    if (!rc)
        gateway_run(&gateway);
    gateway_deinit(&gateway);
    config_deinit(&config);
    /* The messaging library's threads may hang in an orderly exit. */
    _exit(rc ? EXIT_FAILURE : gateway.for_good ? EXIT_DRAINED : EXIT_SUCCESS);
}
