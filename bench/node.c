/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include "base/log.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_TURNS 1000 /* and still not all is there: it never will be */

static const char *const no_sections[] = {NULL};
static const struct channel_events no_events = {.on_message = NULL};

void node_arena(char ret_path[96], const struct bench_page *page, unsigned number)
{
    snprintf(ret_path, 96, "%s-%u", page->directory, number);
}

static void load_config(
    struct node *node, const struct bench_page *page, unsigned number, uint32_t rings)
{
    static const struct config_program program = {.name = "bench", .sections = no_sections};
    struct server_flags flags;
    char *argv[SERVER_FLAGS + 2] = {program_invocation_short_name};

    server_flags(&flags, page, number, rings);
    for (int i = 0; i < SERVER_FLAGS; i++)
        argv[1 + i] = flags.text[i];
    unsetenv("RINGSIDE_CONFIG");
    if (config_load(&node->config, &program, SERVER_FLAGS + 1, argv) != CONFIG_RUN)
        bench_need(-EINVAL, "config_load");
}

void node_up(struct node *node, const struct bench_page *page, unsigned number, uint32_t rings)
{
    log_init("bench", LOG_ERROR);
    load_config(node, page, number, rings);
    bench_need(broker_start(&node->broker, &node->config), "broker_start");
    node->nowhere = (struct link){.state = LINK_READY};
    bench_need(channel_new(&node->nowhere.channel, node->broker.loop, &no_events, node), "channel");
    node->listener = router_add_listener(&node->broker.router, &node->nowhere);
    bench_need(node->listener ? 0 : -ENOMEM, "router_add_listener");
}

void node_down(struct node *node)
{
    router_remove_listener(&node->broker.router, node->listener);
    bench_need(arena_unlink(node->broker.arena), "arena_unlink");
    broker_stop(&node->broker);
    config_deinit(&node->config);
}

void node_listen(struct node *node, const char *name)
{
    struct user *user =
        bench_need_memory(users_get(&node->broker.users, span_of_string(name)), "users_get");

    bench_need(router_subscribe(node->listener, user, history_committed_head(user->stream)),
        "router_subscribe");
}

uint64_t node_events(const struct node *node)
{
    return node->broker.counters.events_accepted + node->broker.counters.events_written;
}

/* Says why events were not taken. */
static void print_refusals(const struct node *node)
{
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (node->broker.counters.refused[verdict])
            fprintf(stderr, "%s: %llu\n", verdict_name((enum verdict)verdict),
                (unsigned long long)node->broker.counters.refused[verdict]);
}

void node_run(struct node *node, uint64_t events)
{
    struct broker *broker = &node->broker;
    int64_t begin;

    for (unsigned idle = 0; node_events(node) < events;) {
        uint64_t before = node_events(node);
        router_grant(node->listener, 1u << 30);
        idle = broker_tick(broker) || node_events(node) > before ? 0 : idle + 1;
        if (idle == IDLE_TURNS) {
            print_refusals(node);
            bench_need(-EIO, "not all events were accepted");
        }
        begin = bench_cpu_ns();
        ev_run(broker->loop, EVRUN_NOWAIT);
        node->upkeep_ns += bench_cpu_ns() - begin;
    }
}
