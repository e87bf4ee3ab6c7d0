/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include "backoff.h"
#include "child.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/ready.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_SECONDS 60.0
#define STOP_SECONDS 10.0
#define ARGUMENTS_MAX 7
#define TEXT_SIZE 256

enum node_state {
    NODE_STARTING,
    NODE_RUNNING,
    NODE_STOPPING,
    NODE_STOPPED,
};

struct member {
    struct child child;
    struct node *node;
    enum program_index program;
    int image_fd; /* a broker's program as it was found, whatever is installed later; -1 */
    char image[32];
    struct backoff backoff;
    ev_timer restart;
    uint64_t started_ms;
};

/* The members that start and stop together: a run of node.members. */
struct group {
    const char *name;
    enum program_index program;
    unsigned first;
    unsigned count;
};

struct node {
    struct ev_loop *loop;
    struct node_plan plan;
    const struct node_events *events;
    void *context;
    enum node_state state;
    struct group groups[PROGRAM_COUNT]; /* in the order of starting */
    int group;                          /* being started, or stopped */
    uint64_t group_since_ms;
    ev_timer deadline;        /* of the group, or of the successor */
    struct member *successor; /* the broker that takes over; NULL: none */
    struct member *spare;     /* the broker's other place: the two take turns */
    unsigned port;            /* what gateways are told to listen on; 0: not known yet */
    char port_text[8];
    unsigned metrics_port; /* what the broker serves its metrics on; 0: it does not */
    unsigned member_count;
    struct member members[];
};

static void begin_group(struct node *node, int group);
static void stop_group(struct node *node, int group);

/* ---- one member */

/*
 * Kept open while a broker runs: should it have to be started again, it is from here the same
 * program, and not a release that was installed meanwhile and cannot go on with this node.
 */
static void keep_image(struct member *member)
{
    if (member->program != PROGRAM_BROKER || member->image_fd >= 0)
        return;
    const char *path = member->node->plan.programs->paths[PROGRAM_BROKER];
    member->image_fd = open(path, O_PATH | O_CLOEXEC);
    if (member->image_fd < 0)
        return; /* gone already: the next start will be by its path */
    snprintf(member->image, sizeof(member->image), "/proc/self/fd/%d", member->image_fd);
    member->child.image = member->image;
}

static void drop_image(struct member *member)
{
    if (member->image_fd >= 0)
        close(member->image_fd);
    member->image_fd = -1;
    member->child.image = NULL;
}

static void member_start(struct member *member)
{
    struct node *node = member->node;
    char *argv[ARGUMENTS_MAX];
    unsigned count = 0;
    argv[count++] = (char *)(uintptr_t)node->plan.programs->paths[member->program];
    if (node->plan.config->file) {
        argv[count++] = (char *)(uintptr_t) "--config";
        argv[count++] = node->plan.config->file;
    }
    if (member->program == PROGRAM_GATEWAY) {
        argv[count++] = (char *)(uintptr_t) "--gateway-port";
        argv[count++] = node->port_text;
    }
    if (member == node->successor)
        argv[count++] = (char *)(uintptr_t) "--take-over";
    argv[count] = NULL;
    member->started_ms = clock_monotonic_ms();
    backoff_started(&member->backoff, member->started_ms);
    int rc = child_start(&member->child, argv);
    keep_image(member);
    if (rc < 0) {
        log_error("node", "%s cannot be started: %s", member->child.name, strerror(-rc));
        ev_timer_set(&member->restart, BACKOFF_LAST_MS / 1e3, 0.);
        ev_timer_start(node->loop, &member->restart);
    }
}

static void on_restart(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    member_start(watcher->data);
}

static void member_start_again(struct member *member, const char *how)
{
    uint64_t pause = backoff_ended(&member->backoff, clock_monotonic_ms());
    log_warn("node", "%s %s; starting it again in %llu ms", member->child.name, how,
        (unsigned long long)pause);
    ev_timer_set(&member->restart, (double)pause / 1e3, 0.);
    ev_timer_start(member->node->loop, &member->restart);
}

