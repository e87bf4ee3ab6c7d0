/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/gateway_port.h"

#include "peers/run_queries.h"

#include "base/json.h"
#include "base/log.h"

#include <errno.h>

/* ---- where a view begins */

struct view {
    enum wire_resume resume;
    uint64_t start;
    uint64_t gap_from;
    uint64_t gap_to;
};

static struct view view_from_start(const struct history_stream *stream)
{
    return (struct view){.resume = WIRE_RESUME_REPLAY, .start = history_oldest(stream) - 1};
}

/* The cursor is of another numbering, or ahead of this one: begin again with what there is. */
static struct view view_reset(const struct history_stream *stream)
{
    struct view view = view_from_start(stream);
    view.resume = WIRE_RESUME_RESET;
    view.gap_to = view.start;
    return view;
}

/*
 * The client was shown numbers that are lost here. They must not be shown again for others, so the
 * numbering is renewed, which costs a sync. Numbers are lost between two lives of a broker only:
 * in one life a cursor ahead of a stream can be right once, and is then of another epoch. So each
 * user can cause this once a life, whatever cursors it makes up.
 */
static void renew_epoch(struct gateway_port *port, struct user *user)
{
    if (user->renewed || history_renew_epoch(port->history, user->stream) != 0)
        return;
    log_warn("gateway_port", "a cursor of %s is ahead of its stream: new epoch", user->id);
    user->renewed = true;
    port->counters->epochs_renewed++;
    router_announce_epoch(user);
}

static struct view view_ahead(struct gateway_port *port, struct user *user, uint64_t after)
{
    renew_epoch(port, user);
    struct view view = view_reset(user->stream);
    view.gap_from = history_shown_head(user->stream) + 1;
    view.gap_to = after;
    return view;
}

static struct view view_from_cursor(
    struct gateway_port *port, struct user *user, const struct wire_open *request)
{
    struct history_stream *stream = user->stream;
    uint64_t oldest = history_oldest(stream);
    if (!span_is(request->epoch, history_epoch(stream))) {
        port->counters->cursors_reset++;
        return view_reset(stream);
    }
    if (request->after > history_shown_head(stream)) {
        port->counters->cursors_reset++;
        return view_ahead(port, user, request->after);
    }
    if (request->after + 1 < oldest) {
        port->counters->cursors_gap++;
        return (struct view){.resume = WIRE_RESUME_GAP,
            .start = oldest - 1,
            .gap_from = request->after + 1,
            .gap_to = oldest - 1};
    }
    return (struct view){.resume = WIRE_RESUME_REPLAY, .start = request->after};
}

static void append_run(struct buffer *out, const struct run *run)
{
    if (out->data[out->len - 1] != '[')
        buffer_append_char(out, ',');
    buffer_append_char(out, '{');
    json_append_member(out, "run_id", span_of_string(run->id));
    json_append_member(out, "thread_id", span_of_string(run->thread_id));
    json_append_member(out, "agent", span_of_string(run->agent));
    json_append_member(out, "state", span_of_string(run_state_name(run->state)));
    buffer_append_char(out, '}');
}

static struct span runs_json(struct gateway_port *port, const struct user *user)
{
    buffer_clear(&port->scratch);
    buffer_append_char(&port->scratch, '[');
    LIST_FOR_EACH(struct run, run, &user->runs, user_link)
    append_run(&port->scratch, run);
    buffer_append_char(&port->scratch, ']');
    return buffer_span(&port->scratch);
}

static void reply_error(
    struct link *link, uint64_t request, const char *code, const char *message, bool retryable)
{
    const struct wire_message reply = {.kind = WIRE_REPLY,
        .reply = {.request = request,
            .code = span_of_string(code),
            .message = span_of_string(message),
            .retryable = retryable}};
    link_send(link, &reply);
}

