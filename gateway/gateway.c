/* SPDX-License-Identifier: Apache-2.0 */
#include "admission.h"

#include "port_claim.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

/* Sessions take turns, so that what time does to them does not come in one burst a second. */
#define TICKS_PER_SECOND 10

/* ---- what the link brings */

/* Tells whoever started us, if asked to, that clients are served from now on. */
static void say_ready(unsigned port)
{
    const char *text = getenv("RINGSIDE_READY_FD");
    char *end = NULL;
    long fd = text ? strtol(text, &end, 10) : -1;
    if (!text || end == text || *end || fd < 0 || fd > INT_MAX)
        return;
    if (dprintf((int)fd, "ready %u\n", port) < 0)
        log_warn("gateway", "RINGSIDE_READY_FD: %s", strerror(errno));
}

static void announce(struct gateway *gateway)
{
    unsigned port = http_server_port(gateway->http);
    if (gateway->announced)
        return;
    gateway->announced = true;
    log_info("gateway", "serving on %s port %u", gateway->config->gateway_host, port);
    say_ready(port);
}

static void on_link_ready(void *context, struct broker_link *link)
{
    struct gateway *gateway = context;
    fanout_handle_ready(&gateway->fanout, link);
    announce(gateway);
}

static void on_link_events(void *context, const struct wire_events *events)
{
    struct gateway *gateway = context;
    fanout_handle_events(&gateway->fanout, events);
}

static void on_link_epoch_changed(void *context, const struct wire_epoch_changed *changed)
{
    struct gateway *gateway = context;
    fanout_handle_epoch_changed(&gateway->fanout, changed);
}

static void on_link_kick(void *context, struct span user)
{
    struct gateway *gateway = context;
    fanout_kick(&gateway->fanout, user);
}

static void on_link_leave(void *context, bool for_good)
{
    struct gateway *gateway = context;
    gateway->for_good = for_good;
    if (!gateway->draining) /* a second time would mean: at once */
        gateway_drain(gateway);
}

/* ---- what the sockets bring */

static void on_socket_message(void *owner, struct span message)
{
    session_handle_message(owner, message);
}

static void on_socket_heard(void *owner)
{
    session_handle_heard(owner);
}

static size_t on_socket_gather(void *owner, struct iovec *ret_parts, size_t max)
{
    return session_gather(owner, ret_parts, max);
}

static void on_socket_sent(void *owner, size_t bytes, bool full)
{
    session_sent(owner, bytes, full);
}

static bool on_socket_more(void *owner)
{
    return session_awaits_page(owner);
}

static void on_socket_ping_superseded(void *owner)
{
    struct session *session = owner;
    session->host->counters->pings_superseded++;
}

static void on_socket_violation(void *owner, int code, const char *reason)
{
    session_close(owner, code, reason);
}

static void on_socket_closed(void *owner)
{
    session_free(owner);
}

/* ---- as time passes */

static void send_report(struct gateway *gateway)
{
    _cleanup_(buffer_deinit) struct buffer body = BUFFER_INIT;
    buffer_append_char(&body, '{');
    json_append_member(&body, "name", span_of_string(gateway->name));
    json_append_member_uint(&body, "pid", (uint64_t)getpid());
    json_append_member(&body, "host", span_of_string(gateway->config->gateway_host));
    json_append_member_uint(&body, "port", http_server_port(gateway->http));
    json_append_member_uint(&body, "uptime_ms", clock_monotonic_ms() - gateway->started_at);
    json_append_member_bool(&body, "draining", gateway->draining);
    json_append_member_uint(&body, "connections", gateway->counters.connections);
    json_append_member_uint(&body, "users", gateway->counters.users);
    json_append_name(&body, "brokers");
    brokers_append_json(&body, gateway->brokers);
    json_append_name(&body, "counters");
    counters_append_json(&body, &gateway->counters);
    buffer_append_char(&body, '}');
    const struct wire_message message = {
        .kind = WIRE_REPORT, .report = {.body = buffer_span(&body)}};
    if (!buffer_error(&body))
        brokers_send(gateway->brokers, &message);
}