/* ---- starting */

static void fail(struct node *node, const char *reason)
{
    node->events->on_failed(node->context, reason);
    node_stop(node);
}

static bool group_ready(const struct node *node, const struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        if (!node->members[group->first + i].child.ready)
            return false;
    }
    return true;
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct node *node = watcher->data;
    (void)loop, (void)events;
    if (node->state == NODE_RUNNING) {
        child_signal(&node->successor->child, SIGKILL); /* its end says the rest */
        return;
    }
    const struct group *group = &node->groups[node->group];
    if (node->state == NODE_STARTING) {
        char reason[128];
        snprintf(
            reason, sizeof(reason), "%s: not ready within %d s", group->name, (int)START_SECONDS);
        fail(node, reason);
        return;
    }
    for (unsigned i = 0; i < group->count; i++) {
        struct child *child = &node->members[group->first + i].child;
        if (child->pid)
            log_warn("node", "%s did not leave in time; killing it", child->name);
        child_signal(child, SIGKILL);
    }
}

static void set_deadline(struct node *node, double seconds)
{
    ev_timer_stop(node->loop, &node->deadline);
    ev_timer_set(&node->deadline, seconds, 0.);
    ev_timer_start(node->loop, &node->deadline);
}

/*
 * Gateways that were asked for any free port must agree on one: the first finds it, the others
 * are started when it is known.
 */
static unsigned startable(const struct node *node, const struct group *group)
{
    bool finds_port = group->program == PROGRAM_GATEWAY && node->port == 0;
    return finds_port && group->count > 1 ? 1 : group->count;
}

static void start_members(struct node *node, const struct group *group)
{
    unsigned count = startable(node, group);
    for (unsigned i = 0; i < count; i++) {
        struct member *member = &node->members[group->first + i];
        if (member->child.pid == 0)
            member_start(member);
    }
}

static void become_running(struct node *node)
{
    ev_timer_stop(node->loop, &node->deadline);
    node->state = NODE_RUNNING;
    node->events->on_running(node->context, node->plan.gateways ? node->port : 0);
}

static void begin_group(struct node *node, int group)
{
    node->group = group;
    if (group == PROGRAM_COUNT) {
        become_running(node);
    } else if (node->groups[group].count == 0) {
        begin_group(node, group + 1);
    } else {
        node->group_since_ms = clock_monotonic_ms();
        set_deadline(node, START_SECONDS);
        start_members(node, &node->groups[group]);
    }
}

/* "ready 8080": what the program listens on; 0 when it does not say. */
static unsigned port_of(struct span line)
{
    char text[64];
    uint64_t port;
    snprintf(text, sizeof(text), "%.*s", SPAN_ARG(line));
    if (strncmp(text, "ready ", 6) != 0 || config_parse_number(text + 6, &port) < 0 || port > 65535)
        return 0;
    return (unsigned)port;
}

static void learn_port(struct node *node, enum program_index program, struct span line)
{
    if (program == PROGRAM_BROKER)
        node->metrics_port = port_of(line);
    if (program != PROGRAM_GATEWAY || node->port)
        return;
    node->port = port_of(line);
    snprintf(node->port_text, sizeof(node->port_text), "%u", node->port);
}

/* ---- a broker takes over from another */

static struct member *broker_of(struct node *node)
{
    return &node->members[node->groups[PROGRAM_BROKER].first];
}

static void end_succession(struct node *node)
{
    ev_timer_stop(node->loop, &node->deadline);
    node->successor = NULL;
}

void node_upgrade(struct node *node)
{
    const struct node_events *events = node->events;
    struct member *successor = node->spare;
    if (node->state != NODE_RUNNING || node->successor || successor->child.pid) {
        events->on_upgraded(node->context, false,
            node->state == NODE_RUNNING ? "a broker is just taking over" : "the node is not up");
        return;
    }
    node->successor = successor;
    set_deadline(node, START_SECONDS);
    member_start(successor);
    if (successor->child.pid)
        return;
    ev_timer_stop(node->loop, &successor->restart);
    drop_image(successor);
    end_succession(node);
    events->on_upgraded(node->context, false, "the new broker cannot be started");
}