static void handle_open(
    struct gateway_port *port, struct listener *listener, const struct wire_open *request)
{
    struct user *user = users_get(port->users, request->user);
    if (!user || request->mode >= WIRE_OPEN_MODES) {
        reply_error(
            listener->link, request->request, "invalid_argument", "no such user or mode", false);
        return;
    }
    uint64_t head = history_shown_head(user->stream);
    struct view view = {.resume = WIRE_RESUME_LIVE, .start = head};
    if (request->mode == WIRE_OPEN_START)
        view = view_from_start(user->stream);
    else if (request->mode == WIRE_OPEN_CURSOR)
        view = view_from_cursor(port, user, request);
    if (router_subscribe(listener, user, head) < 0) {
        reply_error(listener->link, request->request, "internal", "out of memory", true);
        return;
    }
    const struct wire_message opened = {.kind = WIRE_OPENED,
        .opened = {.request = request->request,
            .resume = view.resume,
            .epoch = span_of_string(history_epoch(user->stream)),
            .start = view.start,
            .head = head,
            .oldest = history_oldest(user->stream),
            .gap_from = view.gap_from,
            .gap_to = view.gap_to,
            .runs = runs_json(port, user)}};
    link_send(listener->link, &opened);
}

/* ---- reading */

static void answer_read(struct listener *listener, uint64_t request, int rc)
{
    if (rc == -EINVAL)
        reply_error(listener->link, request, "invalid_argument", "no such user", false);
    else if (rc)
        reply_error(listener->link, request, "internal", strerror(-rc), true);
}

static void handle_read(
    struct gateway_port *port, struct listener *listener, const struct wire_read *request)
{
    answer_read(listener, request->request, reads_add(port->reads, listener, request));
}

static void handle_snapshot_read(
    struct gateway_port *port, struct listener *listener, const struct wire_snapshot_read *request)
{
    answer_read(listener, request->request, reads_add_snapshot(port->reads, listener, request));
}

/* ---- requests that change something: answered after the turn's commit */

static bool refuse_stalled(struct gateway_port *port, struct listener *listener, uint64_t request)
{
    if (port->stalled)
        reply_error(listener->link, request, "unavailable", GATEWAY_PORT_STALLED, true);
    return port->stalled;
}

static void reply_answer(struct gateway_port *port, struct listener *listener, uint64_t request,
    const struct answer *answer)
{
    buffer_clear(&port->scratch);
    if (!answer->code) {
        buffer_append_char(&port->scratch, '{');
        json_append_member(&port->scratch, "run_id", span_of_string(answer->run_id));
        json_append_member(&port->scratch, "status", span_of_string(answer->status));
        buffer_append_char(&port->scratch, '}');
    }
    const struct wire_reply reply = {.request = request,
        .code = span_of_string(answer->code),
        .message = span_of_string(answer->message),
        .retryable = answer->retryable,
        .result = buffer_span(&port->scratch)};
    effects_add_reply(port->effects, listener->link, &reply);
}

static void handle_chat(
    struct gateway_port *port, struct listener *listener, const struct wire_chat_send *request)
{
    struct answer answer;
    if (refuse_stalled(port, listener, request->request))
        return;
    dispatch_chat(port->dispatch, request, &answer);
    reply_answer(port, listener, request->request, &answer);
}

static void handle_cancel(
    struct gateway_port *port, struct listener *listener, const struct wire_run_cancel *request)
{
    struct answer answer;
    if (refuse_stalled(port, listener, request->request))
        return;
    dispatch_cancel(port->dispatch, request, &answer);
    reply_answer(port, listener, request->request, &answer);
}

/* ---- questions: answered like those above, so that nothing is told that may be lost */

static void reply_query(struct gateway_port *port, struct listener *listener, uint64_t request,
    const char *code, const char *message)
{
    const struct wire_reply reply = {.request = request,
        .code = span_of_string(code),
        .message = span_of_string(code ? message : NULL),
        .retryable = code && strcmp(code, "internal") == 0,
        .result = code ? SPAN_EMPTY : buffer_span(&port->scratch)};
    effects_add_reply(port->effects, listener->link, &reply);
}

static void handle_runs_list(
    struct gateway_port *port, struct listener *listener, const struct wire_runs_list *request)
{
    const char *message;
    buffer_clear(&port->scratch);
    if (refuse_stalled(port, listener, request->request))
        return;
    const char *code = run_query_list(port, request, &port->scratch, &message);
    reply_query(port, listener, request->request, code, message);
}

