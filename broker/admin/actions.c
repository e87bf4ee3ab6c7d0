/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an administrator does to the node. Who may write to the control socket may do all of it:
 * the socket's mode is the permission. Answered when the parts concerned have been told; that they
 * did it shows in their lists. (A run is cancelled over a link of its own, as clients do it, since
 * that answer has to wait for a commit.)
 */
#include "admin/admin.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "links/hand_over_port.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* ---- a copy of the history */

/* With a path, raw since it need not be UTF-8: begins one. Without: how the last one stands. */
bool admin_backup(struct broker *broker, struct span path, struct buffer *out)
{
    int rc = path.len ? backup_start(&broker->backup, path) : 0;
    if (rc) {
        buffer_append_char(out, '{');
        json_append_member(out, "state", SPAN_LITERAL("refused"));
        json_append_member(
            out, "reason", span_of_string(rc == -EBUSY ? "another one is running" : strerror(-rc)));
        buffer_append_char(out, '}');
    } else {
        backup_append(&broker->backup, out);
    }
    return true;
}

/* ---- a user's connections */

bool admin_kick(struct admin_request *request)
{
    struct broker *broker = request->broker;
    struct span id;
    uint64_t told = 0;
    if (!admin_identifier(request, "user", &id))
        return false;
    if (!history_find_stream(broker->history, id))
        return admin_refuse(request, "user_not_found", "nobody of this name has a stream");
    const struct wire_message message = {.kind = WIRE_KICK, .kick = {.user = id}};
    LIST_FOR_EACH(struct listener, listener, &broker->router.listeners, router_link)
    {
        if (!map_get(&listener->subscriptions, id))
            continue;
        link_send(listener->link, &message);
        told++;
    }
    broker->counters.users_kicked++;
    log_info("admin", "kick %.*s: %llu gateways told", SPAN_ARG(id), (unsigned long long)told);
    buffer_append_char(request->out, '{');
    json_append_member(request->out, "user_id", id);
    json_append_member_uint(request->out, "told", told);
    buffer_append_char(request->out, '}');
    return true;
}

/* ---- placing */

static bool set_paused(struct admin_request *request, bool paused)
{
    struct broker *broker = request->broker;
    dispatch_pause(&broker->dispatch, paused);
    buffer_append_char(request->out, '{');
    json_append_member_bool(request->out, "paused", paused);
    json_append_member_uint(request->out, "queued", broker->pipeline.queue.count);
    buffer_append_char(request->out, '}');
    return true;
}

bool admin_pause(struct admin_request *request)
{
    return set_paused(request, true);
}

bool admin_resume(struct admin_request *request)
{
    return set_paused(request, false);
}

/* ---- parts that are to leave */

/* A link by the name its process gave itself, or by its pid; NULL and refused: none, or several. */
static struct link *find_part(struct admin_request *request, struct span name)
{
    static const char *const roles[] = {"worker", "gateway"};
    struct link *found = NULL;
    char pid[24];
    for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
        size_t cursor = 0;
        for (struct link *link; (link = links_next(request->broker->links, roles[i], &cursor));) {
            snprintf(pid, sizeof(pid), "%llu", (unsigned long long)link->pid);
            if (!span_is(name, link->name) && !span_is(name, pid))
                continue;
            if (found) {
                admin_refuse(request, "ambiguous", "several parts have this name; use the pid");
                return NULL;
            }
            found = link;
        }
    }
    if (!found)
        admin_refuse(request, "part_not_found", "no worker or gateway of this name is connected");
    return found;
}

static void append_leaving(struct admin_request *request, const char *name, uint64_t pid)
{
    buffer_append_char(request->out, '{');
    json_append_member(request->out, "part", span_of_string(name));
    json_append_member_uint(request->out, "pid", pid);
    buffer_append_char(request->out, '}');
}

bool admin_drain(struct admin_request *request)
{
    struct broker *broker = request->broker;
    struct span name;
    bool restart = json_is_true(json_object_get(request->argument, "restart"));
    if (!admin_identifier(request, "part", &name))
        return false;
    if (span_is(name, "broker")) {
        append_leaving(request, "broker", (uint64_t)getpid());
        broker_leave(broker, !restart);
        return true;
    }
    struct link *link = find_part(request, name);
    if (!link)
        return false;
    const struct wire_message message = {.kind = WIRE_LEAVE, .leave = {.for_good = !restart}};
    log_info("admin", "drain %s (pid %llu)", link->name, (unsigned long long)link->pid);
    append_leaving(request, link->name, link->pid);
    link_send(link, &message);
    return true;
}

/* ---- hand_over: the one thing that is asked by another broker */

bool admin_hand_over(struct broker *broker, struct span versions, struct buffer *out)
{
    if (hand_over_answer(out, versions, clock_wall_ms())) {
        log_info("broker", "handing over to a new broker");
        broker->stopping = true;
        ev_break(broker->loop, EVBREAK_ALL);
    } else {
        log_warn("broker", "not handing over: %.*s", SPAN_ARG(buffer_span(out)));
    }
    return true;
}