/* It serves; the other's place is the next one's. */
static void succeed(struct node *node, struct member *successor)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof(text), "the broker was replaced: pid %d, ready after %llu ms",
        (int)successor->child.pid,
        (unsigned long long)(clock_monotonic_ms() - successor->started_ms));
    log_info("node", "%s", text);
    end_succession(node);
    node->spare = broker_of(node);
    node->groups[PROGRAM_BROKER].first = (unsigned)(successor - node->members);
    ev_timer_stop(node->loop, &node->spare->restart);
    if (node->spare->child.pid == 0)
        drop_image(node->spare);
    node->events->on_upgraded(node->context, true, text);
}

/* It ended first. The other one may have let go already; then it is started again. */
static void fail_succession(struct node *node, struct member *successor, const char *how)
{
    char text[TEXT_SIZE];
    struct member *former = broker_of(node);
    snprintf(text, sizeof(text),
        "the new broker %s before it was ready, its lines say why; the old one %s", how,
        former->child.pid ? "goes on" : "is started again");
    log_error("node", "%s", text);
    drop_image(successor);
    end_succession(node);
    if (former->child.pid == 0 && !ev_is_active(&former->restart))
        member_start(former);
    node->events->on_upgraded(node->context, false, text);
}

/* Whether it was the end of a broker that takes over, or of one that is taken over from. */
static bool ended_in_succession(struct node *node, struct member *member, const char *how)
{
    if (member == node->successor)
        fail_succession(node, member, how);
    else if (member == node->spare)
        drop_image(member);
    else
        return node->successor && member == broker_of(node); /* as it was asked to */
    return true;
}

static void on_member_ready(void *context, struct child *child, struct span line)
{
    struct member *member = context;
    struct node *node = member->node;
    const struct group *group = &node->groups[node->group];
    learn_port(node, member->program, line);
    if (member == node->successor) {
        succeed(node, member);
        return;
    }
    if (node->state == NODE_RUNNING)
        log_info("node", "%s is ready again (pid %d, %llu ms)", child->name, (int)child->pid,
            (unsigned long long)(clock_monotonic_ms() - member->started_ms));
    if (node->state != NODE_STARTING || member->program != group->program)
        return;
    if (group_ready(node, group)) {
        node->events->on_phase(
            node->context, group->name, group->count, clock_monotonic_ms() - node->group_since_ms);
        begin_group(node, node->group + 1);
    } else if (member->program == PROGRAM_GATEWAY && node->port) {
        start_members(node, group);
    }
}

/* ---- stopping */

static bool group_gone(const struct node *node, const struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        if (node->members[group->first + i].child.pid)
            return false;
    }
    return group->program != PROGRAM_BROKER || node->spare->child.pid == 0;
}

static double stop_seconds(const struct node *node, const struct group *group)
{
    const struct config *config = node->plan.config;
    switch (group->program) {
    case PROGRAM_GATEWAY:
        return STOP_SECONDS +
               (double)(config->gateway_drain_window + config->gateway_drain_grace) / 1e3;
    case PROGRAM_WORKER: return STOP_SECONDS + (double)config->worker_cancel_grace / 1e3;
    default: return STOP_SECONDS;
    }
}

static void stop_group(struct node *node, int group)
{
    while (group >= 0 && group_gone(node, &node->groups[group]))
        group--;
    node->group = group;
    if (group < 0) {
        ev_timer_stop(node->loop, &node->deadline);
        node->state = NODE_STOPPED;
        node->events->on_stopped(node->context);
        return;
    }
    const struct group *leaving = &node->groups[group];
    for (unsigned i = 0; i < leaving->count; i++)
        child_signal(&node->members[leaving->first + i].child, SIGTERM);
    set_deadline(node, stop_seconds(node, leaving));
}

