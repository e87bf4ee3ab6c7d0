/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/run_queries.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "history/messages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- a record */

static void append_id(struct buffer *out, const char *name, const char *id)
{
    if (id[0])
        json_append_member(out, name, span_of_string(id));
}

static void append_record(struct buffer *out, const struct run *run)
{
    buffer_append_char(out, '{');
    json_append_member(out, "run_id", span_of_string(run->id));
    append_id(out, "thread_id", run->thread_id);
    append_id(out, "agent", run->agent);
    json_append_member(out, "state", span_of_string(run_state_name(run->state)));
    json_append_member_bool(out, "ended", run_state_final(run->state));
    append_id(out, "request_id", run->request_id);
    append_id(out, "message_id", run->message_id);
    append_id(out, "retry_of", run->retry_of);
    if (run->accepted_ms)
        json_append_member_uint(out, "accepted_at", run->accepted_ms);
    if (run->deadline_ms)
        json_append_member_uint(out, "deadline_at", run->deadline_ms);
    if (run->first_seq)
        json_append_member_uint(out, "first_seq", run->first_seq);
    buffer_append_char(out, '}');
}

/* A run that has ended is made again from its record, looked at, and let go. -ENOENT when it is
 * none of this user's. */
static int find_ended(
    struct run **ret_run, struct gateway_port *port, struct user *user, struct span run_id)
{
    _cleanup_(buffer_deinit) struct buffer record = BUFFER_INIT;
    struct span user_id;
    enum run_state state;
    int rc = history_find_run(port->history, run_id, &record);
    if (!rc)
        rc = run_peek(buffer_span(&record), &user_id, &state);
    if (!rc && !span_is(user_id, user->id))
        rc = -ENOENT;
    return rc ? rc : run_decode(ret_run, user, run_id, buffer_span(&record));
}

/* ---- one */

static const char *unreadable(int rc, const char **ret_message)
{
    *ret_message =
        rc == -ENOENT ? "no such run, or it is remembered no more" : "history cannot be read";
    return rc == -ENOENT ? "run_not_found" : "internal";
}

const char *run_query_get(struct gateway_port *port, const struct wire_run_get *request,
    struct buffer *out, const char **ret_message)
{
    struct user *user = users_get(port->users, request->user);
    struct run *ended = NULL;
    if (!user)
        return unreadable(-ENOENT, ret_message);
    const struct run *open = pipeline_find(port->dispatch->pipeline, request->run_id);
    int rc = open ? 0 : find_ended(&ended, port, user, request->run_id);
    if (open && open->user != user)
        rc = -ENOENT;
    const struct run *found = open ? open : ended;
    if (rc || !found)
        return unreadable(rc, ret_message);
    append_record(out, found);
    run_free(ended);
    return NULL;
}

/* ---- the list */

struct runs_page {
    struct gateway_port *port;
    const struct wire_runs_list *request;
    struct user *user;
    struct buffer *out;
    enum run_state state; /* RUN_STATE_COUNT: any */
    size_t rows;
    size_t looks;
    char next[IDENTIFIER_SIZE + 8]; /* "": this is the last page */
};

static bool is_full(const struct runs_page *page)
{
    return page->rows >= page->request->limit || page->rows >= RUN_QUERY_ROWS ||
           page->looks >= RUN_QUERY_LOOKS;
}

static void look_at(struct runs_page *page, const struct run *run)
{
    page->looks++;
    if (page->state != RUN_STATE_COUNT && page->state != run->state)
        return;
    if (page->request->thread_id.len && !span_is(page->request->thread_id, run->thread_id))
        return;
    if (page->rows++)
        buffer_append_char(page->out, ',');
    append_record(page->out, run);
}

/* Whether all of them were looked at. */
static bool add_open(struct runs_page *page, uint64_t after)
{
    LIST_FOR_EACH(const struct run, run, &page->user->runs, user_link)
    {
        if (run->serial <= after)
            continue;
        if (is_full(page))
            return false;
        look_at(page, run);
        snprintf(page->next, sizeof(page->next), "o%" PRIu64, run->serial);
    }
    return true;
}

