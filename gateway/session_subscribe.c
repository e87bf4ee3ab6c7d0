/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another view on the same connection: from another place, of other threads. It is asked of the
 * broker as a connection's first one is, and the old view goes on until the answer comes. The reply
 * is the seam: what the client was sent before it is of the old view, what comes behind it of the
 * new one. Several may be under way; they are answered in order, each a view of its own.
 *
 * A cursor that cannot be honoured at all is refused and changes nothing: on a new connection it
 * would cost the client what it has built, and here that is still sound.
 */
#include "session_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

static int take_filter(struct session *session, const struct filter *wanted)
{
    struct filter *filter = NULL;
    if (wanted->count) {
        filter = malloc(sizeof(*filter));
        if (!filter)
            return -ENOMEM;
        *filter = *wanted;
    }
    free(session->filter);
    session->filter = filter;
    return 0;
}

static void refuse_expired(
    struct session *session, struct span id, const struct wire_opened *opened)
{
    struct protocol_error error;
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    protocol_error_set(&error, "cursor_expired",
        "the cursor is of another epoch, or ahead of the stream; begin with start");
    control_append_bounds(&data, opened->epoch, opened->head, opened->oldest);
    session_refuse(session, id, &error, buffer_span(&data));
}

static void reply_begun(struct session *session, struct span id, const struct wire_opened *opened)
{
    _cleanup_(buffer_deinit) struct buffer result = BUFFER_INIT;
    const struct control_subscribed subscribed = {.epoch = opened->epoch,
        .head = opened->head,
        .oldest = opened->oldest,
        .runs = opened->runs,
        .resume = session_resume_name(opened->resume)};
    control_append_subscribed(&result, &subscribed);
    session_reply(session, id, buffer_span(&result));
}

static void begin(
    struct session *session, struct session_request *request, const struct wire_opened *opened)
{
    struct protocol_error error;
    const struct protocol_subscribe *subscribe = request->subscribe;
    struct span id = buffer_span(&request->id);
    if (take_filter(session, &subscribe->filter)) {
        protocol_error_set(&error, "internal", "out of memory");
        session_refuse(session, id, &error, SPAN_EMPTY);
        return;
    }
    session_stream_cancel(session);
    session_forget_snapshots(session);
    session->wants_snapshots = subscribe->snapshots;
    session->acked = 0;
    session_begin_view(session, opened, true);
    reply_begun(session, id, opened);
    session_begin_sending(session, opened);
}

/* An epoch of the broker's that is not ours closes every session of the old one, this too. */
static void handle_opened(
    struct session *session, struct session_request *request, const struct wire_opened *opened)
{
    if (!span_is(opened->epoch, session->epoch))
        feed_learn(session->feed, opened->epoch, opened->head);
    else if (opened->resume == WIRE_RESUME_RESET)
        refuse_expired(session, buffer_span(&request->id), opened);
    else
        begin(session, request, opened);
}

static void subscribe_done(struct link_call *call, const struct wire_message *answer)
{
    struct session_request *request = CONTAINER_OF(call, struct session_request, call);
    struct session *session = request->session;
    session_request_take(request);
    if (answer && answer->kind == WIRE_OPENED && session_is_open(session))
        handle_opened(session, request, &answer->opened);
    else if (answer && answer->kind == WIRE_REPLY)
        session_pass_reply(session, buffer_span(&request->id), &answer->reply);
    else
        session_refuse_unavailable(session, buffer_span(&request->id));
    session_request_free(request);
}

static void refuse_filter(struct session *session, struct span id)
{
    struct protocol_error error;
    session->host->counters->refused_filter++;
    protocol_error_set(&error, "invalid_argument", "there are too many threads in the filter");
    session_refuse(session, id, &error, SPAN_EMPTY);
}

void session_handle_subscribe(struct session *session, struct protocol_request *request)
{
    const struct protocol_subscribe *subscribe = request->subscribe;
    if (subscribe->filter.count > session->host->config->gateway_max_filter_threads) {
        refuse_filter(session, buffer_span(&request->id));
        return;
    }
    struct wire_message message = {.kind = WIRE_OPEN,
        .open = {.user = span_of_string(session->user),
            .mode = subscribe->mode,
            .epoch = span_of_string(subscribe->epoch),
            .after = subscribe->after}};
    session_forward(session, request, &message, subscribe_done);
}