static void kill_all(struct node *node)
{
    for (unsigned i = 0; i < node->member_count; i++)
        child_signal(&node->members[i].child, SIGKILL);
}

void node_stop(struct node *node)
{
    if (node->state == NODE_STOPPING || node->state == NODE_STOPPED) {
        kill_all(node);
        return;
    }
    node->state = NODE_STOPPING;
    child_signal(&node->spare->child, SIGKILL); /* whichever half of a succession it is */
    for (unsigned i = 0; i < node->member_count; i++)
        ev_timer_stop(node->loop, &node->members[i].restart);
    stop_group(node, PROGRAM_COUNT - 1);
}

static void on_member_ended(void *context, struct child *child, int status)
{
    struct member *member = context;
    struct node *node = member->node;
    const struct group *group = &node->groups[node->group < 0 ? 0 : node->group];
    char how[CHILD_END_SIZE];
    child_describe_end(how, status);
    if (node->state == NODE_STOPPING) {
        if (member->program == group->program && group_gone(node, group))
            stop_group(node, node->group - 1);
    } else if (node->state == NODE_STARTING && member->program == group->program) {
        char reason[128];
        snprintf(reason, sizeof(reason), "%s %s before it was ready", child->name, how);
        fail(node, reason);
    } else if (ended_in_succession(node, member, how)) {
        return;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DRAINED) {
        log_warn(
            "node", "%s was drained and stays away until the node is started anew", child->name);
    } else {
        member_start_again(member, how);
    }
}

/* ---- life */

static const struct child_events member_events = {
    .on_ready = on_member_ready,
    .on_ended = on_member_ended,
};

static void add_member(struct node *node, enum program_index program, const char *name)
{
    struct member *member = &node->members[node->member_count++];
    member->node = node;
    member->program = program;
    member->image_fd = -1;
    child_init(&member->child, name, node->loop, &member_events, member);
    ev_timer_init(&member->restart, on_restart, 0., 0.);
    member->restart.data = member;
}

static void add_group(
    struct node *node, const char *name, enum program_index program, unsigned count)
{
    node->groups[program] = (struct group){name, program, node->member_count, count};
    for (unsigned i = 0; i < count; i++) {
        char text[32];
        if (program == PROGRAM_BROKER)
            snprintf(text, sizeof(text), "broker");
        else
            snprintf(text, sizeof(text), "%s-%u", program == PROGRAM_WORKER ? "worker" : "gateway",
                i + 1);
        add_member(node, program, text);
    }
}

int node_new(struct node **ret_node, struct ev_loop *loop, const struct node_plan *plan,
    const struct node_events *events, void *context)
{
    unsigned count = 2 + plan->workers + plan->gateways;
    struct node *node = calloc(1, sizeof(*node) + count * sizeof(struct member));
    if (!node)
        return -ENOMEM;
    node->loop = loop;
    node->plan = *plan;
    node->events = events;
    node->context = context;
    node->port = (unsigned)plan->config->gateway_port;
    snprintf(node->port_text, sizeof(node->port_text), "%u", node->port);
    ev_timer_init(&node->deadline, on_deadline, 0., 0.);
    node->deadline.data = node;
    add_group(node, "broker", PROGRAM_BROKER, 1);
    add_group(node, "workers", PROGRAM_WORKER, plan->workers);
    add_group(node, "gateways", PROGRAM_GATEWAY, plan->gateways);
    node->spare = &node->members[node->member_count];
    add_member(node, PROGRAM_BROKER, "broker");
    assert(node->member_count == count);
    *ret_node = node;
    begin_group(node, PROGRAM_BROKER);
    return 0;
}

unsigned node_metrics_port(const struct node *node)
{
    return node->metrics_port;
}

void node_free(struct node *node)
{
    if (!node)
        return;
    for (unsigned i = 0; i < node->member_count; i++) {
        ev_timer_stop(node->loop, &node->members[i].restart);
        child_deinit(&node->members[i].child);
        drop_image(&node->members[i]);
    }
    ev_timer_stop(node->loop, &node->deadline);
    free(node);
}
