/* SPDX-License-Identifier: Apache-2.0 */
#include "links/link.h"

#include "base/json_scan.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct links {
    struct links_options options;
    struct link *slots[LINK_SLOTS_MAX]; /* made when first needed */
    size_t count;
    uint64_t serial;
    unsigned last_port; /* behind that of options.remote */
};

static void link_release(struct link *link)
{
    ev_timer_stop(link->links->options.loop, &link->timer);
    ev_timer_stop(link->links->options.loop, &link->silence);
    channel_reset(link->channel);
    if (link->state == LINK_READY) {
        void *peer = link->peer;
        link->peer = NULL;
        link->state = LINK_FREE;
        link->port->on_gone(link->port->context, peer);
    }
    link->state = LINK_FREE;
    link->serial = 0;
    link->failure = 0;
}

void link_drop(struct link *link, const char *why)
{
    if (link->state == LINK_FREE)
        return;
    log_warn("link", "dropped %s %s (pid %llu): %s", link->role, link->name,
        (unsigned long long)link->pid, why);
    link->links->options.counters->links_dropped++;
    link_release(link);
}

static const struct link_port *find_port(const struct links *links, struct span role)
{
    for (const struct link_port *port = links->options.ports; port->role; port++) {
        if (span_is(role, port->role))
            return port;
    }
    return NULL;
}

static void greet(struct link *link, const struct wire_hello *hello)
{
    const struct link_port *port = find_port(link->links, hello->role);
    if (hello->version != WIRE_VERSION || !port || !span_is(hello->role, link->role)) {
        link_drop(link, "says another version or role than it asked for");
        return;
    }
    ev_timer_stop(link->links->options.loop, &link->timer);
    link->pid = channel_peer_pid(link->channel);
    if (link->pid == 0)
        link->pid = hello->pid;
    const struct wire_message ready = {.kind = WIRE_READY,
        .ready = {.instance = hello->instance,
            .broker_id = span_of_string(link->links->options.broker_id)}};
    int rc = channel_send(link->channel, &ready);
    if (!rc)
        rc = port->on_ready(port->context, link, hello, &link->peer);
    if (rc) {
        link_drop(link, strerror(-rc));
        return;
    }
    link->port = port;
    link->state = LINK_READY;
    if (link->remote)
        ev_timer_again(link->links->options.loop, &link->silence);
    link->links->options.counters->links_opened++;
    log_info("link", "%s %s (pid %llu) is connected", link->role, link->name,
        (unsigned long long)link->pid);
}

static void on_message(void *context, const struct wire_message *message)
{
    struct link *link = context;
    if (ev_is_active(&link->silence))
        ev_timer_again(link->links->options.loop, &link->silence);
    if (link->state == LINK_READY)
        link->port->on_message(link->port->context, link->peer, message);
    else if (link->state == LINK_OFFERED && message->kind == WIRE_HELLO)
        greet(link, &message->hello);
}

static void on_peer(void *context, bool connected)
{
    struct link *link = context;
    if (connected || link->state == LINK_FREE)
        return;
    if (link->state == LINK_READY)
        log_info("link", "%s %s (pid %llu) is gone", link->role, link->name,
            (unsigned long long)link->pid);
    link_release(link);
}

/* The time for a HELLO is over, or a send failed earlier in this turn. */
static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct link *link = watcher->data;
    if (link->failure)
        link_drop(link, strerror(-link->failure));
    else
        link_release(link);
}

static void on_silence(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    link_drop(watcher->data, "says nothing");
}

static const struct channel_events events = {.on_message = on_message, .on_peer = on_peer};

static int slot_new(struct links *links, struct link **ret_link)
{
    if (links->count == LINK_SLOTS_MAX)
        return -EUSERS;
    struct link *link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    link->links = links;
    int rc = channel_new(&link->channel, links->options.loop, &events, link);
    if (rc) {
        free(link);
        return rc;
    }
    ev_timer_init(&link->timer, on_timer, LINK_OFFER_SECONDS, 0.);
    link->timer.data = link;
    ev_init(&link->silence, on_silence);
    link->silence.repeat = LINK_SILENCE_SECONDS;
    link->silence.data = link;
    channel_secure(link->channel, links->options.tls);
    links->slots[links->count++] = link;
    *ret_link = link;
    return 0;
}

static int free_slot(struct links *links, struct link **ret_link)
{
    for (size_t i = 0; i < links->count; i++) {
        if (links->slots[i]->state == LINK_FREE) {
            *ret_link = links->slots[i];
            return 0;
        }
    }
    return slot_new(links, ret_link);
}

int links_new(struct links **ret_links, const struct links_options *options)
{
    struct links *links = calloc(1, sizeof(*links));
    if (!links)
        return -ENOMEM;
    links->options = *options;
    *ret_links = links;
    return 0;
}

