/* SPDX-License-Identifier: Apache-2.0 */
#include "broker_link.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define URL_SIZE (PATHS_MAX + 8)

struct broker_link {
    struct attachment *attachment;
    const struct broker_link_events *events;
    void *context;
    char url[URL_SIZE];
};

/* ---- from the broker */

static void handle_assign(struct broker_link *link, const struct wire_assign *assign)
{
    const struct engine_request request = {.run_id = assign->run_id,
        .user_id = assign->user,
        .thread_id = assign->thread_id,
        .request_id = assign->request_id,
        .message_id = assign->message_id,
        .content = assign->content,
        .deadline = assign->deadline};
    link->events->on_assign(link->context, &request, assign->agent);
}

static void handle_resolve(struct broker_link *link, const struct wire_resolve *resolve)
{
    const struct interrupt_answer answer = {.number = resolve->answer,
        .interrupt_id = resolve->interrupt_id,
        .status = resolve->status,
        .payload = resolve->payload};
    link->events->on_resolve(link->context, resolve->run_id, &answer);
}

static void handle_history(struct broker_link *link, const struct wire_history *history)
{
    const struct thread_page page = {.asked = history->ask != 0,
        .after = history->after,
        .trimmed = history->status == WIRE_PAGE_TRIMMED,
        .damaged = history->status == WIRE_PAGE_DAMAGED,
        .oldest = history->oldest,
        .end = history->end,
        .last = history->last,
        .events = history->events};
    link->events->on_history(link->context, history->run_id, &page);
}

static void on_message(void *context, const struct wire_message *message)
{
    struct broker_link *link = context;
    switch (message->kind) {
    case WIRE_ASSIGN: handle_assign(link, &message->assign); break;
    case WIRE_CANCEL:
        link->events->on_cancel(link->context, message->cancel.run_id, message->cancel.reason);
        break;
    case WIRE_KILL: link->events->on_kill(link->context, message->kill.run_id); break;
    case WIRE_RESOLVE: handle_resolve(link, &message->resolve); break;
    case WIRE_HISTORY: handle_history(link, &message->history); break;
    case WIRE_LEAVE: link->events->on_leave(link->context, message->leave.for_good != 0); break;
    default:
        log_warn("broker_link", "the broker sent %s, which is not for workers",
            wire_kind_name(message->kind));
    }
}

static void on_ready(void *context, struct span broker_id)
{
    struct broker_link *link = context;
    log_info("broker_link", "connected to broker %.*s", SPAN_ARG(broker_id));
    link->events->on_ready(link->context);
}

static void on_lost(void *context)
{
    (void)context;
    log_warn("broker_link", "the broker is gone; runs go on, waiting for it to come back");
}

static void on_refused(void *context, struct span code, struct span message)
{
    (void)context;
    log_error("broker_link", "the broker refuses this worker: %.*s (%.*s)", SPAN_ARG(message),
        SPAN_ARG(code));
}

static const struct attachment_events attachment_events = {
    .on_ready = on_ready, .on_message = on_message, .on_lost = on_lost, .on_refused = on_refused};

/* ---- to the broker */

static void send(struct broker_link *link, const struct wire_message *message)
{
    if (!broker_link_ready(link))
        return;
    int rc = attachment_send(link->attachment, message);
    if (rc < 0)
        log_warn("broker_link", "%s could not be sent: %s", wire_kind_name(message->kind),
            strerror(-rc));
}

bool broker_link_ready(const struct broker_link *link)
{
    return link && attachment_ready(link->attachment);
}

void broker_link_running(struct broker_link *link, struct span run_id)
{
    const struct wire_message message = {.kind = WIRE_RUNNING, .running = {.run_id = run_id}};
    send(link, &message);
}

void broker_link_available(struct broker_link *link, size_t slots)
{
    const struct wire_message message = {.kind = WIRE_AVAILABLE, .available = {.slots = slots}};
    send(link, &message);
}

void broker_link_released(
    struct broker_link *link, struct span run_id, const struct engine_refusal *refusal)
{
    const struct wire_message message = {.kind = WIRE_RELEASED,
        .released = {.run_id = run_id,
            .code = span_of_string(refusal->code),
            .message = span_of_string(refusal->message)}};
    send(link, &message);
}

void broker_link_resolved(
    struct broker_link *link, uint64_t answer, const char *code, const char *message)
{
    const struct wire_message resolved = {.kind = WIRE_RESOLVED,
        .resolved = {
            .answer = answer, .code = span_of_string(code), .message = span_of_string(message)}};
    send(link, &resolved);
}

void broker_link_history_read(
    struct broker_link *link, struct span run_id, bool ask, uint64_t after)
{
    const struct wire_message message = {
        .kind = WIRE_HISTORY_READ, .history_read = {.run_id = run_id, .ask = ask, .after = after}};
    send(link, &message);
}

void broker_link_set_agents(struct broker_link *link, const char *agents)
{
    if (!link)
        return;
    const struct wire_message message = {
        .kind = WIRE_AGENTS, .agents = {.agents = span_of_string(agents)}};
    attachment_set_agents(link->attachment, agents);
    send(link, &message);
}

void broker_link_leaving(struct broker_link *link, bool leaving)
{
    const struct wire_message message = {.kind = WIRE_LEAVING, .leaving = {.leaving = leaving}};
    send(link, &message);
}

void broker_link_report(struct broker_link *link, struct span report)
{
    const struct wire_message message = {.kind = WIRE_REPORT, .report = {.body = report}};
    send(link, &message);
}

/* ---- life */

static int make_url(char ret_url[URL_SIZE], const char *run_dir)
{
    char folder[PATHS_MAX];
    char path[PATHS_MAX];
    int rc = paths_run_dir(folder, run_dir);
    if (!rc)
        rc = paths_join(path, folder, WIRE_CONTROL_SOCKET);
    if (!rc)
        snprintf(ret_url, URL_SIZE, "ipc://%s", path);
    return rc;
}

int broker_link_new(struct broker_link **ret_link, const struct broker_link_options *options,
    const struct broker_link_events *events, void *context)
{
    struct broker_link *link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    link->events = events;
    link->context = context;
    int rc = make_url(link->url, options->run_dir);
    const struct attachment_options attachment = {.control_url = link->url,
        .role = "worker",
        .name = options->name,
        .process = options->process,
        .agents = options->agents};
    if (!rc)
        rc =
            attachment_new(&link->attachment, options->loop, &attachment, &attachment_events, link);
    if (rc < 0) {
        free(link);
        return rc;
    }
    *ret_link = link;
    return 0;
}

void broker_link_free(struct broker_link *link)
{
    if (!link)
        return;
    attachment_free(link->attachment);
    free(link);
}
