/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_port.h"

#include "base/log.h"
#include "closing.h"

#include <errno.h>

static int on_ready(
    void *context, struct link *link, const struct wire_hello *hello, void **ret_peer)
{
    struct worker_port *port = context;
    uint64_t incarnation;
    if (hello->process > UINT32_MAX ||
        !processes_incarnation(port->processes, (uint32_t)hello->process, &incarnation))
        return -ESRCH; /* it is not attached to this broker's arena */
    struct worker *worker = workers_add(port->workers, link, hello);
    if (!worker)
        return -ENOMEM;
    worker->incarnation = incarnation;
    *ret_peer = worker;
    return 0;
}

static void on_gone(void *context, void *peer)
{
    (void)context;
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

static void close_released(struct worker_port *port, struct run *run)
{
    char code[IDENTIFIER_SIZE];
    char message[IDENTIFIER_SIZE];
    struct closing closing = CLOSING_WORKER_LOST;
    memcpy(code, run->release_code, sizeof(code)); /* the run is freed by its end */
    memcpy(message, run->release_message, sizeof(message));
    if (code[0]) {
        closing.code = code;
        closing.message = message;
        closing.retryable = false;
        closing.tool_status = "cancelled";
    }
    closing_end_run(port->dispatch->pipeline, run, &closing);
}

static void settle_run(struct worker_port *port, struct run *run)
{
    struct worker *worker = workers_find(port->workers, run->process, run->incarnation);
    if (run->released)
        close_released(port, run);
    else if (!worker || !worker->listed || !is_missing(run, worker))
        return;
    else
        dispatch_lose(port->dispatch, run, NULL);
}

static void settle_runs(struct worker_port *port)
{
    const struct map *runs = &port->dispatch->pipeline->runs;
    struct buffer all = BUFFER_INIT;
    size_t cursor = 0;
    for (struct run *run; (run = map_next(runs, &cursor));)
        buffer_append(&all, &run, sizeof(struct run *));
    struct run **each = (struct run **)(void *)all.data;
    for (size_t i = 0; i < all.len / sizeof(struct run *); i++)
        settle_run(port, each[i]);
    buffer_deinit(&all);
}

void worker_port_turn(struct worker_port *port)
{
    if (!port->pending)
        return;
    port->pending = false;
    drain_everything(port->drain);
    settle_runs(port);
    LIST_FOR_EACH(struct worker, worker, &port->workers->list, workers_link)
    {
        worker->announced |= worker->listed;
        worker->listed = false;
    }
}

static void handle_available(
    struct worker_port *port, struct worker *worker, const struct wire_available *message)
{
    worker->slots += message->slots;
    if (worker->announced)
        return;
    worker->listed = true;
    port->pending = true;
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

static void handle_released(
    struct worker_port *port, struct worker *worker, const struct wire_released *message)
{
    worker->slots++;
    worker->runs -= worker->runs > 0;
    struct run *run = own_run(port, worker, message->run_id);
    if (!run)
        return;
    run->released = true;
    run_set_text(run->release_code, message->code);
    run_set_text(run->release_message, message->message);
    port->pending = true;
}

static void on_message(void *context, void *peer, const struct wire_message *message)
{
    struct worker_port *port = context;
    struct worker *worker = peer;
    switch (message->kind) {
    case WIRE_RUNNING: handle_running(port, worker, &message->running); break;
    case WIRE_AVAILABLE: handle_available(port, worker, &message->available); break;
    case WIRE_RELEASED: handle_released(port, worker, &message->released); break;
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
