/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"
#include "control.h"
#include "http_probe.h"

#include "wire/attachment.h"

#include <errno.h>
#include <jansson.h>

/* What the broker says of itself; false after complaining, when it cannot be asked. */
static bool ask_broker(struct checks *checks, struct buffer *out)
{
    char socket[PATHS_MAX];
    if (paths_join(socket, checks->folders.run_dir, WIRE_CONTROL_SOCKET) < 0)
        return false;
    if (folders_probe_socket(socket) != SOCKET_ANSWERED) {
        checks_add(checks, CHECK_WARN, "broker", "start a node: ringside up",
            "no broker listens on %s", socket);
        return false;
    }
    int rc = control_query(out, checks->folders.run_dir, "status", "");
    if (rc)
        checks_add(checks, CHECK_FAIL, "broker",
            "look at its log; is it of the same version? killed, `ringside up` starts it again",
            "%s: listens, but does not answer: %s", socket, strerror(-rc));
    else
        checks_add(checks, CHECK_OK, "broker", NULL, "%s: answers", socket);
    return rc == 0;
}

/* Where a gateway of this machine is reached that listens on `host`. */
static const char *reachable_host(const char *host)
{
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

/* No certificate is looked at here: that the port answers plain HTTP by asking for TLS is enough.
 */
static void check_tls(struct checks *checks, const char *host, unsigned port)
{
    struct http_probe probe;
    bool answered = http_probe(&probe, host, port, "/health/live") == HTTP_PROBE_ANSWERED;
    bool secure = answered && probe.status == 400;
    checks_add(checks, secure ? CHECK_OK : CHECK_FAIL, "gateway",
        secure ? NULL : "look at its log; was TLS configured when it was started?", "%s:%u: %s",
        host, port, secure ? "speaks TLS" : "does not speak TLS");
}

static void check_health(struct checks *checks, const char *host, unsigned port)
{
    static const char *const paths[] = {"/health/live", "/health/ready"};
    struct http_probe probe;
    if (*checks->config->gateway_tls_certificate_file) {
        check_tls(checks, host, port);
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        enum http_probe_result result = http_probe(&probe, host, port, paths[i]);
        bool healthy = result == HTTP_PROBE_ANSWERED && probe.status == 200;
        checks_add(checks, healthy ? CHECK_OK : CHECK_FAIL, "gateway",
            healthy ? NULL : "look at its log; is the broker reachable from it?",
            "http://%s:%u%s: %d", host, port, paths[i], probe.status);
    }
}

/* The port that is configured, when no gateway says that it has it. */
static void check_port(struct checks *checks)
{
    static const char advice[] =
        "another program has the port: stop it, or choose another with --gateway-port";
    const char *host = reachable_host(checks->config->gateway_host);
    unsigned port = (unsigned)checks->config->gateway_port;
    struct http_probe probe;
    if (port == 0) {
        checks_add(checks, CHECK_OK, "port", NULL, "gateway.port is 0: any free port will do");
        return;
    }
    switch (http_probe(&probe, host, port, "/health/live")) {
    case HTTP_PROBE_NOBODY:
        checks_add(checks, CHECK_OK, "port", NULL, "port %u on %s is free", port, host);
        break;
    case HTTP_PROBE_SILENT:
        checks_add(checks, CHECK_FAIL, "port", advice,
            "port %u on %s is taken by something that does not speak HTTP", port, host);
        break;
    case HTTP_PROBE_ANSWERED:
        checks_add(checks, CHECK_WARN, "port", advice,
            "port %u on %s is taken by a web server that is no gateway of this node", port, host);
    }
}

static bool is_gateway_at(const json_t *report, const struct config *config)
{
    return json_integer_value(json_object_get(report, "port")) == (json_int_t)config->gateway_port;
}

/* Each gateway that the broker knows, where it says that it listens. */
static void check_gateways(struct checks *checks, const json_t *status)
{
    const json_t *gateways = json_object_get(status, "gateways");
    bool has_port = false;
    for (size_t i = 0; i < json_array_size(gateways); i++) {
        const json_t *report = json_object_get(json_array_get(gateways, i), "report");
        const char *host = json_string_value(json_object_get(report, "host"));
        json_int_t port = json_integer_value(json_object_get(report, "port"));
        if (host && port > 0 && port < 65536)
            check_health(checks, reachable_host(host), (unsigned)port);
        has_port = has_port || is_gateway_at(report, checks->config);
    }
    if (!has_port)
        check_port(checks);
}

static void check_workers(struct checks *checks, const json_t *status)
{
    size_t count = json_array_size(json_object_get(status, "workers"));
    checks_add(checks, count ? CHECK_OK : CHECK_FAIL, "workers",
        count ? NULL : "look at their log; without one no run can start", "%zu connected", count);
}

void check_running_node(struct checks *checks)
{
    struct buffer answer = BUFFER_INIT;
    json_t *status = NULL;
    if (ask_broker(checks, &answer)) {
        status = json_loadb(answer.data ? answer.data : "", answer.len, 0, NULL);
        check_workers(checks, status);
    }
    check_gateways(checks, status);
    json_decref(status);
    buffer_deinit(&answer);
}
