/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ringside-bench-publish SINK PORT USERS SHARED
 *
 * Publishes for users u0 to u<USERS - 1>, as the lines of standard input say, and answers each with
 * one JSON object in a line:
 *
 *   window WINDOW SECONDS BURST   as fast as the audience takes it: WINDOW events at most are under
 *                                 way, BURST one after the other for a user
 *   rate EVENTS SECONDS           so many a second, evenly, to one user after the other
 *   each EVENTS                   so many to each user, as fast as they are taken; answered when
 * they are kept
 */
#include "event-text.h"
#include "shared-count.h"
#include "sink.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define LINE_BYTES 128
#define CHECK_EVERY 16 /* events: a look at the clock and at the window */
#define WINDOW_NAP_NS 100000

struct publisher {
    const struct sink *sink;
    struct shared_count *shared;
    struct event_text text;
    uint64_t *numbers; /* due next, by user */
    uint32_t users;
    uint32_t user; /* whose turn it is */
    uint64_t published;
};

static const struct sink *sink_find(const char *name)
{
    static const struct sink *const sinks[] = {
        &sink_ringside, &sink_nats, &sink_nchan, &sink_ws_redis, &sink_socketio_redis, &sink_floor};
    for (size_t i = 0; i < ARRAY_SIZE(sinks); i++)
        if (strcmp(sinks[i]->name, name) == 0)
            return sinks[i];
    sink_fail(name, "there is no such sink");
}

static void publish(struct publisher *publisher, unsigned burst)
{
    for (unsigned i = 0; i < burst; i++) {
        uint64_t number = publisher->numbers[publisher->user]++;
        publisher->sink->put(publisher->user, event_text_fill(&publisher->text, number));
    }
    publisher->user = (publisher->user + 1) % publisher->users;
    publisher->published += burst;
}

static uint64_t under_way(const struct publisher *publisher, uint64_t since)
{
    uint64_t received = atomic_load_explicit(&publisher->shared->received, memory_order_acquire) -
                        atomic_load_explicit(&publisher->shared->base, memory_order_relaxed);
    return publisher->published - since - received;
}

static void nap_until(int64_t stamp)
{
    int64_t ns = stamp - STAMP_BASE;
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static void publish_window(
    struct publisher *publisher, uint64_t window, double seconds, unsigned burst)
{
    int64_t end = stamp_now() + (int64_t)(seconds * 1e9);
    uint64_t since = publisher->published;
    while (stamp_now() < end) {
        for (unsigned i = 0; i < CHECK_EVERY; i += burst)
            publish(publisher, burst);
        if (under_way(publisher, since) < window)
            continue;
        publisher->sink->flush();
        while (under_way(publisher, since) >= window && stamp_now() < end)
            nap_until(stamp_now() + WINDOW_NAP_NS);
    }
    publisher->sink->flush();
}

static void publish_rate(struct publisher *publisher, double rate, double seconds)
{
    int64_t begin = stamp_now();
    uint64_t count = (uint64_t)(rate * seconds);
    for (uint64_t i = 0; i < count; i++) {
        int64_t due = begin + (int64_t)((double)i / rate * 1e9);
        if (stamp_now() < due)
            nap_until(due);
        publish(publisher, 1);
        publisher->sink->flush();
    }
}

static void publish_each(struct publisher *publisher, unsigned events)
{
    publisher->user = 0;
    for (uint32_t i = 0; i < publisher->users; i++)
        publish(publisher, events);
    publisher->sink->flush();
    if (publisher->sink->settle)
        publisher->sink->settle();
}

static double cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static void obey(struct publisher *publisher, const char *line)
{
    double rate, seconds;
    unsigned long window;
    unsigned burst, events;
    double cpu = cpu_us();
    int64_t begin = stamp_now();
    uint64_t since = publisher->published;
    uint64_t base = atomic_load_explicit(&publisher->shared->received, memory_order_acquire);
    atomic_store_explicit(&publisher->shared->base, base, memory_order_relaxed);
    if (sscanf(line, "window %lu %lf %u", &window, &seconds, &burst) == 3 && burst > 0)
        publish_window(publisher, window, seconds, burst);
    else if (sscanf(line, "rate %lf %lf", &rate, &seconds) == 2)
        publish_rate(publisher, rate, seconds);
    else if (sscanf(line, "each %u", &events) == 1)
        publish_each(publisher, events);
    else
        sink_fail(line, "there is no such command");
    printf("{\"published\":%llu,\"seconds\":%.6f,\"cpu_us\":%.1f}\n",
        (unsigned long long)(publisher->published - since), (double)(stamp_now() - begin) / 1e9,
        cpu_us() - cpu);
}

int main(int argc, char **argv)
{
    static struct publisher publisher;
    char line[LINE_BYTES];
    if (argc != 5) {
        fputs("usage: ringside-bench-publish SINK PORT USERS SHARED\n", stderr);
        return 2;
    }
    publisher.sink = sink_find(argv[1]);
    publisher.users = (uint32_t)atoi(argv[3]);
    publisher.shared = shared_count_map(argv[4]);
    publisher.numbers = calloc(publisher.users, sizeof(*publisher.numbers));
    if (!publisher.shared || !publisher.numbers)
        sink_fail(argv[4], strerror(errno));
    for (uint32_t i = 0; i < publisher.users; i++)
        publisher.numbers[i] = NUMBER_BASE;
    (publisher.sink->data_only ? event_text_init_data : event_text_init)(&publisher.text);
    prctl(PR_SET_TIMERSLACK, 1);
    publisher.sink->open((uint16_t)atoi(argv[2]), publisher.users);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        obey(&publisher, line);
        fflush(stdout);
    }
    return 0;
}