void links_secure(struct links *links, struct nng_tls_config *tls)
{
    links->options.tls = tls;
    for (size_t i = 0; i < links->count; i++)
        channel_secure(links->slots[i]->channel, tls);
}

static void offered(struct link *link, struct span role, struct span name, bool remote)
{
    snprintf(link->role, sizeof(link->role), "%.*s", SPAN_ARG(role));
    snprintf(link->name, sizeof(link->name), "%.*s", SPAN_ARG(name));
    link->remote = remote;
    link->state = LINK_OFFERED;
    ev_timer_set(&link->timer, LINK_OFFER_SECONDS, 0.);
    ev_timer_start(link->links->options.loop, &link->timer);
}

int links_offer(struct links *links, struct span role, struct span name, char ret_url[PATHS_MAX])
{
    struct link *link;
    if (!find_port(links, role) || role.len >= sizeof(link->role) || !identifier_valid(name))
        return -EINVAL;
    int rc = free_slot(links, &link);
    if (rc)
        return rc;
    link->serial = ++links->serial;
    /* A fresh name each time: nothing that was meant for an earlier listener can reach this one. */
    int len = snprintf(ret_url, PATHS_MAX, "ipc://%s/link-%d-%llu.ipc", links->options.run_dir,
        (int)getpid(), (unsigned long long)link->serial);
    if (len < 0 || len >= PATHS_MAX)
        return -ENAMETOOLONG;
    rc = channel_listen(link->channel, ret_url);
    if (!rc)
        offered(link, role, name, false);
    return rc;
}

/* Ports are taken in turn, so that a straggler for the last peer of one seldom meets the next. */
static int listen_behind(struct links *links, struct link *link, uint16_t *ret_port)
{
    struct wire_url url = *links->options.remote;
    char text[WIRE_URL_SIZE];
    int rc = -EADDRINUSE;
    for (unsigned tries = 0; tries < LINK_SLOTS_MAX && rc == -EADDRINUSE; tries++) {
        links->last_port = links->last_port % LINK_SLOTS_MAX + 1;
        if (links->options.remote->port + links->last_port > UINT16_MAX)
            continue;
        url.port = (uint16_t)(links->options.remote->port + links->last_port);
        rc = wire_url_format(text, &url);
        if (!rc)
            rc = channel_listen(link->channel, text);
    }
    *ret_port = url.port;
    return rc;
}

int links_offer_remote(struct links *links, struct span name, char ret_url[PATHS_MAX])
{
    struct link *link;
    struct wire_url url = *links->options.remote;
    if (!identifier_valid(name))
        return -EINVAL;
    int rc = free_slot(links, &link);
    if (rc)
        return rc;
    link->serial = ++links->serial;
    rc = listen_behind(links, link, &url.port);
    if (rc)
        return rc;
    url.host = SPAN_LITERAL("*");
    char text[WIRE_URL_SIZE];
    rc = wire_url_format(text, &url);
    if (rc)
        return rc;
    memcpy(ret_url, text, strlen(text) + 1); /* with "*" for the host it is short */
    offered(link, SPAN_LITERAL("gateway"), name, true);
    return 0;
}

static void after_send(struct link *link, int rc)
{
    if (!rc || rc == -ENOTCONN || link->failure)
        return;
    link->failure = rc;
    ev_timer_set(&link->timer, 0., 0.);
    ev_timer_start(link->links->options.loop, &link->timer);
}

void link_send(struct link *link, const struct wire_message *message)
{
    if (!link->failure) /* nothing may arrive behind what was not sent */
        after_send(link, channel_send(link->channel, message));
}

void link_send_encoded(struct link *link, struct span bytes)
{
    if (!link->failure)
        after_send(link, channel_send_encoded(link->channel, bytes));
}

void links_flush(struct links *links)
{
    for (size_t i = 0; i < links->count; i++)
        channel_flush(links->slots[i]->channel);
}

struct link *links_find(struct links *links, uint64_t serial)
{
    for (size_t i = 0; i < links->count; i++) {
        if (links->slots[i]->serial == serial && links->slots[i]->state == LINK_READY)
            return links->slots[i];
    }
    return NULL;
}

struct link *links_next(struct links *links, const char *role, size_t *cursor)
{
    while (*cursor < links->count) {
        struct link *link = links->slots[(*cursor)++];
        if (link->state == LINK_READY && strcmp(link->role, role) == 0)
            return link;
    }
    return NULL;
}

void link_keep_report(struct buffer *kept, const struct wire_report *report)
{
    buffer_clear(kept);
    if (json_scan_valid_object(report->body))
        buffer_append_span(kept, report->body);
}