/* The share of this tick: each session has its turn once a second. */
static void tick_sessions(struct gateway *gateway, uint64_t now_ms)
{
    struct list_link *sessions = &gateway->host.sessions;
    uint64_t now_wall = clock_wall_ms() / 1000;
    uint64_t share = gateway->counters.connections / TICKS_PER_SECOND + 1;
    for (uint64_t i = 0; i < share && !list_empty(sessions); i++) {
        struct session *session = LIST_FIRST(struct session, sessions, host_link);
        list_remove(&session->host_link);
        list_append(sessions, &session->host_link);
        session_tick(session, now_ms, now_wall);
    }
}

/* Once a second. Feeds without sessions go after these had their turn; the report comes last. */
static void on_second(struct gateway *gateway, uint64_t now_ms)
{
    brokers_tick(gateway->brokers, now_ms);
    fanout_tick(&gateway->fanout);
    admission_tick(gateway, now_ms);
    send_report(gateway);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct gateway *gateway = watcher->data;
    uint64_t now_ms = clock_monotonic_ms();
    tick_sessions(gateway, now_ms);
    if (++gateway->ticks % TICKS_PER_SECOND == 0)
        on_second(gateway, now_ms);
}

static void on_leave(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    gateway_drain(watcher->data);
}

static void on_reload(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    gateway_reload(watcher->data);
}

/* ---- set-up, in order */

#define DESCRIPTORS_SPARE 1024
#define DESCRIPTORS_MIN 65536

/*
 * Every connection is a descriptor, with TLS three, and a low soft limit is only a default. Nor
 * more than that: libwebsockets has a table of all descriptors that there may be, and Debian's
 * walks it whenever a connection ends. DESCRIPTORS_MIN leaves room for a larger limit at a reload.
 */
static void raise_descriptor_limit(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    uint64_t each = tls_keys_wanted(config) ? 3 : 1;
    uint64_t needed = each * config->gateway_max_connections + DESCRIPTORS_SPARE;
    uint64_t wanted = needed > DESCRIPTORS_MIN ? needed : DESCRIPTORS_MIN;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < needed)
        log_warn("gateway", "at most %llu descriptors: gateway.max_connections cannot be reached",
            (unsigned long long)limit.rlim_max);
}

static int make_names(struct gateway *gateway)
{
    int rc = paths_run_dir(gateway->run_dir, gateway->config->node_run_dir);
    if (!rc)
        rc = paths_make_dir(gateway->run_dir);
    if (rc) {
        log_error("gateway", "node.run_dir %s: %s", gateway->run_dir, strerror(-rc));
        return rc;
    }
    snprintf(gateway->control_url, sizeof(gateway->control_url), "ipc://%s/" WIRE_CONTROL_SOCKET,
        gateway->run_dir);
    snprintf(gateway->name, sizeof(gateway->name), "gateway-%d", (int)getpid());
    return 0;
}

static int make_links(struct gateway *gateway)
{
    static const struct broker_link_events events = {
        .on_ready = on_link_ready,
        .on_events = on_link_events,
        .on_epoch_changed = on_link_epoch_changed,
        .on_kick = on_link_kick,
        .on_leave = on_link_leave,
    };
    const struct brokers_options options = {.config = gateway->config,
        .own_url = gateway->control_url,
        .name = gateway->name,
        .counters = &gateway->counters};
    return brokers_new(&gateway->brokers, gateway->loop, &options, &events, gateway);
}

static int make_sockets(struct gateway *gateway)
{
    static const struct ws_events events = {
        .on_message = on_socket_message,
        .on_heard = on_socket_heard,
        .on_ping_superseded = on_socket_ping_superseded,
        .on_gather = on_socket_gather,
        .on_sent = on_socket_sent,
        .on_more = on_socket_more,
        .on_violation = on_socket_violation,
        .on_closed = on_socket_closed,
    };
    const struct ws_options options = {.config = gateway->config,
        .text_protocol = HANDSHAKE_PROTOCOL,
        .binary_protocol = HANDSHAKE_PROTOCOL_MSGPACK,
        .events = &events};
    int rc = ws_server_new(&gateway->sockets, gateway->loop, &options);
    if (rc)
        log_error("gateway", "libwebsockets: %s (is its libev plug-in installed?)", strerror(-rc));
    return rc;
}

static int make_streams(struct gateway *gateway)
{
    static const struct http_stream_events events = {
        .on_gather = on_socket_gather,
        .on_sent = on_socket_sent,
        .on_closed = on_socket_closed,
    };
    return http_streams_new(&gateway->streams, gateway->loop, &events);
}

