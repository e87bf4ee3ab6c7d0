/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is sent is bundled, and the bundle goes out when it is large, or when everything else that
 * this pass of the loop had to call has been called: `turn_end` is fed then, and has the lowest
 * priority of all. So a turn's messages cost the link one system call, or one message of a library
 * for which each is dear. Nothing waits for a bundle to fill.
 *
 * The address decides who carries them (carrier.h); each carrier is made when it is first needed
 * and kept. What a carrier says that is not, or no longer, the one in use is not heard: it may have
 * been about to connect when it was reset.
 */
#include "wire/channel.h"

#include "wire/bundle.h"
#include "wire/carrier.h"
#include "wire/url.h"

#include <errno.h>
#include <stdlib.h>

#define BUNDLE_BYTES (64u << 10) /* sent at once when there are so many */

struct channel {
    struct ev_loop *loop; /* borrowed */
    const struct channel_events *events;
    void *context;
    struct nng_tls_config *tls; /* borrowed; NULL: none */
    struct carrier *local;      /* NULL: not needed yet */
    struct carrier *remote;     /* NULL: not needed yet */
    struct carrier *carrier;    /* the one in use; NULL before the first address */
    bool connected;
    uint64_t peer_pid;
    struct buffer bundle; /* what was sent since the last one went out */
    ev_timer turn_end;    /* never started: fed */
};

/* ---- receiving */

static void forget_peer(struct channel *channel)
{
    channel->connected = false;
    channel->peer_pid = 0;
    buffer_clear(&channel->bundle);
}

static void on_peer(void *context, struct carrier *carrier, bool connected, uint64_t pid)
{
    struct channel *channel = context;
    if (carrier != channel->carrier) {
        if (connected)
            carrier->kind->drop(carrier);
        return;
    }
    forget_peer(channel);
    channel->connected = connected;
    channel->peer_pid = pid;
    channel->events->on_peer(channel->context, connected);
}

static bool on_message(void *context, struct carrier *carrier, struct span bytes)
{
    struct channel *channel = context;
    struct wire_message message;
    if (wire_decode(&message, bytes) < 0)
        return false;
    if (carrier == channel->carrier)
        channel->events->on_message(channel->context, &message);
    return true;
}

static const struct carrier_events carrier_events = {
    .on_peer = on_peer,
    .on_message = on_message,
};

/* ---- sending */

/* Those in a bundle were said to be sent: when it cannot be, the peer must not stay. */
static void send_bundle(struct channel *channel)
{
    struct buffer *bundle = &channel->bundle;
    if (!bundle->len)
        return;
    if (channel->carrier->kind->send(channel->carrier, bundle) < 0)
        channel->carrier->kind->drop(channel->carrier);
    if (bundle->cap > 2 * BUNDLE_BYTES)
        buffer_deinit(bundle);
}

static void on_turn_end(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    send_bundle(watcher->data);
}

/* The message that began at `start` is in the bundle. */
static int sent(struct channel *channel, size_t start)
{
    int rc = bundle_end(&channel->bundle, start, WIRE_MESSAGE_MAX);
    if (rc)
        return rc;
    if (channel_queued(channel) > CHANNEL_QUEUE_MAX) {
        bundle_undo(&channel->bundle, start);
        return -ENOBUFS;
    }
    if (channel->bundle.len >= BUNDLE_BYTES)
        send_bundle(channel);
    else
        ev_feed_event(channel->loop, &channel->turn_end, EV_CUSTOM);
    return 0;
}

int channel_send_encoded(struct channel *channel, struct span bytes)
{
    if (!channel->connected)
        return -ENOTCONN;
    size_t start = bundle_begin(&channel->bundle);
    buffer_append_span(&channel->bundle, bytes);
    return sent(channel, start);
}

int channel_send(struct channel *channel, const struct wire_message *message)
{
    if (!channel->connected)
        return -ENOTCONN;
    size_t start = bundle_begin(&channel->bundle);
    wire_encode(&channel->bundle, message);
    return sent(channel, start);
}

void channel_flush(struct channel *channel)
{
    send_bundle(channel);
}

size_t channel_queued(const struct channel *channel)
{
    const struct carrier *carrier = channel->carrier;
    return (carrier ? carrier->kind->queued(carrier) : 0) + channel->bundle.len;
}

bool channel_connected(const struct channel *channel)
{
    return channel->connected;
}

uint64_t channel_peer_pid(const struct channel *channel)
{
    return channel->peer_pid;
}

/* ---- life */

int channel_new(struct channel **ret_channel, struct ev_loop *loop,
    const struct channel_events *events, void *context)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return -ENOMEM;
    channel->loop = loop;
    channel->events = events;
    channel->context = context;
    ev_init(&channel->turn_end, on_turn_end);
    ev_set_priority(&channel->turn_end, EV_MINPRI);
    channel->turn_end.data = channel;
    *ret_channel = channel;
    return 0;
}

static void free_carrier(struct carrier *carrier)
{
    if (carrier)
        carrier->kind->free(carrier);
}

void channel_free(struct channel *channel)
{
    if (!channel)
        return;
    ev_clear_pending(channel->loop, &channel->turn_end);
    free_carrier(channel->local);
    free_carrier(channel->remote);
    buffer_deinit(&channel->bundle);
    free(channel);
}

void channel_secure(struct channel *channel, struct nng_tls_config *tls)
{
    channel->tls = tls;
}

/* The one for `url` becomes the one in use. */
static int choose_carrier(struct channel *channel, const char *url)
{
    struct wire_url parts;
    if (!wire_url_parse(&parts, span_of_string(url)))
        return -EINVAL;
    bool local = parts.scheme == WIRE_SCHEME_IPC;
    struct carrier **place = local ? &channel->local : &channel->remote;
    const struct carrier_kind *kind = local ? &carrier_local : &carrier_nng;
    int rc = *place ? 0 : kind->new (place, channel->loop, &carrier_events, channel);
    if (!rc)
        channel->carrier = *place;
    return rc;
}

int channel_listen(struct channel *channel, const char *url)
{
    channel_reset(channel);
    int rc = choose_carrier(channel, url);
    return rc ? rc : channel->carrier->kind->listen(channel->carrier, url, channel->tls);
}

int channel_dial(struct channel *channel, const char *url)
{
    channel_reset(channel);
    int rc = choose_carrier(channel, url);
    return rc ? rc : channel->carrier->kind->dial(channel->carrier, url, channel->tls);
}

void channel_reset(struct channel *channel)
{
    if (!channel->carrier)
        return;
    send_bundle(channel); /* a last word */
    channel->carrier->kind->reset(channel->carrier);
    forget_peer(channel);
}
