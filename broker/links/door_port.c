/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection that ends between the greetings of TLS and of the link can look to nng 1.5 as if the
 * listener itself had been closed: it accepts nobody any more, and says nothing. Nor does it count
 * anything more. So what it counts is looked at once a second: when there were failures, and
 * nothing has been counted for two looks, the door is listened at anew. It may have been in order;
 * then this happened once, and for a moment, and who was about to ask asks again.
 */
#include "links/door_port.h"

#include "links/reply_port.h"

#include "base/log.h"
#include "wire/link_tls.h"

#include <errno.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#define REQUEST_MAX 4096
#define WATCH_SECONDS 1.0
#define WATCH_PATIENCE 2 /* looks */

struct door_port {
    struct door_port_options options;
    nng_socket socket;
    nng_listener listener;
    bool listening;
    uint64_t counted; /* of the listener, at the last look */
    int unchanged;    /* looks since */
    ev_io readable;
    ev_timer watch;
    struct buffer reply;
};

/* ---- configuration */

int door_port_configure(
    struct wire_url *ret_url, struct nng_tls_config **ret_tls, const struct config *config)
{
    const struct link_tls_files files = {.certificate = config->broker_gateway_certificate_file,
        .key = config->broker_gateway_key_file,
        .authority = config->broker_gateway_authority_file};
    const char *address = config->broker_gateway_address;
    const char *wrong;
    *ret_url = (struct wire_url){0};
    *ret_tls = NULL;
    if (!*address)
        return 0;
    const char *problem = wire_url_problem(span_of_string(address), config->broker_gateway_plain);
    if (!problem &&
        (!wire_url_parse(ret_url, span_of_string(address)) || ret_url->scheme == WIRE_SCHEME_IPC))
        problem = "gateways of this machine need no address";
    if (problem) {
        log_error("door_port", "broker.gateway_address: %s: %s", address, problem);
        return -EINVAL;
    }
    if (ret_url->scheme != WIRE_SCHEME_TLS)
        return 0;
    int rc = link_tls_new(ret_tls, &files, NULL, &wrong);
    if (rc)
        log_error("door_port", "broker.gateway_address: %s: %s", *wrong ? wrong : "TLS",
            link_tls_problem(rc));
    return rc;
}

/* ---- answering */

static struct wire_message offer(
    struct door_port *port, const struct wire_attach *request, char url[PATHS_MAX])
{
    if (request->version != WIRE_VERSION)
        return reply_refusal("version_mismatch",
            "broker and gateway speak different versions of the messages between processes: "
            "install the same release");
    if (!span_is(request->role, "gateway"))
        return reply_refusal("permission_denied", "only gateways are let in from other machines");
    int rc = links_offer_remote(port->options.links, request->name, url);
    return reply_offer(rc, "the name is no identifier", url, port->options.broker_id);
}

static struct wire_message answer(void *context, struct span bytes, char *url)
{
    struct door_port *port = context;
    struct wire_message request;
    struct wire_message reply;
    if (wire_decode(&request, bytes) < 0)
        reply = reply_refusal("malformed", "not a message of this protocol");
    else if (request.kind != WIRE_ATTACH)
        reply =
            reply_refusal("permission_denied", "administration is for this machine's own users");
    else
        reply = offer(port, &request.attach, url);
    port->options.counters->door_refused += reply.kind == WIRE_REFUSED;
    return reply;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct door_port *port = watcher->data;
    reply_to_all(port->socket, &port->reply, answer, port);
}

/* ---- life */

static int listen_anew(struct door_port *port)
{
    const char *address = port->options.config->broker_gateway_address;
    if (nng_listener_create(&port->listener, port->socket, address) != 0)
        return -EINVAL;
    int rc = 0;
    if (port->options.tls)
        rc = nng_listener_set_ptr(port->listener, NNG_OPT_TLS_CONFIG, port->options.tls);
    if (rc == 0)
        rc = nng_listener_start(port->listener, 0);
    port->listening = rc == 0;
    port->unchanged = 0;
    if (rc)
        nng_listener_close(port->listener);
    return rc == 0 ? 0 : rc == NNG_EADDRINUSE ? -EADDRINUSE : -EADDRNOTAVAIL;
}