static int add_message(struct runs_page *page, struct span run_id)
{
    struct run *run = NULL;
    page->looks++;
    if (pipeline_find(page->port->dispatch->pipeline, run_id))
        return 0;
    int rc = find_ended(&run, page->port, page->user, run_id);
    if (run) {
        page->looks--;
        look_at(page, run);
    }
    run_free(run);
    return rc == -ENOENT ? 0 : rc; /* its request is remembered for longer than itself */
}

/* 0, 1 when the page is full, -errno. */
static int add_listed(struct runs_page *page, const struct message_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct found_message *found = &list->messages[i];
        if (is_full(page))
            return 1;
        int rc = add_message(page, span_of(found->run_id, found->run_len));
        if (rc)
            return rc;
        snprintf(
            page->next, sizeof(page->next), "m%.*s", (int)found->message_len, found->message_id);
    }
    return 0;
}

/* 0 when all of them were looked at, 1 when the page is full, -errno. */
static int add_ended(struct runs_page *page, struct span after)
{
    struct message_list list;
    for (;;) {
        int rc = history_list_messages(
            page->port->history, span_of_string(page->user->id), after, &list);
        if (rc || !list.count)
            return rc;
        rc = add_listed(page, &list);
        if (rc)
            return rc;
        after = span_of_string(page->next + 1);
    }
}

static bool wants(const struct runs_page *page, bool ended)
{
    return page->state == RUN_STATE_COUNT || run_state_final(page->state) == ended;
}

static bool read_serial(uint64_t *ret_serial, struct span text)
{
    uint64_t serial = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        serial = serial * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_serial = serial;
    return text.len > 0 && text.len < 20;
}

/* 0, -EINVAL when `after` is no page's, -errno. */
static int fill(struct runs_page *page)
{
    uint64_t serial = 0;
    struct span after = page->request->after;
    struct span message = SPAN_EMPTY;
    char kind = after.len ? after.data[0] : 'o';
    struct span name = after.len ? span_of(after.data + 1, after.len - 1) : SPAN_EMPTY;
    if (kind == 'm' && name.len <= IDENTIFIER_MAX)
        message = name;
    else if (kind != 'o' || (after.len && !read_serial(&serial, name)))
        return -EINVAL;
    if (kind == 'o' && wants(page, false) && !add_open(page, serial))
        return 0;
    int rc = wants(page, true) ? add_ended(page, message) : 0;
    if (rc == 0)
        page->next[0] = '\0';
    return rc < 0 ? rc : 0;
}

static bool read_state(enum run_state *ret_state, struct span name)
{
    *ret_state = RUN_STATE_COUNT;
    for (unsigned state = 0; state < RUN_STATE_COUNT; state++) {
        if (span_is(name, run_state_name((enum run_state)state)))
            *ret_state = (enum run_state)state;
    }
    return name.len == 0 || *ret_state != RUN_STATE_COUNT;
}

const char *run_query_list(struct gateway_port *port, const struct wire_runs_list *request,
    struct buffer *out, const char **ret_message)
{
    struct runs_page page = {.port = port,
        .request = request,
        .user = users_get(port->users, request->user),
        .out = out};
    *ret_message = "params.state is none of a run's states";
    if (!read_state(&page.state, request->state))
        return "invalid_argument";
    if (!page.user)
        return unreadable(-ENOENT, ret_message);
    buffer_append_string(out, "{\"runs\":[");
    int rc = fill(&page);
    buffer_append_char(out, ']');
    if (page.next[0])
        json_append_member(out, "next", span_of_string(page.next));
    buffer_append_char(out, '}');
    *ret_message = "params.after is not the next of a page";
    return rc == 0 ? NULL : rc == -EINVAL ? "invalid_argument" : unreadable(-EIO, ret_message);
}
