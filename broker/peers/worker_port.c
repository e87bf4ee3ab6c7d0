/* SPDX-License-Identifier: Apache-2.0 */
#include "peers/worker_port.h"

#include "base/log.h"
#include "delivery/worker_history.h"
#include "runs/payload.h"

#include <errno.h>

static int on_ready(
    void *context, struct link *link, const struct wire_hello *hello, void **ret_peer)
{
    struct worker_port *port = context;
    uint64_t incarnation;
    if (hello->process > UINT32_MAX ||
        !processes_incarnation(port->processes, (uint32_t)hello->process, &incarnation) ||
        !processes_has_pid(port->processes, (uint32_t)hello->process, hello->pid))
        return -ESRCH; /* it is not attached to this broker's arena */
    /* It finds out by itself: the fence is in the memory it is attached to. */
    if (processes_fenced(port->processes, (uint32_t)hello->process, incarnation))
        return -EOWNERDEAD;
    /* A link that is gone without our knowledge yet must not be given runs. */
    struct worker *former = workers_find(port->workers, (uint32_t)hello->process, incarnation);
    if (former)
        link_drop(former->link, "its process made another link");
    struct worker *worker = workers_add(port->workers, link, hello);
    if (!worker)
        return -ENOMEM;
    worker->incarnation = incarnation;
    leases_heard(port->leases, worker->process, incarnation);
    *ret_peer = worker;
    return 0;
}

static void on_gone(void *context, void *peer)
{
    struct worker_port *port = context;
    answers_worker_gone(&port->dispatch->answers, peer);
    /* Its runs go on: only the process's death ends them. */
    workers_remove(peer);
}

static struct run *own_run(
    struct worker_port *port, const struct worker *worker, struct span run_id)
{
    struct run *run = pipeline_find(port->dispatch->pipeline, run_id);
    bool own = run && run->placed && run->process == worker->process &&
               run->incarnation == worker->incarnation;
    return own ? run : NULL;
}

/* Runs we gave this process that it does not have: the message was lost with an earlier link. */
static bool is_missing(const struct run *run, const struct worker *worker)
{
    return run->dispatched && run->placed && run->process == worker->process &&
           run->incarnation == worker->incarnation && run->confirmed != worker->link->serial;
}

static void handle_available(
    struct worker_port *port, struct worker *worker, const struct wire_available *message)
{
    worker->slots += message->slots;
    port->workers->changed = true;
    if (worker->announced)
        return;
    worker->announced = true;
    size_t cursor = 0;
    for (struct run *run; (run = map_next(&port->dispatch->pipeline->runs, &cursor));) {
        if (is_missing(run, worker))
            farewell_say(port->farewell, run, FAREWELL_MISSING);
    }
}

static void handle_running(
    struct worker_port *port, struct worker *worker, const struct wire_running *message)
{
    struct run *run = own_run(port, worker, message->run_id);
    if (run) {
        run->confirmed = worker->link->serial;
        worker->runs++;
        return;
    }
    /* Ended here meanwhile: nobody waits for it any more. */
    const struct wire_message kill = {.kind = WIRE_KILL, .kill = {.run_id = message->run_id}};
    link_send(worker->link, &kill);
}

/* Cut between characters, since it becomes part of an event. */
static void keep_message(char kept[RELEASE_MESSAGE_SIZE], struct span message)
{
    struct span text = payload_cut(message, RELEASE_MESSAGE_SIZE - 1);
    if (text.len)
        memcpy(kept, text.data, text.len);
    kept[text.len] = '\0';
}

static void handle_released(
    struct worker_port *port, struct worker *worker, const struct wire_released *message)
{
    worker->slots++;
    port->workers->changed = true;
    worker->runs -= worker->runs > 0;
    struct run *run = own_run(port, worker, message->run_id);
    if (!run)
        return;
    bool sound = message->code.len == 0 || identifier_valid(message->code);
    run_set_text(run->release_code, sound ? message->code : SPAN_LITERAL("agent_failed"));
    keep_message(run->release_message, message->message);
    bool handed_back = span_is(message->code, WIRE_HANDED_BACK);
    farewell_say(port->farewell, run, handed_back ? FAREWELL_HANDED_BACK : FAREWELL_RELEASED);
}

static void handle_leaving(
    struct worker_port *port, struct worker *worker, const struct wire_leaving *message)
{
    port->workers->changed = true;
    worker->leaving = message->leaving != 0;
    log_info("worker_port", "%s takes %s", worker->link->name,
        worker->leaving ? "no more runs" : "runs again");
}

static void handle_agents(
    struct worker_port *port, struct worker *worker, const struct wire_agents *message)
{
    if (workers_set_agents(port->workers, worker, message->agents) < 0)
        log_error("worker_port", "%s: no memory for its agents", worker->link->name);
    else
        log_info("worker_port", "%s has other agents now", worker->link->name);
}

static void handle_history_read(
    struct worker_port *port, struct worker *worker, const struct wire_history_read *message)
{
    struct buffer page = BUFFER_INIT;
    const struct run *run = own_run(port, worker, message->run_id);
    if (!run)
        return; /* it has ended here, and the worker is told so */
    const struct wire_message answer = worker_history_answer(run, message, &page);
    link_send(worker->link, &answer);
    buffer_deinit(&page);
}

static void on_message(void *context, void *peer, const struct wire_message *message)
{
    struct worker_port *port = context;
    struct worker *worker = peer;
    leases_heard(port->leases, worker->process, worker->incarnation);
    switch (message->kind) {
    case WIRE_RUNNING: handle_running(port, worker, &message->running); break;
    case WIRE_AVAILABLE: handle_available(port, worker, &message->available); break;
    case WIRE_RELEASED: handle_released(port, worker, &message->released); break;
    case WIRE_LEAVING: handle_leaving(port, worker, &message->leaving); break;
    case WIRE_AGENTS: handle_agents(port, worker, &message->agents); break;
    case WIRE_RESOLVED:
        answers_resolved(&port->dispatch->answers, worker, &message->resolved);
        break;
    case WIRE_HISTORY_READ: handle_history_read(port, worker, &message->history_read); break;
    case WIRE_REPORT: link_keep_report(&worker->report, &message->report); break;
    default:
        log_warn("worker_port", "%s sent %s, which is none of a worker's messages",
            worker->link->name, wire_kind_name(message->kind));
    }
}

struct link_port worker_port_link(struct worker_port *port)
{
    return (struct link_port){.role = "worker",
        .context = port,
        .on_ready = on_ready,
        .on_message = on_message,
        .on_gone = on_gone};
}
