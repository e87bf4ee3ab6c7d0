/* SPDX-License-Identifier: Apache-2.0 */
#include "reads.h"

#include "base/log.h"
#include "failpoints/failpoint.h"

#include <errno.h>
#include <stdlib.h>

#define PAGES_PER_TURN 16
/* Bytes that may wait in a link when another page is added. */
#define LINK_BYTES_MAX (2u << 20)
/* A gateway has one page under way a session; more than this is no gateway. */
#define WAITING_MAX 1000000

struct waiting_read {
    struct list_link link; /* in listener.reads */
    struct user *user;
    uint64_t request;
    uint64_t after;
    uint64_t max_bytes;
    char epoch[HISTORY_EPOCH_SIZE];
};

void reads_init(struct reads *reads, struct users *users, struct router *router)
{
    *reads = (struct reads){.users = users, .router = router, .counters = router->counters};
}

void reads_deinit(struct reads *reads)
{
    buffer_deinit(&reads->page);
}

int reads_add(struct reads *reads, struct listener *listener, const struct wire_read *request)
{
    struct user *user = users_get(reads->users, request->user);
    if (!user)
        return -EINVAL;
    if (listener->reads_waiting == WAITING_MAX)
        return -ENOBUFS;
    struct waiting_read *read = calloc(1, sizeof(*read));
    if (!read)
        return -ENOMEM;
    read->user = user;
    read->request = request->request;
    read->after = request->after;
    read->max_bytes = request->max_bytes < WIRE_PAGE_MAX ? request->max_bytes : WIRE_PAGE_MAX;
    /* An epoch too long to be one of ours stays empty, and is found to be another. */
    if (request->epoch.len < sizeof(read->epoch))
        memcpy(read->epoch, request->epoch.data, request->epoch.len);
    list_append(&listener->reads, &read->link);
    listener->reads_waiting++;
    return 0;
}

static void take_out(struct listener *listener, struct waiting_read *read)
{
    list_remove(&read->link);
    listener->reads_waiting--;
    free(read);
}

void reads_drop(struct listener *listener)
{
    LIST_FOR_EACH(struct waiting_read, read, &listener->reads, link)
    take_out(listener, read);
}

/* 0, or -errno when history cannot be read. */
static int read_page(
    struct reads *reads, const struct waiting_read *read, struct wire_page *ret_page)
{
    const struct history_stream *stream = read->user->stream;
    *ret_page = (struct wire_page){.request = read->request,
        .status = WIRE_PAGE_OK,
        .last = read->after,
        .head = history_shown_head(stream),
        .oldest = history_oldest(stream)};
    buffer_clear(&reads->page);
    if (strcmp(read->epoch, history_epoch(stream)) != 0 || read->after > ret_page->head) {
        ret_page->status = WIRE_PAGE_EPOCH_CHANGED;
        return 0;
    }
    int rc =
        history_read(stream, read->after, (size_t)read->max_bytes, &reads->page, &ret_page->last);
    if (rc == -ERANGE) {
        ret_page->status = WIRE_PAGE_TRIMMED;
        return 0;
    }
    reads->counters->bytes_replayed += reads->page.len;
    ret_page->events = buffer_span(&reads->page);
    return rc ? rc : buffer_error(&reads->page);
}

static void serve(struct reads *reads, struct listener *listener, const struct waiting_read *read)
{
    struct wire_message page = {.kind = WIRE_PAGE};
    int rc = read_page(reads, read, &page.page);
    if (rc) {
        log_error("reads", "history of %s cannot be read: %s", read->user->id, strerror(-rc));
        page = (struct wire_message){.kind = WIRE_REPLY,
            .reply = {.request = read->request,
                .code = SPAN_LITERAL("internal"),
                .message = SPAN_LITERAL("history cannot be read"),
                .retryable = true}};
    }
    link_send(listener->link, &page);
    FAILPOINT(page_served);
}

static bool has_room(const struct listener *listener)
{
    return channel_queued(listener->link->channel) < LINK_BYTES_MAX;
}

static bool serve_listener(struct reads *reads, struct listener *listener)
{
    for (int page = 0; page < PAGES_PER_TURN && has_room(listener); page++) {
        struct waiting_read *first = LIST_FIRST(struct waiting_read, &listener->reads, link);
        if (!first)
            return false;
        serve(reads, listener, first);
        take_out(listener, first);
    }
    /* A link without room wakes the loop when it has some. */
    return !list_empty(&listener->reads) && has_room(listener);
}

bool reads_turn(struct reads *reads)
{
    bool more = false;
    LIST_FOR_EACH(struct listener, listener, &reads->router->listeners, router_link)
    more |= serve_listener(reads, listener);
    return more;
}
