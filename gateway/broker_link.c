/* SPDX-License-Identifier: Apache-2.0 */
#include "broker_link.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>

/* Live events the broker may have on their way to us, in bytes, and when the window is renewed. */
#define CREDIT_WINDOW (4u << 20)
#define CREDIT_STEP (CREDIT_WINDOW / 8)
#define CALL_TIMEOUT_MS 20000
/* A broker elsewhere is pinged so often; one that owes an answer for so long is gone. */
#define PING_EVERY_MS 2000
#define PONG_WAIT_MS 6000

struct broker_link {
    struct attachment *attachment;
    const struct broker_link_events *events; /* borrowed */
    void *context;
    const char *broker;        /* borrowed; its name, for the log */
    struct counters *counters; /* borrowed */
    struct attachment_options options;
    uint64_t last_request;
    struct map calls;            /* by the bytes of link_call.request */
    struct list_link call_order; /* of struct link_call, link; oldest first */
    bool remote;
    struct link_call ping;
    uint64_t pinged_at;
    uint64_t processed; /* bytes of events not yet given back as credit */
};

/* ---- calls */

static struct span key_of(const uint64_t *request)
{
    return span_of(request, sizeof(*request));
}

static void forget(struct link_call *call)
{
    map_remove(&call->owner->calls, key_of(&call->request));
    list_remove(&call->link);
    call->request = 0;
}

int broker_link_call(struct broker_link *link, struct link_call *call, struct wire_message *message)
{
    assert(!link_call_active(call));
    call->request = ++link->last_request;
    call->owner = link;
    call->asked_at = clock_monotonic_ms();
    message->ping.request = call->request; /* every message with an answer begins with it */
    int rc = map_put(&link->calls, key_of(&call->request), call);
    if (rc) {
        call->request = 0;
        return rc;
    }
    list_init(&call->link);
    list_append(&link->call_order, &call->link);
    rc = broker_link_send(link, message);
    if (rc < 0)
        forget(call);
    return rc < 0 ? rc : 0;
}

void broker_link_cancel(struct link_call *call)
{
    if (link_call_active(call))
        forget(call);
}

static void finish(struct link_call *call, const struct wire_message *answer)
{
    forget(call);
    call->done(call, answer);
}

static void handle_answer(
    struct broker_link *link, uint64_t request, const struct wire_message *answer)
{
    struct link_call *call = map_get(&link->calls, key_of(&request));
    if (call)
        finish(call, answer);
}

/* The kernel tells of the end of a peer on this machine; elsewhere only an answer proves anything.
 */
static void check_there(struct broker_link *link, uint64_t now_ms)
{
    struct wire_message message = {.kind = WIRE_PING};
    if (!link->remote || !broker_link_ready(link))
        return;
    if (link_call_active(&link->ping)) {
        if (now_ms - link->pinged_at < PONG_WAIT_MS)
            return;
        log_warn("broker_link", "%s does not answer", link->broker);
        attachment_give_up(link->attachment);
    } else if (now_ms - link->pinged_at >= PING_EVERY_MS) {
        link->pinged_at = now_ms;
        broker_link_call(link, &link->ping, &message);
    }
}

static void on_pong(struct link_call *call, const struct wire_message *answer)
{
    (void)call; /* that it came is all; when the link is lost there is nothing to do */
    (void)answer;
}

void broker_link_tick(struct broker_link *link, uint64_t now_ms)
{
    check_there(link, now_ms);
    for (;;) {
        struct link_call *call = LIST_FIRST(struct link_call, &link->call_order, link);
        if (!call || now_ms < call->asked_at + CALL_TIMEOUT_MS)
            return;
        finish(call, NULL);
    }
}

/* ---- the stream */

static void grant(struct broker_link *link, uint64_t bytes)
{
    const struct wire_message message = {.kind = WIRE_CREDIT, .credit = {.bytes = bytes}};
    if (broker_link_send(link, &message) < 0)
        log_warn("broker_link", "credit could not be sent; live events may stop until the link is "
                                "made again");
}

