/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "folders.h"
#include "node.h"
#include "tokens.h"
#include "upgrade.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "wire/attachment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHILDREN_MAX 256
#define DEMO_USER "demo"
#define DEMO_SECONDS 86400

struct up {
    struct config config;
    struct folders folders;
    struct programs programs;
    struct ev_loop *loop;
    struct node *node;
    ev_signal stops[3];
    ev_signal upgrade;
    enum cli_status status;
    bool stopping;
};

struct up_flags {
    const char *port;
    const char *workers;
    const char *gateways;
};

/* ---- before the first process */

static enum cli_status find_programs(struct up *up)
{
    for (enum program_index i = 0; i < PROGRAM_COUNT; i++) {
        int rc = program_find(up->programs.paths[i], i);
        if (rc == -ENOENT)
            return cli_fail(CLI_FAILED, "up", "there is no program %s; install it beside this one",
                up->programs.paths[i]);
        if (rc)
            return cli_fail(CLI_FAILED, "up", "%s: %s", program_name(i), strerror(-rc));
    }
    return CLI_DONE;
}

static void remove_stale(void *context, const char *path)
{
    (void)context;
    if (unlink(path) == 0)
        log_info("up", "removed %s, left by a node that is gone", path);
}

/* Takes the folders for this node; the lock is held until the process ends. */
static enum cli_status take_folders(struct up *up)
{
    char why[FOLDERS_WHY_SIZE], socket[PATHS_MAX];
    if (folders_find(&up->folders, &up->config, why) < 0 ||
        folders_prepare(&up->folders, why) < 0 || folders_lock(&up->folders, why) < 0)
        return cli_fail(CLI_FAILED, "up", "%s", why);
    if (paths_join(socket, up->folders.run_dir, WIRE_CONTROL_SOCKET) < 0)
        return cli_fail(CLI_FAILED, "up", "%s: too long a path", up->folders.run_dir);
    if (folders_probe_socket(socket) == SOCKET_ANSWERED)
        return cli_fail(CLI_FAILED, "up",
            "a broker answers on %s already, started without `ringside up`; stop it first", socket);
    folders_each_stale(up->folders.run_dir, remove_stale, NULL);
    setenv("RINGSIDE_NODE_RUN_DIR", up->folders.run_dir, 1);
    setenv("RINGSIDE_NODE_DATA_DIR", up->folders.data_dir, 1);
    return CLI_DONE;
}

/* Whether nobody listens there yet: gateways share their port with one another, so they would
 * share it with a stranger's just as well. */
static enum cli_status check_port(const struct config *config)
{
    char port[8];
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    snprintf(port, sizeof(port), "%u", (unsigned)config->gateway_port);
    if (config->gateway_port == 0 || getaddrinfo(config->gateway_host, port, &hints, &found) != 0)
        return CLI_DONE; /* any free port, or an interface's name: the gateway will see */
    int one = 1, error = 0;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1) < 0)
            error = errno;
        close(fd);
    }
    freeaddrinfo(found);
    if (error == 0)
        return CLI_DONE;
    return cli_fail(CLI_FAILED, "up", "cannot listen on %s port %s: %s; choose another with --port",
        config->gateway_host, port, strerror(error));
}

/* ---- what is said */

static void print_address(const struct up *up, unsigned port)
{
    struct buffer token = BUFFER_INIT;
    char why[TOKENS_WHY_SIZE];
    const char *host = up->config.gateway_host;
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || !*host)
        host = "127.0.0.1";
    bool brackets = strchr(host, ':') != NULL;
    const struct tokens_wanted wanted = {.user = DEMO_USER, .lifetime = DEMO_SECONDS};
    if (tokens_make(&token, &up->config, &wanted, why) < 0)
        log_warn("up", "%s", why);
    const char *secure = *up->config.gateway_tls_certificate_file ? "s" : "";
    printf("\n  http%s://%s%s%s:%u/%s%.*s\n\n", secure, brackets ? "[" : "", host,
        brackets ? "]" : "", port, token.len ? "#token=" : "", SPAN_ARG(buffer_span(&token)));
    if (token.len)
        puts("The token in it is for the user \"" DEMO_USER "\" and good for 24 hours.");
    buffer_deinit(&token);
}

static void on_phase(void *context, const char *group, unsigned count, uint64_t took_ms)
{
    (void)context;
    if (count > 1)
        printf("  %-9s ready: %u processes, %llu ms\n", group, count, (unsigned long long)took_ms);
    else
        printf("  %-9s ready: %llu ms\n", group, (unsigned long long)took_ms);
    fflush(stdout);
}

static void on_running(void *context, unsigned port)
{
    struct up *up = context;
    unsigned metrics = node_metrics_port(up->node);
    if (port)
        print_address(up, port);
    if (metrics)
        printf("The broker's metrics: http://%s:%u/metrics\n", up->config.broker_metrics_host,
            metrics);
    printf("The node is up. Ctrl-C stops it%s.\n", port ? "; `ringside status` shows it" : "");
    fflush(stdout);
}

static void on_failed(void *context, const char *reason)
{
    struct up *up = context;
    up->status = cli_fail(
        CLI_FAILED, "up", "%s; the lines above say why, `ringside doctor` may know more", reason);
}

