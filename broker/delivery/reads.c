/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery/reads.h"

#include "base/json.h"
#include "base/log.h"
#include "failpoints/failpoint.h"
#include "wire/snapshot.h"

#include <errno.h>
#include <stdlib.h>

/* Bytes that may wait for the socket when another answer is added. */
#define LINK_BYTES_MAX (2u << 20)

enum read_kind { READ_PAGE, READ_SNAPSHOT };

struct waiting_read {
    struct list_link link; /* in listener.reads */
    struct user *user;
    enum read_kind kind;
    uint64_t request;
    uint64_t after; /* a number of the stream, or a run's serial */
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
    buffer_deinit(&reads->body);
}

/* ---- the line */

struct question {
    struct span user;
    struct span epoch;
    struct waiting_read read;
};

static int add(struct reads *reads, struct listener *listener, const struct question *question)
{
    struct user *user = users_get(reads->users, question->user);
    if (!user)
        return -EINVAL;
    if (listener->reads_waiting == READS_WAITING_MAX)
        return -ENOBUFS;
    struct waiting_read *read = malloc(sizeof(*read));
    if (!read)
        return -ENOMEM;
    *read = question->read;
    read->user = user;
    /* An epoch too long to be one of ours stays empty, and is found to be another. */
    if (question->epoch.len && question->epoch.len < sizeof(read->epoch))
        memcpy(read->epoch, question->epoch.data, question->epoch.len);
    list_append(&listener->reads, &read->link);
    listener->reads_waiting++;
    return 0;
}

int reads_add(struct reads *reads, struct listener *listener, const struct wire_read *request)
{
    const struct question question = {.user = request->user,
        .epoch = request->epoch,
        .read = {.kind = READ_PAGE,
            .request = request->request,
            .after = request->after,
            .max_bytes =
                request->max_bytes < READS_PAGE_MAX ? request->max_bytes : READS_PAGE_MAX}};
    return add(reads, listener, &question);
}

int reads_add_snapshot(
    struct reads *reads, struct listener *listener, const struct wire_snapshot_read *request)
{
    const struct question question = {.user = request->user,
        .epoch = request->epoch,
        .read = {.kind = READ_SNAPSHOT,
            .request = request->request,
            .after = request->after,
            .max_bytes = READS_PAGE_MAX}};
    return add(reads, listener, &question);
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

void reads_taken(struct listener *listener, uint64_t bytes)
{
    listener->reads_under_way -=
        bytes < listener->reads_under_way ? bytes : listener->reads_under_way;
}

/* ---- pages */

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
    if (rc == -ENODATA) {
        log_warn("reads", "events %llu to %llu of %s are lost: the history is damaged there",
            (unsigned long long)read->after + 1, (unsigned long long)ret_page->last,
            read->user->id);
        reads->counters->reads_damaged++;
        ret_page->status = WIRE_PAGE_DAMAGED;
        ret_page->oldest = ret_page->last + 1;
        ret_page->last = read->after;
        return 0;
    }
    reads->counters->bytes_replayed += reads->page.len;
    ret_page->events = buffer_span(&reads->page);
    return rc ? rc : buffer_error(&reads->page);
}

static void send_answer(
    struct reads *reads, struct listener *listener, const struct wire_message *answer)
{
    listener->reads_under_way += wire_answer_cost(buffer_span(&reads->page));
    reads->served += READS_TURN_EACH + reads->page.len;
    link_send(listener->link, answer);
    FAILPOINT(page_served);
}

static void send_failure(
    struct listener *listener, const struct waiting_read *read, const char *why)
{
    const struct wire_message reply = {.kind = WIRE_REPLY,
        .reply = {.request = read->request,
            .code = SPAN_LITERAL("internal"),
            .message = span_of_string(why),
            .retryable = true}};
    link_send(listener->link, &reply);
}

