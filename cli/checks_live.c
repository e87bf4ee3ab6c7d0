/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"
#include "control.h"
#include "http_probe.h"

#include "wire/attachment.h"

#include <errno.h>
#include <jansson.h>

void check_broker(struct checks *checks)
{
    char socket[PATHS_MAX];
    struct buffer answer = BUFFER_INIT;
    if (paths_join(socket, checks->folders.run_dir, WIRE_CONTROL_SOCKET) < 0)
        return;
    if (folders_probe_socket(socket) != SOCKET_ANSWERED) {
        checks_add(checks, CHECK_WARN, "broker", "start a node: ringside up",
            "no broker listens on %s", socket);
        return;
    }
    int rc = control_query(&answer, checks->folders.run_dir, "status", "");
    if (rc)
        checks_add(checks, CHECK_FAIL, "broker",
            "look at its log; is it of the same version? kill it, and `ringside up` starts it "
            "again",
            "%s: listens, but does not answer: %s", socket, strerror(-rc));
    else
        checks_add(checks, CHECK_OK, "broker", NULL, "%s: answers", socket);
    buffer_deinit(&answer);
}

/* Where a gateway of this machine is reached that listens on `host`. */
static const char *reachable_host(const char *host)
{
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static void check_health(struct checks *checks, const char *host, unsigned port)
{
    static const char *const paths[] = {"/health/live", "/health/ready"};
    struct http_probe probe;
    for (size_t i = 0; i < 2; i++) {
        enum http_probe_result result = http_probe(&probe, host, port, paths[i]);
        bool healthy = result == HTTP_PROBE_ANSWERED && probe.status == 200;
        checks_add(checks, healthy ? CHECK_OK : CHECK_FAIL, "gateway",
            healthy ? NULL : "look at its log; is the broker reachable from it?",
            "http://%s:%u%s: %d", host, port, paths[i], probe.status);
    }
}

void check_gateway(struct checks *checks)
{
    const struct config *config = checks->config;
    const char *host = reachable_host(config->gateway_host);
    unsigned port = (unsigned)config->gateway_port;
    struct http_probe probe;
    if (port == 0) {
        checks_add(checks, CHECK_OK, "gateway", NULL, "gateway.port is 0: any free port will do");
        return;
    }
    switch (http_probe(&probe, host, port, "/health/live")) {
    case HTTP_PROBE_NOBODY:
        checks_add(checks, CHECK_OK, "gateway", NULL, "port %u on %s is free", port, host);
        break;
    case HTTP_PROBE_SILENT:
        checks_add(checks, CHECK_FAIL, "gateway",
            "another program has the port: stop it, or choose another with --gateway-port",
            "port %u on %s is taken by something that does not speak HTTP", port, host);
        break;
    case HTTP_PROBE_ANSWERED:
        if (probe.status == 404)
            checks_add(checks, CHECK_FAIL, "gateway",
                "another program has the port: stop it, or choose another with --gateway-port",
                "port %u on %s is taken by another web server", port, host);
        else
            check_health(checks, host, port);
    }
}