static uint64_t value_of(nng_stat *parent, const char *name)
{
    for (nng_stat *stat = nng_stat_child(parent); stat; stat = nng_stat_next(stat)) {
        if (strcmp(nng_stat_name(stat), name) == 0)
            return nng_stat_value(stat);
    }
    return 0;
}

/* Failures of the listener; those and what it accepted. */
static uint64_t failures(const struct door_port *port, uint64_t *ret_counted)
{
    nng_stat *all;
    uint64_t failed = 0;
    if (nng_stats_get(&all) != 0)
        return 0;
    for (nng_stat *stat = nng_stat_child(all); stat; stat = nng_stat_next(stat)) {
        if (strcmp(nng_stat_name(stat), "listener") != 0 ||
            value_of(stat, "id") != (uint64_t)nng_listener_id(port->listener))
            continue;
        failed = value_of(stat, "other") + value_of(stat, "canceled");
        *ret_counted = failed + value_of(stat, "accept");
    }
    nng_stats_free(all);
    return failed;
}

static bool may_be_deaf(struct door_port *port)
{
    uint64_t counted = 0;
    bool failed = failures(port, &counted) > 0;
    port->unchanged = counted == port->counted ? port->unchanged + 1 : 0;
    port->counted = counted;
    return failed && port->unchanged >= WATCH_PATIENCE;
}

static void on_watch(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct door_port *port = watcher->data;
    if (port->listening && !may_be_deaf(port))
        return;
    if (port->listening)
        nng_listener_close(port->listener);
    int rc = listen_anew(port);
    if (rc)
        log_warn("door_port", "cannot listen at %s: %s; trying again",
            port->options.config->broker_gateway_address, strerror(-rc));
}

void door_port_renew(struct door_port *port)
{
    struct wire_url url;
    struct nng_tls_config *tls, *before = port->options.tls;
    if (door_port_configure(&url, &tls, port->options.config) < 0) {
        log_error("door_port", "what was read again cannot be used: everything stays as it was");
        return;
    }
    if (!before)
        return;
    port->options.tls = tls;
    links_secure(port->options.links, tls);
    if (port->listening)
        nng_listener_close(port->listener);
    port->listening = false; /* until the watch has succeeded, should this not */
    (void)listen_anew(port);
    link_tls_free(before); /* links that were made with it have it still */
    log_info("door_port", "certificate, key and authority were read again");
}

static int open_door(struct door_port *port)
{
    int fd;
    if (nng_rep0_open(&port->socket) != 0 ||
        nng_socket_set_size(port->socket, NNG_OPT_RECVMAXSZ, REQUEST_MAX) != 0 ||
        nng_socket_get_int(port->socket, NNG_OPT_RECVFD, &fd) != 0)
        return -EINVAL;
    int rc = listen_anew(port);
    if (rc)
        return rc;
    ev_io_init(&port->readable, on_readable, fd, EV_READ);
    port->readable.data = port;
    ev_io_start(port->options.loop, &port->readable);
    ev_timer_init(&port->watch, on_watch, WATCH_SECONDS, WATCH_SECONDS);
    port->watch.data = port;
    ev_timer_start(port->options.loop, &port->watch);
    return 0;
}

int door_port_new(struct door_port **ret_port, const struct door_port_options *options)
{
    struct door_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->options = *options;
    const char *address = options->config->broker_gateway_address;
    int rc = open_door(port);
    if (rc) {
        log_error("door_port", "cannot listen at %s: %s", address, strerror(-rc));
        free(port); /* the socket goes with the process, which does not start without this */
        return rc;
    }
    log_info("door_port", "gateways of other machines are let in at %s", address);
    *ret_port = port;
    return 0;
}