static void handle_events(struct broker_link *link, const struct wire_events *events)
{
    link->events->on_events(link->context, events);
    link->processed += events->events.len;
    if (link->processed < CREDIT_STEP)
        return;
    grant(link, link->processed);
    link->processed = 0;
}

/* The answer was put into an outbox, or is for nobody any more. */
static void give_back(struct broker_link *link, struct span bytes)
{
    const struct wire_message message = {
        .kind = WIRE_TAKEN, .taken = {.bytes = wire_answer_cost(bytes)}};
    if (broker_link_send(link, &message) < 0)
        log_warn("broker_link",
            "a page could not be given back; replays may stop until the link is "
            "made again");
}

static void on_message(void *context, const struct wire_message *message)
{
    struct broker_link *link = context;
    switch (message->kind) {
    case WIRE_OPENED: handle_answer(link, message->opened.request, message); break;
    case WIRE_PAGE:
        handle_answer(link, message->page.request, message);
        give_back(link, message->page.events);
        break;
    case WIRE_SNAPSHOT:
        handle_answer(link, message->snapshot.request, message);
        give_back(link, message->snapshot.runs);
        break;
    case WIRE_REPLY: handle_answer(link, message->reply.request, message); break;
    case WIRE_EVENTS: handle_events(link, &message->events); break;
    case WIRE_EPOCH_CHANGED:
        link->events->on_epoch_changed(link->context, &message->epoch_changed);
        break;
    case WIRE_KICK: link->events->on_kick(link->context, message->kick.user); break;
    case WIRE_LEAVE: link->events->on_leave(link->context, message->leave.for_good != 0); break;
    default:
        log_warn("broker_link", "a message that is not for a gateway: %s",
            wire_kind_name(message->kind));
    }
}

/* ---- the link */

static void on_ready(void *context, struct span broker_id)
{
    struct broker_link *link = context;
    log_info("broker_link", "%s is ready, broker %.*s", link->broker, SPAN_ARG(broker_id));
    link->counters->broker_link++;
    link->processed = 0;
    grant(link, CREDIT_WINDOW);
    link->events->on_ready(link->context, link);
}

static void on_lost(void *context)
{
    struct broker_link *link = context;
    struct link_call *call;
    log_warn("broker_link",
        "%s is lost; connections stay, its users' requests are refused until it is back",
        link->broker);
    link->counters->broker_link--;
    link->counters->link_lost++;
    while ((call = LIST_FIRST(struct link_call, &link->call_order, link)))
        finish(call, NULL);
}

static void on_refused(void *context, struct span code, struct span message)
{
    struct broker_link *link = context;
    log_error("broker_link", "%s refuses: %.*s (%.*s); trying again", link->broker,
        SPAN_ARG(message), SPAN_ARG(code));
}

int broker_link_new(struct broker_link **ret_link, struct ev_loop *loop,
    const struct broker_link_options *options, const struct broker_link_events *events,
    void *context)
{
    static const struct attachment_events attachment_events = {
        .on_ready = on_ready,
        .on_message = on_message,
        .on_lost = on_lost,
        .on_refused = on_refused,
    };
    struct broker_link *link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    link->events = events;
    link->context = context;
    link->broker = options->broker;
    link->remote = options->remote;
    link->ping.done = on_pong;
    link->counters = options->counters;
    link->options = (struct attachment_options){.control_url = options->control_url,
        .tls = options->tls,
        .role = "gateway",
        .name = options->name,
        .agents = ""};
    list_init(&link->call_order);
    int rc = attachment_new(&link->attachment, loop, &link->options, &attachment_events, link);
    if (rc < 0) {
        free(link);
        return rc;
    }
    *ret_link = link;
    return 0;
}

int broker_link_renew(struct broker_link *link)
{
    return attachment_renew(link->attachment);
}

void broker_link_free(struct broker_link *link)
{
    if (!link)
        return;
    attachment_free(link->attachment);
    map_deinit(&link->calls);
    free(link);
}

bool broker_link_ready(const struct broker_link *link)
{
    return attachment_ready(link->attachment);
}

int broker_link_send(struct broker_link *link, const struct wire_message *message)
{
    return attachment_send(link->attachment, message);
}