static void serve_page(
    struct reads *reads, struct listener *listener, const struct waiting_read *read)
{
    struct wire_message page = {.kind = WIRE_PAGE};
    int rc = read_page(reads, read, &page.page);
    if (!rc) {
        send_answer(reads, listener, &page);
        return;
    }
    log_error("reads", "history of %s cannot be read: %s", read->user->id, strerror(-rc));
    send_failure(listener, read, "history cannot be read");
}

/* ---- snapshots */

static void append_run(struct reads *reads, const struct run *run, uint64_t seq)
{
    struct buffer *body = &reads->body;
    buffer_clear(body);
    buffer_append_char(body, '{');
    json_append_member(body, "run_id", span_of_string(run->id));
    json_append_member(body, "thread_id", span_of_string(run->thread_id));
    json_append_member(body, "agent", span_of_string(run->agent));
    json_append_member(body, "state", span_of_string(run_state_name(run->state)));
    json_append_member_uint(body, "seq", seq);
    snapshot_append(body, &run->snapshot);
    buffer_append_char(body, '}');
    const struct wire_snapshot_run packed = {span_of_string(run->thread_id), buffer_span(body)};
    wire_snapshot_append(&reads->page, &packed);
    reads->page.broken |= body->broken;
}

/* One run at least, then as many as fit. */
static void append_runs(
    struct reads *reads, const struct waiting_read *read, struct wire_snapshot *snapshot)
{
    LIST_FOR_EACH(struct run, run, &read->user->runs, user_link)
    {
        if (run->serial <= read->after)
            continue;
        if (reads->page.len >= read->max_bytes) {
            snapshot->more = true;
            return;
        }
        append_run(reads, run, snapshot->seq);
        snapshot->last = run->serial;
    }
}

static void serve_snapshot(
    struct reads *reads, struct listener *listener, const struct waiting_read *read)
{
    const struct history_stream *stream = read->user->stream;
    struct wire_message answer = {.kind = WIRE_SNAPSHOT,
        .snapshot = {.request = read->request,
            .user = span_of_string(read->user->id),
            .status = WIRE_PAGE_OK,
            .seq = history_shown_head(stream)}};
    buffer_clear(&reads->page);
    if (strcmp(read->epoch, history_epoch(stream)) != 0)
        answer.snapshot.status = WIRE_PAGE_EPOCH_CHANGED;
    else
        append_runs(reads, read, &answer.snapshot);
    answer.snapshot.runs = buffer_span(&reads->page);
    if (buffer_error(&reads->page)) {
        buffer_clear(&reads->page);
        send_failure(listener, read, "out of memory");
        return;
    }
    reads->counters->snapshots_sent++;
    send_answer(reads, listener, &answer);
}

/* What a run shows includes all that is staged: it must be shown before it may be told. */
static bool may_tell(const struct waiting_read *read)
{
    const struct history_stream *stream = read->user->stream;
    return read->kind != READ_SNAPSHOT || history_head(stream) == history_shown_head(stream);
}

/* ---- turns */

static bool has_room(const struct listener *listener)
{
    return listener->reads_under_way < READS_WINDOW &&
           channel_queued(listener->link->channel) < LINK_BYTES_MAX;
}

/* Whether something is left for the next turn. */
static bool serve_listener(struct reads *reads, struct listener *listener)
{
    LIST_FOR_EACH(struct waiting_read, read, &listener->reads, link)
    {
        if (!has_room(listener))
            return false;
        if (!may_tell(read))
            continue;
        if (reads->served >= READS_TURN)
            return true;
        if (read->kind == READ_SNAPSHOT)
            serve_snapshot(reads, listener, read);
        else
            serve_page(reads, listener, read);
        take_out(listener, read);
    }
    return false;
}

bool reads_turn(struct reads *reads)
{
    struct list_link *listeners = &reads->router->listeners;
    reads->served = 0;
    LIST_FOR_EACH(struct listener, listener, listeners, router_link)
    {
        if (!serve_listener(reads, listener))
            continue;
        list_remove(&listener->router_link);
        list_append(listeners, &listener->router_link);
        return true;
    }
    return false;
}
