/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-test.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_SECONDS 20.0

struct ev_loop *loop;
struct end server;
struct end client;
char url[96];

static char folder[64];

static void on_message(void *context, const struct wire_message *message)
{
    struct end *end = context;
    assert_int_equal(message->kind, WIRE_PAGE);
    assert_int_equal(message->page.request, end->last + 1);
    assert_int_equal(message->page.events.len, message->page.head);
    end->last = message->page.request;
    end->bytes += message->page.events.len;
    end->received++;
    for (uint64_t until = clock_monotonic_ns() + end->takes_ns; clock_monotonic_ns() < until;)
        ;
}

static void on_peer(void *context, bool connected)
{
    struct end *end = context;
    if (connected) {
        end->arrivals++;
        end->last = 0;
    } else {
        end->departures++;
    }
}

const struct channel_events events = {.on_message = on_message, .on_peer = on_peer};

static void on_overdue(struct ev_loop *overdue_loop, ev_timer *watcher, int event)
{
    (void)overdue_loop;
    (void)event;
    *(bool *)watcher->data = true;
}

void patience_begin(struct patience *patience)
{
    patience->over = false;
    ev_timer_init(&patience->timer, on_overdue, PATIENCE_SECONDS, 0.);
    patience->timer.data = &patience->over;
    ev_timer_start(loop, &patience->timer);
}

void patience_end(struct patience *patience)
{
    ev_timer_stop(loop, &patience->timer);
}

const char *link_path(void)
{
    return url + strlen("ipc://");
}

static int open_ends(void)
{
    loop = ev_loop_new(0);
    server = client = (struct end){0};
    return channel_new(&server.channel, loop, &events, &server) ||
                   channel_new(&client.channel, loop, &events, &client)
               ? -1
               : 0;
}

int open_listener(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ringside-channel-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(url, sizeof(url), "ipc://%s/link.ipc", folder);
    return open_ends() || channel_listen(server.channel, url) ? -1 : 0;
}

void connect_again(void)
{
    assert_int_equal(channel_dial(client.channel, url), 0);
    RUN_UNTIL(channel_connected(server.channel) && channel_connected(client.channel));
}

int open_local(void **state)
{
    if (open_listener(state))
        return -1;
    connect_again();
    return 0;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        abort();
    close(fd);
    return ntohs(address.sin_port);
}

int open_remote(void **state)
{
    (void)state;
    int rc;
    folder[0] = '\0';
    if (open_ends())
        return -1;
    do {
        snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", free_port());
        rc = channel_listen(server.channel, url);
    } while (rc == -EADDRINUSE); /* somebody was faster */
    if (rc)
        return -1;
    connect_again();
    return 0;
}

int close_both(void **state)
{
    (void)state;
    channel_free(client.channel);
    channel_free(server.channel);
    ev_loop_destroy(loop);
    return folder[0] ? rmdir(folder) : 0; /* empty: a listener takes its socket with it */
}

int send_number(struct end *from, uint64_t number, size_t size)
{
    static char filler[2 << 20];
    struct wire_message message = {.kind = WIRE_PAGE,
        .page = {.request = number, .head = size, .events = span_of(filler, size)}};
    return channel_send(from->channel, &message);
}

void assert_works(void)
{
    uint64_t heard = server.received;
    assert_int_equal(send_number(&client, server.last + 1, 5), 0);
    RUN_UNTIL(server.received == heard + 1);
}
