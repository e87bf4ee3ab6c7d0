/* SPDX-License-Identifier: Apache-2.0 */
#include "door_port.h"

#include "reply_port.h"

#include "base/log.h"
#include "wire/link_tls.h"

#include <errno.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#define REQUEST_MAX 4096

struct door_port {
    struct door_port_options options;
    nng_socket socket;
    nng_listener listener;
    ev_io readable;
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

static int listen_at(struct door_port *port, const char *address)
{
    int fd;
    if (nng_rep0_open(&port->socket) != 0 ||
        nng_socket_set_size(port->socket, NNG_OPT_RECVMAXSZ, REQUEST_MAX) != 0 ||
        nng_socket_get_int(port->socket, NNG_OPT_RECVFD, &fd) != 0 ||
        nng_listener_create(&port->listener, port->socket, address) != 0)
        return -EINVAL;
    if (port->options.tls &&
        nng_listener_set_ptr(port->listener, NNG_OPT_TLS_CONFIG, port->options.tls) != 0)
        return -EINVAL;
    int rc = nng_listener_start(port->listener, 0);
    if (rc)
        return rc == NNG_EADDRINUSE ? -EADDRINUSE : -EADDRNOTAVAIL;
    ev_io_init(&port->readable, on_readable, fd, EV_READ);
    port->readable.data = port;
    ev_io_start(port->options.loop, &port->readable);
    return 0;
}

int door_port_new(struct door_port **ret_port, const struct door_port_options *options)
{
    struct door_port *port = calloc(1, sizeof(*port));
    if (!port)
        return -ENOMEM;
    port->options = *options;
    const char *address = options->config->broker_gateway_address;
    int rc = listen_at(port, address);
    if (rc) {
        log_error("door_port", "cannot listen at %s: %s", address, strerror(-rc));
        free(port); /* the socket goes with the process, which does not start without this */
        return rc;
    }
    log_info("door_port", "gateways of other machines are let in at %s", address);
    *ret_port = port;
    return 0;
}
