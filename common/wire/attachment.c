/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States, in order; every failure and every time-out goes back to RESTING:
 *
 *   RESTING   a pause that grows while nothing answers
 *   ASKING    ATTACH is out on the control socket
 *   DIALING   an address is known, the peer is awaited
 *   GREETING  HELLO is out, READY is awaited; what else comes was meant for an earlier peer
 *   READY     the owner's
 *
 * The library's dialer reconnects by itself, but not always: one that was just greeting a broker
 * when that was killed can wait for ever. So after some questions in a row that nobody answered the
 * control socket is dialled anew.
 */
#include "wire/attachment.h"

#include "base/cleanup.h"
#include "base/identifier.h"
#include "base/log.h"
#include "wire/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#define ANSWER_SECONDS 2.0
#define REST_MIN_SECONDS 0.02
#define REST_MAX_SECONDS 0.5
#define UNANSWERED_MAX 2 /* in a row; each takes ANSWER_SECONDS when it was sent at all */

enum state {
    STATE_RESTING,
    STATE_ASKING,
    STATE_DIALING,
    STATE_GREETING,
    STATE_READY,
};

struct attachment {
    struct ev_loop *loop; /* borrowed */
    struct attachment_options options;
    const struct attachment_events *events;
    void *context;
    enum state state;
    nng_socket control;
    nng_dialer dialer;
    bool dialing;
    bool outdated;  /* the dialer's files are not the ones read last */
    int unanswered; /* questions in a row */
    ev_io answered;
    ev_timer timer; /* the state's time limit */
    double rest;    /* seconds of the next pause */
    struct channel *channel;
    struct nng_tls_config *tls; /* NULL: none */
    char instance[IDENTIFIER_MADE_SIZE];
};

static void set_timer(struct attachment *attachment, double seconds)
{
    ev_timer_stop(attachment->loop, &attachment->timer);
    ev_timer_set(&attachment->timer, seconds, 0.);
    ev_timer_start(attachment->loop, &attachment->timer);
}

static void rest(struct attachment *attachment)
{
    bool was_ready = attachment->state == STATE_READY;
    attachment->state = STATE_RESTING;
    channel_reset(attachment->channel);
    set_timer(attachment, attachment->rest);
    attachment->rest *= 2;
    if (attachment->rest > REST_MAX_SECONDS)
        attachment->rest = REST_MAX_SECONDS;
    if (was_ready)
        attachment->events->on_lost(attachment->context);
}

/* ---- asking for an address */

static int send_control(nng_socket socket, const struct wire_message *message)
{
    struct buffer bytes = BUFFER_INIT;
    nng_msg *raw = NULL;
    wire_encode(&bytes, message);
    int rc = buffer_error(&bytes);
    if (!rc && nng_msg_alloc(&raw, 0) != 0)
        rc = -ENOMEM;
    if (!rc && (nng_msg_append(raw, bytes.data, bytes.len) != 0 ||
                   nng_sendmsg(socket, raw, NNG_FLAG_NONBLOCK) != 0)) {
        nng_msg_free(raw);
        rc = -EAGAIN;
    }
    buffer_deinit(&bytes);
    return rc;
}

static int dial_control(struct attachment *attachment)
{
    if (attachment->dialing)
        nng_dialer_close(attachment->dialer);
    attachment->dialing = false;
    attachment->outdated = false;
    attachment->unanswered = 0;
    if (nng_dialer_create(
            &attachment->dialer, attachment->control, attachment->options.control_url))
        return -EINVAL;
    attachment->dialing = true;
    if (attachment->tls &&
        nng_dialer_set_ptr(attachment->dialer, NNG_OPT_TLS_CONFIG, attachment->tls))
        return -EINVAL;
    if (nng_dialer_set_ms(attachment->dialer, NNG_OPT_RECONNMINT, 20) ||
        nng_dialer_set_ms(attachment->dialer, NNG_OPT_RECONNMAXT, 250) ||
        nng_dialer_start(attachment->dialer, NNG_FLAG_NONBLOCK))
        return -EINVAL;
    return 0;
}

