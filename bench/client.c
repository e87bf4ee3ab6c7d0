/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/codec.h"

#define PATIENCE_SECONDS 300.0
/* As the gateway has them. */
#define CREDIT_WINDOW (4u << 20)
#define CREDIT_STEP (CREDIT_WINDOW / 8)
#define PAGE_BYTES (256u << 10)
/* Handshakes of clients who come at once, between two looks at the link. */
#define OPEN_AT_ONCE 64

static void send_message(struct client *client, const struct wire_message *message)
{
    bench_need(attachment_send(client->attachment, message), "attachment_send");
}

static void grant(struct client *client, uint64_t bytes)
{
    send_message(client, &(struct wire_message){.kind = WIRE_CREDIT, .credit = {.bytes = bytes}});
}

/* An answer has been dealt with: there is room for the next. */
static void give_back(struct client *client, struct span bytes)
{
    send_message(client,
        &(struct wire_message){.kind = WIRE_TAKEN, .taken = {.bytes = wire_answer_cost(bytes)}});
}

/* ---- waiting */

static void on_overdue(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
    bench_need(-ETIMEDOUT, "the broker does not answer");
}

static void on_break(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Until something calls ev_break. */
static void run(struct client *client)
{
    ev_timer overdue;

    ev_timer_init(&overdue, on_overdue, PATIENCE_SECONDS, 0.);
    ev_timer_start(client->loop, &overdue);
    ev_run(client->loop, 0);
    ev_timer_stop(client->loop, &overdue);
}

void client_listen(struct client *client, double seconds)
{
    ev_timer timer;

    ev_timer_init(&timer, on_break, seconds, 0.);
    ev_timer_start(client->loop, &timer);
    ev_run(client->loop, 0);
    ev_timer_stop(client->loop, &timer);
}

/* ---- live events */

static void note_age(struct client *client, const struct event *event)
{
    static const char name[] = "{\"ns\":";
    int64_t written;

    if (!client->recording || client->live_count == CLIENT_SAMPLES ||
        event->data.len < sizeof name || memcmp(event->data.data, name, sizeof name - 1) != 0)
        return;
    written = strtoll(event->data.data + sizeof name - 1, NULL, 10);
    client->live_us[client->live_count++] = (double)(bench_now_ns() - written) / 1000;
}

static void take_live(struct client *client, const struct wire_events *events)
{
    struct event event;

    for (size_t at = 0; event_decode_next(&event, events->events, &at) == 1;)
        note_age(client, &event);
    client->processed += events->events.len;
    if (client->processed < CREDIT_STEP)
        return;
    grant(client, client->processed);
    client->processed = 0;
}

void client_record(struct client *client, bool recording)
{
    client->recording = recording;
    client->live_count = 0;
}

/* ---- cursors */

static void finish(struct client *client, struct cursor *cursor)
{
    cursor->done_ns = bench_now_ns();
    if (--client->done == 0)
        ev_break(client->loop, EVBREAK_ALL);
}

static void read_on(struct client *client, struct cursor *cursor)
{
    send_message(client, &(struct wire_message){.kind = WIRE_READ,
                             .read = {.request = (uint64_t)(cursor - client->cursors) + 1,
                                 .user = span_of_string(cursor->user),
                                 .epoch = span_of_string(cursor->epoch),
                                 .after = cursor->after,
                                 .max_bytes = PAGE_BYTES}});
}

static void take_opened(struct client *client, const struct wire_opened *opened)
{
    struct cursor *cursor = &client->cursors[opened->request - 1];

    if (client->resuming) {
        bench_need(opened->resume == WIRE_RESUME_REPLAY ? 0 : -EPROTO, "a cursor is refused");
        read_on(client, cursor);
        return;
    }
    bench_need(opened->epoch.len < sizeof cursor->epoch ? 0 : -EPROTO, "an epoch is too long");
    memcpy(cursor->epoch, opened->epoch.data, opened->epoch.len);
    cursor->epoch[opened->epoch.len] = '\0';
    cursor->head = opened->head;
    finish(client, cursor);
}

static void take_page(struct client *client, const struct wire_page *page)
{
    struct cursor *cursor = &client->cursors[page->request - 1];

    bench_need(page->status == WIRE_PAGE_OK && page->last > cursor->after ? 0 : -EPROTO, "a page");
    cursor->after = page->last;
    if (cursor->after < page->head)
        read_on(client, cursor);
    else
        finish(client, cursor);
}

static void open_user(struct client *client, struct cursor *cursor, enum wire_open_mode mode)
{
    send_message(client, &(struct wire_message){.kind = WIRE_OPEN,
                             .open = {.request = (uint64_t)(cursor - client->cursors) + 1,
                                 .user = span_of_string(cursor->user),
                                 .mode = mode,
                                 .epoch = span_of_string(cursor->epoch),
                                 .after = cursor->after}});
}

static void close_user(struct client *client, const struct cursor *cursor)
{
    send_message(client, &(struct wire_message){
                             .kind = WIRE_CLOSE, .close = {.user = span_of_string(cursor->user)}});
}

void client_learn(struct client *client, struct cursor *cursors, size_t count, bool stay)
{
    client->cursors = cursors;
    client->resuming = false;
    client->done = count;
    for (size_t i = 0; i < count; i++)
        open_user(client, &cursors[i], WIRE_OPEN_LIVE);
    run(client);
    for (size_t i = 0; i < count && !stay; i++)
        close_user(client, &cursors[i]);
}

void client_resume(struct client *client, struct cursor *cursors, size_t count, uint64_t behind)
{
    client->cursors = cursors;
    client->resuming = true;
    client->done = count;
    for (size_t i = 0; i < count; i++) {
        cursors[i].after = cursors[i].head - behind;
        cursors[i].begun_ns = bench_now_ns();
        open_user(client, &cursors[i], WIRE_OPEN_CURSOR);
        if (i % OPEN_AT_ONCE == 0)
            ev_run(client->loop, EVRUN_NOWAIT);
    }
    if (client->done)
        run(client);
    for (size_t i = 0; i < count; i++) {
        close_user(client, &cursors[i]);
        if (i % OPEN_AT_ONCE == 0)
            ev_run(client->loop, EVRUN_NOWAIT);
    }
}

/* ---- the link */

static void on_message(void *context, const struct wire_message *message)
{
    struct client *client = context;

    switch (message->kind) {
    case WIRE_OPENED: take_opened(client, &message->opened); break;
    case WIRE_PAGE:
        take_page(client, &message->page);
        give_back(client, message->page.events);
        break;
    case WIRE_EVENTS: take_live(client, &message->events); break;
    default: bench_need(-EPROTO, wire_kind_name(message->kind));
    }
}

static void on_ready(void *context, struct span broker_id)
{
    struct client *client = context;

    (void)broker_id;
    grant(client, CREDIT_WINDOW);
    ev_break(client->loop, EVBREAK_ALL);
}

static void on_lost(void *context)
{
    (void)context;
    bench_need(-ENOTCONN, "the link to the broker");
}

static void on_refused(void *context, struct span code, struct span message)
{
    (void)context;
    (void)message;
    fprintf(stderr, "%.*s\n", SPAN_ARG(code));
    bench_need(-EPROTO, "the broker refuses the link");
}

void client_up(struct client *client, const struct bench_page *page, unsigned number)
{
    static const struct attachment_events events = {.on_ready = on_ready,
        .on_message = on_message,
        .on_lost = on_lost,
        .on_refused = on_refused};
    struct attachment_options options = {
        .control_url = client->url, .role = "gateway", .name = "bench", .agents = ""};

    *client = (struct client){.loop = ev_loop_new(0)};
    snprintf(client->url, sizeof client->url, "ipc://%s/%u/run/%s", page->scratch, number,
        WIRE_CONTROL_SOCKET);
    client->live_us = calloc(CLIENT_SAMPLES, sizeof(double));
    bench_need(client->live_us && client->loop ? 0 : -ENOMEM, "client");
    bench_need(attachment_new(&client->attachment, client->loop, &options, &events, client),
        "attachment_new");
    run(client);
}
