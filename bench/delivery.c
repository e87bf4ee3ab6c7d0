/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "bench.h"
#include "event/codec.h"
#include "load.h"
#include "wire/channel.h"

#define MESSAGES 25000u
#define QUEUED_MAX (2u << 20) /* bytes that wait before the sender does */

struct end {
    struct ev_loop *loop;
    struct channel *channel;
    bool connected;
    bool answered;
    uint32_t received; /* messages */
};

static double process_cpu_ns(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static void on_message(void *context, const struct wire_message *message)
{
    struct end *end = context;

    end->answered |= message->kind == WIRE_PING;
    if (++end->received < MESSAGES)
        return;
    bench_need(channel_send(
                   end->channel, &(struct wire_message){.kind = WIRE_PING, .ping = {.request = 1}}),
        "channel_send");
}

static void on_peer(void *context, bool connected)
{
    struct end *end = context;

    end->connected = connected;
}

static void end_up(struct end *end, char url[160], const struct bench_page *page)
{
    static const struct channel_events events = {.on_message = on_message, .on_peer = on_peer};

    bench_unpin();
    *end = (struct end){.loop = ev_loop_new(0)};
    snprintf(url, 160, "ipc://%s/link.ipc", page->scratch);
    bench_need(channel_new(&end->channel, end->loop, &events, end), "channel_new");
}

static void receive(struct bench_page *page)
{
    struct end end;
    char url[160];

    end_up(&end, url, page);
    bench_await(page, 1);
    bench_need(channel_dial(end.channel, url), "channel_dial");
    while (end.received < MESSAGES || end.connected)
        ev_run(end.loop, EVRUN_ONCE);
}

static void make_events(struct buffer *ret_events)
{
    struct event event;

    load_event(&event);
    *ret_events = BUFFER_INIT;
    for (event.seq = 1; event.seq <= DELIVERY_SHARE; event.seq++)
        event_encode(ret_events, &event);
}

static void send(struct bench_page *page)
{
    struct end end;
    struct buffer events;
    char url[160];
    double begin;

    end_up(&end, url, page);
    make_events(&events);
    bench_need(channel_listen(end.channel, url), "channel_listen");
    bench_pass(page);
    while (!end.connected)
        ev_run(end.loop, EVRUN_ONCE);
    begin = process_cpu_ns();
    for (uint32_t i = 0; i < MESSAGES; i++) {
        bench_need(channel_send(end.channel, &(struct wire_message){.kind = WIRE_EVENTS,
                                                 .events = {.user = SPAN_LITERAL("user-1"),
                                                     .epoch = SPAN_LITERAL("0123456789abcdef"),
                                                     .events = buffer_span(&events)}}),
            "channel_send");
        ev_run(end.loop, channel_queued(end.channel) > QUEUED_MAX ? EVRUN_ONCE : EVRUN_NOWAIT);
    }
    while (!end.answered)
        ev_run(end.loop, EVRUN_ONCE);
    page->result[0] = (process_cpu_ns() - begin) / MESSAGES / DELIVERY_SHARE;
}

static void part(struct bench_page *page, unsigned number, void *userdata)
{
    (void)userdata;
    if (number == 0)
        send(page);
    else
        receive(page);
}

double delivery_measure(void)
{
    double cost[BENCH_RUNS];

    for (int run = 0; run < BENCH_RUNS; run++) {
        struct bench_page page;

        bench_run(&page, &(struct bench_plan){2, part, NULL});
        cost[run] = page.result[0];
    }
    return bench_percentile(cost, BENCH_RUNS, 0.5);
}