static void handle_run_get(
    struct gateway_port *port, struct listener *listener, const struct wire_run_get *request)
{
    const char *message;
    buffer_clear(&port->scratch);
    if (refuse_stalled(port, listener, request->request))
        return;
    const char *code = run_query_get(port, request, &port->scratch, &message);
    reply_query(port, listener, request->request, code, message);
}

/* ---- what is heard */

static void handle_answer(struct gateway_port *port, struct listener *listener,
    const struct wire_interrupt_respond *request)
{
    if (!refuse_stalled(port, listener, request->request))
        answers_respond(&port->dispatch->answers, listener->link, request);
}

static void acknowledge(struct gateway_port *port, struct user *user, uint64_t seq)
{
    user->acknowledged = seq;
    drain_acknowledged(port->drain, user);
}

void gateway_port_watch(void *context, const struct user *user)
{
    drain_watch(context, user);
}

/* Who sees only some threads speaks for none of the others. */
static void handle_ack(struct gateway_port *port, const struct wire_ack *message)
{
    struct user *user = users_get(port->users, message->user);
    if (user && !message->filtered && span_is(message->epoch, history_epoch(user->stream)) &&
        message->seq <= history_shown_head(user->stream) && message->seq > user->acknowledged)
        acknowledge(port, user, message->seq);
}

static void handle_ping(struct listener *listener, const struct wire_ping *message)
{
    const struct wire_message reply = {
        .kind = WIRE_REPLY, .reply = {.request = message->request, .result = SPAN_LITERAL("{}")}};
    link_send(listener->link, &reply);
}

/* ---- the port */

static int on_ready(
    void *context, struct link *link, const struct wire_hello *hello, void **ret_peer)
{
    (void)hello;
    struct gateway_port *port = context;
    struct listener *listener = router_add_listener(port->router, link);
    if (!listener)
        return -ENOMEM;
    *ret_peer = listener;
    return 0;
}

static void on_gone(void *context, void *peer)
{
    struct gateway_port *port = context;
    reads_drop(peer);
    router_remove_listener(port->router, peer);
}

static void on_message(void *context, void *peer, const struct wire_message *message)
{
    struct gateway_port *port = context;
    struct listener *listener = peer;
    switch (message->kind) {
    case WIRE_OPEN: handle_open(port, listener, &message->open); break;
    case WIRE_CLOSE: router_unsubscribe(listener, message->close.user); break;
    case WIRE_READ: handle_read(port, listener, &message->read); break;
    case WIRE_SNAPSHOT_READ: handle_snapshot_read(port, listener, &message->snapshot_read); break;
    case WIRE_TAKEN: reads_taken(listener, message->taken.bytes); break;
    case WIRE_CREDIT: router_grant(listener, message->credit.bytes); break;
    case WIRE_ACK: handle_ack(port, &message->ack); break;
    case WIRE_CHAT_SEND: handle_chat(port, listener, &message->chat_send); break;
    case WIRE_RUN_CANCEL: handle_cancel(port, listener, &message->run_cancel); break;
    case WIRE_INTERRUPT_RESPOND: handle_answer(port, listener, &message->interrupt_respond); break;
    case WIRE_RUNS_LIST: handle_runs_list(port, listener, &message->runs_list); break;
    case WIRE_RUN_GET: handle_run_get(port, listener, &message->run_get); break;
    case WIRE_PING: handle_ping(listener, &message->ping); break;
    case WIRE_REPORT: link_keep_report(&listener->report, &message->report); break;
    default:
        log_warn("gateway_port", "%s sent %s, which is none of a gateway's messages",
            listener->link->name, wire_kind_name(message->kind));
    }
}

struct link_port gateway_port_link(struct gateway_port *port, const char *role)
{
    return (struct link_port){.role = role,
        .context = port,
        .on_ready = on_ready,
        .on_message = on_message,
        .on_gone = on_gone};
}
