/* SPDX-License-Identifier: Apache-2.0 */
/* Users: everybody who has a stream, whether the broker has heard of them since its start or not.
 */
#include "admin/admin.h"

#include "base/clock.h"
#include "base/json.h"

static uint64_t count_links(const struct list_link *head)
{
    uint64_t count = 0;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        count++;
    return count;
}

/* `user` is NULL for one who has not been heard of since the start. */
static void append_user(
    struct buffer *out, const struct history_stream *stream, const struct user *user)
{
    struct history_stream_usage usage;
    history_stream_usage(stream, &usage);
    json_append_member(out, "user_id", history_stream_user(stream));
    json_append_member_uint(out, "head", history_shown_head(stream));
    json_append_member_uint(out, "oldest", usage.oldest);
    json_append_member_uint(out, "events", usage.events);
    json_append_member_uint(out, "history_bytes", usage.bytes);
    json_append_member_uint(out, "gateways", user ? count_links(&user->subscriptions) : 0);
    json_append_member_uint(out, "runs", user ? count_links(&user->runs) : 0);
    json_append_member_uint(out, "queued", user ? user->queued : 0);
}

/* What was taken of the user's events, of late and since the broker's start. */
static void append_account(struct buffer *out, const struct drain *drain, const struct user *user)
{
    struct drain_account account;
    drain_user_account(drain, user, &account);
    json_append_member_uint(out, "events_per_s", account.events_per_s);
    json_append_member_uint(out, "events_taken", account.events);
    json_append_member_uint(out, "taken_bytes", account.bytes);
    json_append_member_uint(out, "ring_bytes", account.ring_bytes);
    json_append_member_uint(out, "slowed", account.held);
}

/* Of that, what tells who floods: in the list as well. */
static void append_rate(struct admin_request *request, const struct user *user)
{
    struct drain_account account;
    drain_user_account(request->broker->drain, user, &account);
    json_append_member_uint(request->out, "events_per_s", account.events_per_s);
    json_append_member_uint(request->out, "ring_bytes", account.ring_bytes);
}

/* ---- the list */

static void add_user(void *context, void *value)
{
    struct admin_page *page = context;
    const struct history_stream *stream = value;
    const struct users *users = &page->request->broker->users;
    page->looks++;
    admin_page_row(page);
    const struct user *user = map_get(&users->map, history_stream_user(stream));
    append_user(page->request->out, stream, user);
    if (user)
        append_rate(page->request, user);
    buffer_append_char(page->request->out, '}');
}

bool admin_users(struct admin_request *request)
{
    struct admin_page page;
    if (!admin_page_begin(&page, request, "users"))
        return false;
    do {
        page.cursor = history_scan_streams(request->broker->history, page.cursor, add_user, &page);
        page.looks++;
    } while (page.cursor && admin_page_has_room(&page));
    admin_page_end(&page);
    return true;
}

/* ---- one user */

static void append_subscriptions(struct buffer *out, const struct user *user, uint64_t head)
{
    json_append_name(out, "connected");
    buffer_append_char(out, '[');
    LIST_FOR_EACH(struct subscription, each, &user->subscriptions, user_link)
    {
        buffer_append_string(out, out->data[out->len - 1] == '[' ? "{" : ",{");
        json_append_member(out, "name", span_of_string(each->listener->link->name));
        json_append_member(out, "role", span_of_string(each->listener->link->role));
        json_append_member_uint(out, "sent", each->sent);
        json_append_member_uint(out, "lag", head > each->sent ? head - each->sent : 0);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

/* As many as a page has rows; the list of runs, filtered by the user, has them all. */
static void append_runs(struct buffer *out, const struct user *user)
{
    size_t rows = 0;
    json_append_name(out, "open_runs");
    buffer_append_char(out, '[');
    LIST_FOR_EACH(struct run, run, &user->runs, user_link)
    {
        if (rows++ == ADMIN_PAGE_ROWS)
            break;
        buffer_append_string(out, rows == 1 ? "{" : ",{");
        json_append_member(out, "run_id", span_of_string(run->id));
        json_append_member(out, "thread_id", span_of_string(run->thread_id));
        json_append_member(out, "agent", span_of_string(run->agent));
        json_append_member(out, "state", span_of_string(run_state_name(run->state)));
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

bool admin_user(struct admin_request *request)
{
    struct span id;
    struct broker *broker = request->broker;
    struct buffer *out = request->out;
    if (!admin_identifier(request, "user", &id))
        return false;
    const struct history_stream *stream = history_find_stream(broker->history, id);
    const struct user *user = map_get(&broker->users.map, id);
    if (!stream)
        return admin_refuse(request, "user_not_found", "nobody of this name has a stream");
    buffer_append_char(out, '{');
    append_user(out, stream, user);
    json_append_member(out, "epoch", span_of_string(history_epoch(stream)));
    if (user) {
        append_account(out, broker->drain, user);
        json_append_member_uint(out, "acknowledged", user->acknowledged);
        append_subscriptions(out, user, history_shown_head(stream));
        append_runs(out, user);
    }
    buffer_append_char(out, '}');
    return true;
}
