/* SPDX-License-Identifier: Apache-2.0 */
#include "retained.h"

#include "stream.h"

#include <errno.h>

struct reading {
    const struct retained *retained;
    struct ev_loop *loop;
    enum cli_status status;
    bool over;
};

static void leave(struct reading *reading, enum cli_status status)
{
    if (!reading->over)
        reading->status = status;
    reading->over = true;
    ev_break(reading->loop, EVBREAK_ALL);
}

static void on_open(void *context)
{
    (void)context;
}

static void on_event(void *context, const struct event *event, uint64_t prev)
{
    struct reading *reading = context;
    const struct retained *retained = reading->retained;
    if (reading->over)
        return;
    if (event_first_seq(event) > retained->last ||
        !retained->on_event(retained->context, event, prev) || event->seq >= retained->last)
        leave(reading, CLI_GO_ON);
}

static void on_caught_up(void *context, uint64_t position)
{
    (void)position;
    leave(context, CLI_GO_ON);
}

static void on_gap(void *context, uint64_t from, uint64_t to, const char *reason)
{
    const struct reading *reading = context;
    if (reading->retained->on_gap)
        reading->retained->on_gap(reading->retained->context, from, to, reason);
}

static void on_reply(void *context, const struct wire_reply *reply)
{
    (void)context, (void)reply;
}

static void on_failed(void *context, const char *code, struct span message)
{
    struct reading *reading = context;
    const struct ask *ask = reading->retained->ask;
    if (strcmp(code, "unreachable") == 0)
        leave(reading, cli_unreachable(ask->verb, ask->run_dir));
    else
        leave(reading, cli_fail(CLI_FAILED, ask->verb, "%s: %.*s", code, SPAN_ARG(message)));
}

enum cli_status retained_read(const struct retained *retained)
{
    static const struct stream_events events = {
        .on_open = on_open,
        .on_event = on_event,
        .on_caught_up = on_caught_up,
        .on_gap = on_gap,
        .on_reply = on_reply,
        .on_failed = on_failed,
    };
    struct reading reading = {.retained = retained, .loop = ev_default_loop(0)};
    const struct stream_options options = {.run_dir = retained->ask->run_dir,
        .user = retained->user,
        .verb = retained->ask->verb,
        .mode = WIRE_OPEN_CURSOR,
        .epoch = retained->epoch,
        .after = retained->after};
    struct stream *stream;
    int rc =
        reading.loop ? stream_new(&stream, reading.loop, &options, &events, &reading) : -ENOMEM;
    if (rc)
        return cli_fail(CLI_FAILED, retained->ask->verb, "%s", strerror(-rc));
    ev_run(reading.loop, 0);
    return reading.status;
}