static void on_upgraded(void *context, bool done, const char *text)
{
    const struct up *up = context;
    int rc = upgrade_answer(up->folders.run_dir, done, text);
    if (rc)
        log_error("up", "cannot say that %s: %s", text, strerror(-rc));
}

static void on_stopped(void *context)
{
    struct up *up = context;
    ev_break(up->loop, EVBREAK_ALL);
}

static const struct node_events up_events = {
    .on_phase = on_phase,
    .on_running = on_running,
    .on_failed = on_failed,
    .on_upgraded = on_upgraded,
    .on_stopped = on_stopped,
};

/* ---- running */

static void on_stop_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct up *up = watcher->data;
    (void)loop, (void)events;
    if (!up->stopping) {
        puts("\nStopping; once more kills what is left.");
        fflush(stdout);
    }
    up->stopping = true;
    node_stop(up->node);
}

static void on_upgrade_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    const struct up *up = watcher->data;
    (void)loop, (void)events;
    if (up->node)
        node_upgrade(up->node);
}

/* HUP is the terminal going away. Output that nobody reads any more must not end the node. */
static void watch_signals(struct up *up)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
        ev_signal_init(&up->stops[i], on_stop_signal, stops[i]);
        up->stops[i].data = up;
        ev_signal_start(up->loop, &up->stops[i]);
    }
    ev_signal_init(&up->upgrade, on_upgrade_signal, UPGRADE_SIGNAL);
    up->upgrade.data = up;
    ev_signal_start(up->loop, &up->upgrade);
}

static enum cli_status run_node(struct up *up, const struct node_plan *plan)
{
    up->loop = ev_default_loop(0);
    if (!up->loop)
        return cli_fail(CLI_FAILED, "up", "no event loop: %s", strerror(errno));
    watch_signals(up);
    if (node_new(&up->node, up->loop, plan, &up_events, up) < 0)
        return cli_fail(CLI_FAILED, "up", "out of memory");
    ev_run(up->loop, 0);
    node_free(up->node);
    return up->status;
}

static enum cli_status start(struct up *up, unsigned workers, unsigned gateways)
{
    const struct node_plan plan = {&up->config, &up->programs, workers, gateways};
    enum cli_status status = find_programs(up);
    if (status == CLI_DONE)
        status = take_folders(up);
    if (status == CLI_DONE && gateways)
        status = check_port(&up->config);
    if (status != CLI_DONE)
        return status;
    printf("Ringside %s, node \"%s\"\n  run       %s\n  data      %s\n", RINGSIDE_VERSION,
        up->config.node_name, up->folders.run_dir, up->folders.data_dir);
    fflush(stdout);
    return run_node(up, &plan);
}

static enum cli_status start_as_asked(struct up *up, const struct up_flags *flags)
{
    uint64_t workers, gateways, port = up->config.gateway_port;
    enum log_level level = LOG_INFO;
    if (!cli_number("up", "workers", flags->workers, CHILDREN_MAX, &workers) ||
        !cli_number("up", "gateways", flags->gateways, CHILDREN_MAX, &gateways) ||
        (flags->port && !cli_number("up", "port", flags->port, 65535, &port)))
        return CLI_USAGE;
    up->config.gateway_port = port;
    if (up->config.file)
        setenv("RINGSIDE_CONFIG", up->config.file, 1);
    log_level_parse(up->config.node_log_level, &level);
    log_init("ringside", level);
    return start(up, (unsigned)workers, (unsigned)gateways);
}

enum cli_status verb_up(int argc, char **argv)
{
    struct up_flags flags = {.workers = "2", .gateways = "1"};
    const struct config_flag own[] = {
        {"port", "N", "what the gateways listen on; default gateway.port; 0: any free one",
            &flags.port},
        {"workers", "N", "worker processes; default 2", &flags.workers},
        {"gateways", "N", "gateway processes, which share the port; default 1", &flags.gateways},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {
        "node", "ring", "history", "broker", "gateway", "worker", NULL};
    const struct config_program program = {
        .name = "ringside up",
        .summary =
            "Starts a whole node in the foreground: the broker, then workers, then gateways,\n"
            "each ready before the next. Prints the page's address with a token, then looks\n"
            "after the processes: one that ends is started again. Ctrl-C stops the node.",
        .sections = sections,
        .flags = own,
        .examples =
            "  ringside up --config examples/ringside.yaml\n"
            "  ringside up --port 9000 --workers 4 --gateways 2\n"
            "  RINGSIDE_RUN_DIR=/tmp/b RINGSIDE_DATA_DIR=/tmp/b/data \\\n"
            "      ringside up --node-name b --port 0       a second node beside the first\n",
        .exit_statuses =
            "  0  stopped as asked\n"
            "  1  failed: a phase of the start did not end well\n"
            "  2  the command line, the environment or the configuration file is wrong\n",
        .export_flags = true,
    };
    struct up up = {.status = CLI_DONE};
    enum cli_status status = cli_load(&up.config, &program, argc, argv);
    if (status != CLI_GO_ON)
        return status;
    status = start_as_asked(&up, &flags);
    config_deinit(&up.config);
    return status;
}
