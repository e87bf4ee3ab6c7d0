/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the node: workers, gateways, and the agents that workers have. As many as there are
 * links (LINK_SLOTS_MAX), so their lists need no pages. */
#include "admin/admin.h"

#include "base/json.h"

static void open_list(struct buffer *out, const char *name)
{
    buffer_append_char(out, '{');
    json_append_name(out, name);
    buffer_append_char(out, '[');
}

static void close_list(struct buffer *out)
{
    buffer_append_string(out, "]}");
}

static void open_row(struct buffer *out)
{
    buffer_append_string(out, out->data[out->len - 1] == '[' ? "{" : ",{");
}

static void append_link(struct buffer *out, const struct link *link)
{
    json_append_member(out, "name", span_of_string(link->name));
    json_append_member_uint(out, "pid", link->pid);
}

static void append_report(struct buffer *out, const struct buffer *report)
{
    if (report->len)
        json_append_member_raw(out, "report", buffer_span(report));
}

/* ---- workers */

/* Names, one a line, as the array's elements. */
static void append_agents(struct buffer *out, const char *agents)
{
    json_append_name(out, "agents");
    buffer_append_char(out, '[');
    for (const char *at = agents, *end; *at; at = *end ? end + 1 : end) {
        end = strchrnul(at, '\n');
        if (out->data[out->len - 1] != '[')
            buffer_append_char(out, ',');
        json_append_string(out, span_of(at, (size_t)(end - at)));
    }
    buffer_append_char(out, ']');
}

static const char *worker_state(const struct worker *worker)
{
    if (worker->leaving)
        return "draining";
    return worker->announced ? "serving" : "attaching";
}

/* What was taken of the events that it wrote. */
static void append_account(
    struct buffer *out, const struct drain *drain, const struct worker *worker)
{
    struct drain_account account;
    drain_process_account(drain, worker->process, worker->incarnation, &account);
    json_append_member_uint(out, "events_per_s", account.events_per_s);
    json_append_member_uint(out, "events_taken", account.events);
    json_append_member_uint(out, "slowed", account.held);
}

bool admin_workers(struct admin_request *request)
{
    struct buffer *out = request->out;
    open_list(out, "workers");
    LIST_FOR_EACH(struct worker, worker, &request->broker->workers.list, workers_link)
    {
        open_row(out);
        append_link(out, worker->link);
        json_append_member(out, "state", span_of_string(worker_state(worker)));
        json_append_member_uint(out, "process", worker->process);
        json_append_member_uint(out, "runs", worker->runs);
        json_append_member_uint(out, "room", worker->slots);
        append_account(out, request->broker->drain, worker);
        append_agents(out, worker->agents);
        append_report(out, &worker->report);
        buffer_append_char(out, '}');
    }
    close_list(out);
    return true;
}

/* ---- gateways, and shells that follow a stream */

/* Counted up to a bound: a gateway that stands still may have everybody behind. */
static uint64_t count_behind(const struct listener *listener)
{
    uint64_t count = 0;
    LIST_FOR_EACH(struct subscription, each, &listener->behind, behind_link)
    {
        if (++count == ADMIN_PAGE_LOOKS)
            break;
    }
    return count;
}

bool admin_gateways(struct admin_request *request)
{
    struct buffer *out = request->out;
    open_list(out, "gateways");
    LIST_FOR_EACH(struct listener, listener, &request->broker->router.listeners, router_link)
    {
        open_row(out);
        append_link(out, listener->link);
        json_append_member(out, "role", span_of_string(listener->link->role));
        json_append_member_uint(out, "users", listener->subscriptions.count);
        json_append_member_uint(out, "behind", count_behind(listener));
        json_append_member_uint(
            out, "credit_bytes", listener->credit > 0 ? (uint64_t)listener->credit : 0);
        json_append_member_uint(out, "reads_waiting", listener->reads_waiting);
        append_report(out, &listener->report);
        buffer_append_char(out, '}');
    }
    close_list(out);
    return true;
}

/* ---- agents */

struct agent {
    char name[IDENTIFIER_SIZE];
    uint64_t workers;
    uint64_t room;
};

static struct agent *agent_of(struct map *agents, struct span name)
{
    struct agent *agent = map_get(agents, name);
    if (agent || name.len == 0 || name.len > IDENTIFIER_MAX)
        return agent;
    agent = calloc(1, sizeof(*agent));
    if (!agent)
        return NULL;
    memcpy(agent->name, name.data, name.len);
    if (map_put(agents, span_of_string(agent->name), agent) < 0) {
        free(agent);
        return NULL;
    }
    return agent;
}

static void count_agents(struct map *agents, const struct worker *worker)
{
    for (const char *at = worker->agents, *end; *at; at = *end ? end + 1 : end) {
        end = strchrnul(at, '\n');
        struct agent *agent = agent_of(agents, span_of(at, (size_t)(end - at)));
        if (!agent)
            continue;
        agent->workers++;
        agent->room += worker_has_room(worker) ? worker->slots : 0;
    }
}

static void append_agent(struct buffer *out, const struct agent *agent, const struct config *config)
{
    const struct config_agent *configured = config_find_agent(config, span_of_string(agent->name));
    open_row(out);
    json_append_member(out, "agent", span_of_string(agent->name));
    json_append_member_uint(out, "workers", agent->workers);
    json_append_member_uint(out, "room", agent->room);
    if (configured && configured->description[0])
        json_append_member(out, "description", span_of_string(configured->description));
    buffer_append_char(out, '}');
}

/* Those that connected workers have, and those that are configured and nobody has. */
bool admin_agents(struct admin_request *request)
{
    const struct broker *broker = request->broker;
    struct map agents = {0};
    size_t cursor = 0;
    LIST_FOR_EACH(struct worker, worker, &broker->workers.list, workers_link)
    count_agents(&agents, worker);
    for (size_t i = 0; i < broker->config->agent_count; i++)
        agent_of(&agents, span_of_string(broker->config->agents[i].name));
    open_list(request->out, "agents");
    for (struct agent *agent; (agent = map_next(&agents, &cursor)); free(agent))
        append_agent(request->out, agent, broker->config);
    close_list(request->out);
    map_deinit(&agents);
    return true;
}