static const char *listen_problem(int rc)
{
    switch (rc) {
    case -EINVAL: return "gateway.host is no address of this machine";
    case -EADDRINUSE: return "another program has it; choose another gateway.port";
    default: return strerror(-rc);
    }
}

static int make_listener(struct gateway *gateway)
{
    static const struct http_server_events events = {
        .on_request = front_handle_request,
        .on_gone = front_handle_gone,
    };
    const struct config *config = gateway->config;
    uint16_t port = (uint16_t)config->gateway_port;
    gateway->port_claim = port ? port_claim(gateway->run_dir, config->gateway_host, port) : -1;
    int rc = port && gateway->port_claim < 0 ? gateway->port_claim : 0;
    const struct http_server_options options = {.host = config->gateway_host,
        .port = port,
        .config = config,
        .keys = gateway->keys,
        .counters = &gateway->counters,
        .events = &events,
        .context = gateway};
    if (!rc)
        rc = http_server_new(&gateway->http, gateway->loop, &options);
    if (rc)
        log_error("gateway", "cannot listen on %s port %u: %s", config->gateway_host,
            (unsigned)port, listen_problem(rc));
    return rc;
}

static void make_host(struct gateway *gateway)
{
    gateway->host = (struct session_host){
        .config = gateway->config,
        .fanout = &gateway->fanout,
        .auth = gateway->auth,
        .counters = &gateway->counters,
    };
    list_init(&gateway->host.sessions);
}

static void start_watchers(struct gateway *gateway)
{
    ev_timer_init(&gateway->tick, on_tick, 1. / TICKS_PER_SECOND, 1. / TICKS_PER_SECOND);
    ev_signal_init(&gateway->on_term, on_leave, SIGTERM);
    ev_signal_init(&gateway->on_int, on_leave, SIGINT);
    ev_signal_init(&gateway->on_hup, on_reload, SIGHUP);
    gateway->tick.data = gateway;
    gateway->on_term.data = gateway;
    gateway->on_int.data = gateway;
    gateway->on_hup.data = gateway;
    ev_timer_start(gateway->loop, &gateway->tick);
    ev_signal_start(gateway->loop, &gateway->on_term);
    ev_signal_start(gateway->loop, &gateway->on_int);
    ev_signal_start(gateway->loop, &gateway->on_hup);
    gateway_drain_init(gateway);
}

int gateway_init(struct gateway *gateway, struct config *config,
    enum config_action (*read_config)(struct config *ret_config))
{
    gateway->config = config;
    gateway->changing_config = config;
    gateway->read_config = read_config;
    gateway->started_at = clock_monotonic_ms();
    gateway->loop = ev_default_loop(EVFLAG_AUTO);
    if (!gateway->loop)
        return -ENOMEM;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit(config);
    quotas_init(&gateway->users);
    quotas_init(&gateway->addresses);
    int rc = auth_new(&gateway->auth, config);
    if (!rc)
        rc = admission_read_lists(&gateway->lists, config);
    if (!rc)
        rc = tls_keys_new(&gateway->keys, config);
    if (!rc)
        rc = make_names(gateway);
    if (!rc)
        rc = make_sockets(gateway);
    if (!rc)
        rc = make_streams(gateway);
    if (!rc)
        rc = make_listener(gateway);
    if (!rc)
        rc = make_links(gateway);
    if (rc)
        return rc;
    fanout_init(&gateway->fanout, gateway->brokers, &gateway->counters);
    make_host(gateway);
    start_watchers(gateway);
    return 0;
}

void gateway_run(struct gateway *gateway)
{
    spin_init(&gateway->spin, (uint32_t)gateway->config->gateway_spin_max_us);
    while (!gateway->leaving) {
        uint64_t received = gateway->counters.events_received;
        ev_run(gateway->loop, spin_again(&gateway->spin) ? EVRUN_NOWAIT : EVRUN_ONCE);
        if (gateway->counters.events_received != received)
            spin_news(&gateway->spin);
    }
}

void gateway_leave(struct gateway *gateway)
{
    gateway->leaving = true;
    ev_break(gateway->loop, EVBREAK_ALL);
}

void gateway_deinit(struct gateway *gateway)
{
    http_server_free(gateway->http);
    ws_server_free(gateway->sockets);
    http_streams_free(gateway->streams);
    fanout_deinit(&gateway->fanout);
    quotas_deinit(&gateway->users);
    quotas_deinit(&gateway->addresses);
    tls_keys_free(gateway->keys);
    auth_free(gateway->auth);
}