static void ask(struct attachment *attachment)
{
    if (++attachment->unanswered > UNANSWERED_MAX || attachment->outdated)
        (void)dial_control(attachment); /* when it fails, it is tried again as often */
    const struct wire_message message = {.kind = WIRE_ATTACH,
        .attach = {.version = WIRE_VERSION,
            .role = span_of_string(attachment->options.role),
            .name = span_of_string(attachment->options.name),
            .pid = (uint64_t)getpid()}};
    if (send_control(attachment->control, &message) < 0) {
        rest(attachment);
        return;
    }
    attachment->state = STATE_ASKING;
    set_timer(attachment, ANSWER_SECONDS);
}

/* A broker does not know by which name it is reached: "*" stands for the host that was asked. */
static int address_of_offer(
    const struct attachment *attachment, char ret_text[WIRE_URL_SIZE], struct span url)
{
    struct wire_url offered, asked;
    if (!wire_url_parse(&offered, url) ||
        !wire_url_parse(&asked, span_of_string(attachment->options.control_url)) ||
        offered.scheme != asked.scheme)
        return -EINVAL;
    if (offered.scheme != WIRE_SCHEME_IPC) {
        offered.host = asked.host;
        return wire_url_format(ret_text, &offered);
    }
    memcpy(ret_text, url.data, url.len);
    ret_text[url.len] = '\0';
    return 0;
}

static void dial(struct attachment *attachment, struct span url)
{
    char text[WIRE_URL_SIZE];
    if (address_of_offer(attachment, text, url) < 0) {
        rest(attachment);
        return;
    }
    attachment->state = STATE_DIALING;
    set_timer(attachment, ANSWER_SECONDS);
    if (channel_dial(attachment->channel, text) < 0)
        rest(attachment);
}

static void handle_answer(struct attachment *attachment, struct span bytes)
{
    struct wire_message message;
    if (attachment->state != STATE_ASKING || wire_decode(&message, bytes) < 0)
        return;
    attachment->unanswered = 0;
    if (message.kind == WIRE_ATTACHED) {
        dial(attachment, message.attached.url);
    } else if (message.kind == WIRE_REFUSED) {
        attachment->rest = REST_MAX_SECONDS;
        rest(attachment);
        attachment->events->on_refused(
            attachment->context, message.refused.code, message.refused.message);
    }
}

