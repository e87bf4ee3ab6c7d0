/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/broker.h"

#include "base/log.h"
#include "base/ready.h"
#include "upkeep/offline.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* Larger than what a batch of the history, or a merge of some, needs for a moment. */
#define KEPT_BYTES (8 << 20)

static const char *const sections[] = {"node", "ring", "history", "broker", NULL};

static struct offline offline;
static const char *take_over;

static const struct config_flag flags[] = {
    {"copy-history", "DIR",
        "copy the history in DIR instead of serving, whether a broker has it open or not",
        &offline.copy_from},
    {"check-history", "DIR", "look at each event of the history in DIR, say which are damaged",
        &offline.check},
    {"to", "DIR", "where the copy goes: a directory that does not exist yet", &offline.copy_to},
    {"take-over", NULL,
        "take over from the broker that serves this node, if one does: it stops, this one goes on",
        &take_over},
    {NULL, NULL, NULL, NULL},
};

static const struct config_program program = {
    .name = "ringside-broker",
    .summary =
        "Owns a node's rings, history and runs: drains what agents emit, numbers it, keeps it\n"
        "and sends it to the gateways; gives requests to workers. One a node.",
    .sections = sections,
    .flags = flags,
};

/* "ready", or "ready PORT" when metrics are served there. */
static void announce(const struct broker *broker)
{
    char line[32] = "ready";
    if (broker->metrics)
        snprintf(line, sizeof(line), "ready %u", metrics_port_number(broker->metrics));
    ready_announce(line);
}

/*
 * The history takes and frees some hundred kilobytes for each batch. By itself the allocator gives
 * them back, and a third of what a merge takes is the kernel making the same pages again.
 */
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

int main(int argc, char **argv)
{
    struct config config;
    static struct broker broker;
    keep_memory();
    enum config_action action = config_load(&config, &program, argc, argv);
    if (action != CONFIG_RUN) {
        config_deinit(&config);
        return action == CONFIG_EXIT_DONE ? 0 : 2;
    }
    if (offline_wanted(&offline)) {
        int status = offline_run(&offline);
        config_deinit(&config);
        return status;
    }
    enum log_level level = LOG_INFO;
    (void)log_level_parse(config.node_log_level, &level);
    log_init("broker", level);
    int rc = take_over ? broker_take_over(&broker, &config) : broker_start(&broker, &config);
    if (rc == 0) {
        log_info("broker", "ready");
        announce(&broker);
        broker_run(&broker);
    }
    broker_stop(&broker);
    /* nng of this version may wait for ever when its sockets are closed: the kernel does it. */
    _exit(rc ? 1 : broker.for_good ? EXIT_DRAINED : 0);
}