static void on_answered(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    struct attachment *attachment = watcher->data;
    nng_msg *raw;
    while (nng_recvmsg(attachment->control, &raw, NNG_FLAG_NONBLOCK) == 0) {
        handle_answer(attachment, span_of(nng_msg_body(raw), nng_msg_len(raw)));
        nng_msg_free(raw);
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct attachment *attachment = watcher->data;
    if (attachment->state == STATE_RESTING)
        ask(attachment);
    else
        rest(attachment);
}

/* ---- the link */

static void greet(struct attachment *attachment)
{
    identifier_make(attachment->instance, "i-");
    const struct wire_message message = {.kind = WIRE_HELLO,
        .hello = {.version = WIRE_VERSION,
            .role = span_of_string(attachment->options.role),
            .name = span_of_string(attachment->options.name),
            .pid = (uint64_t)getpid(),
            .instance = span_of_string(attachment->instance),
            .process = attachment->options.process,
            .agents = span_of_string(attachment->options.agents)}};
    attachment->state = STATE_GREETING;
    set_timer(attachment, ANSWER_SECONDS);
    if (channel_send(attachment->channel, &message) < 0)
        rest(attachment);
}

static void on_peer(void *context, bool connected)
{
    struct attachment *attachment = context;
    if (connected && attachment->state == STATE_DIALING)
        greet(attachment);
    else if (!connected && attachment->state != STATE_RESTING)
        rest(attachment);
}

static void on_message(void *context, const struct wire_message *message)
{
    struct attachment *attachment = context;
    if (attachment->state == STATE_READY) {
        attachment->events->on_message(attachment->context, message);
        return;
    }
    if (attachment->state != STATE_GREETING || message->kind != WIRE_READY ||
        !span_is(message->ready.instance, attachment->instance))
        return;
    ev_timer_stop(attachment->loop, &attachment->timer);
    attachment->state = STATE_READY;
    attachment->rest = REST_MIN_SECONDS;
    attachment->events->on_ready(attachment->context, message->ready.broker_id);
}

static const struct channel_events link_events = {.on_message = on_message, .on_peer = on_peer};

/* ---- life */

/* The name that the broker's certificate must have is that of the address. */
static int make_tls(struct attachment *attachment)
{
    struct wire_url url;
    char name[WIRE_URL_SIZE];
    const char *wrong;
    if (!wire_url_parse(&url, span_of_string(attachment->options.control_url)))
        return -EINVAL;
    if (url.scheme != WIRE_SCHEME_TLS)
        return 0;
    if (!attachment->options.tls)
        return -EINVAL;
    snprintf(name, sizeof(name), "%.*s", SPAN_ARG(url.host));
    int rc = link_tls_new(&attachment->tls, attachment->options.tls, name, &wrong);
    if (rc)
        log_error("attachment", "%s: %s", *wrong ? wrong : "TLS", link_tls_problem(rc));
    channel_secure(attachment->channel, attachment->tls);
    return rc;
}

static int open_control(struct attachment *attachment)
{
    int fd = -1;
    if (nng_req0_open(&attachment->control) != 0)
        return -ENOMEM;
    if (nng_socket_set_ms(attachment->control, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE) ||
        nng_socket_get_int(attachment->control, NNG_OPT_RECVFD, &fd) || dial_control(attachment)) {
        nng_close(attachment->control);
        return -EINVAL;
    }
    ev_io_init(&attachment->answered, on_answered, fd, EV_READ);
    attachment->answered.data = attachment;
    ev_io_start(attachment->loop, &attachment->answered);
    return 0;
}

int attachment_new(struct attachment **ret_attachment, struct ev_loop *loop,
    const struct attachment_options *options, const struct attachment_events *events, void *context)
{
    struct attachment *attachment = calloc(1, sizeof(*attachment));
    if (!attachment)
        return -ENOMEM;
    attachment->loop = loop;
    attachment->options = *options;
    attachment->events = events;
    attachment->context = context;
    attachment->rest = REST_MIN_SECONDS;
    int rc = channel_new(&attachment->channel, loop, &link_events, attachment);
    if (!rc)
        rc = make_tls(attachment);
    if (!rc)
        rc = open_control(attachment);
    if (rc) {
        channel_free(attachment->channel);
        link_tls_free(attachment->tls);
        free(attachment);
        return rc;
    }
    ev_timer_init(&attachment->timer, on_timer, 0., 0.);
    attachment->timer.data = attachment;
    set_timer(attachment, 0.);
    *ret_attachment = attachment;
    return 0;
}

void attachment_free(struct attachment *attachment)
{
    if (!attachment)
        return;
    ev_timer_stop(attachment->loop, &attachment->timer);
    ev_io_stop(attachment->loop, &attachment->answered);
    nng_close(attachment->control);
    channel_free(attachment->channel);
    link_tls_free(attachment->tls);
    free(attachment);
}

int attachment_renew(struct attachment *attachment)
{
    struct nng_tls_config *before = attachment->tls;
    if (!before)
        return 0;
    int rc = make_tls(attachment);
    if (rc)
        return rc;
    link_tls_free(before); /* whoever was made with it has it still */
    attachment->outdated = true;
    return 0;
}

void attachment_give_up(struct attachment *attachment)
{
    if (attachment_ready(attachment))
        rest(attachment);
}

void attachment_set_agents(struct attachment *attachment, const char *agents)
{
    attachment->options.agents = agents;
}

bool attachment_ready(const struct attachment *attachment)
{
    return attachment->state == STATE_READY;
}

int attachment_send(struct attachment *attachment, const struct wire_message *message)
{
    return attachment_ready(attachment) ? channel_send(attachment->channel, message) : -ENOTCONN;
}
