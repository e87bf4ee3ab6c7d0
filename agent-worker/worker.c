/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include "base/json.h"
#include "base/log.h"
#include "base/ready.h"
#include "emitter/emitter.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTACH_SECONDS 0.1
#define TICK_SECONDS 1.0
/* How long a leaving worker waits for room in full rings, beyond the agents' own grace times. */
#define LEAVE_SLACK_MS 2000
/* For the last messages to be sent, which the message library does not tell. Were they lost, the
 * process's death would say the same. */
#define LINGER_MS 100

static void leave(struct worker *worker)
{
    ev_break(worker->loop, EVBREAK_ALL);
}

static void tick_in(struct worker *worker, double seconds)
{
    ev_timer_stop(worker->loop, &worker->tick);
    ev_timer_set(&worker->tick, seconds, 0.);
    ev_timer_start(worker->loop, &worker->tick);
}

static void set_limit(struct worker *worker, uint64_t ms)
{
    ev_timer_stop(worker->loop, &worker->drain_limit);
    ev_timer_set(&worker->drain_limit, (double)ms / 1000., 0.);
    ev_timer_start(worker->loop, &worker->drain_limit);
}

/* ---- the supervisor's events */

static void on_released(void *context, struct span run_id, const struct engine_refusal *refusal)
{
    struct worker *worker = context;
    broker_link_released(worker->link, run_id, refusal);
    if (worker->state == WORKER_DRAINING && supervisor_count(&worker->supervisor) == 0)
        set_limit(worker, LINGER_MS);
}

static void on_settled(void *context, uint64_t answer, const char *code, const char *message)
{
    struct worker *worker = context;
    broker_link_resolved(worker->link, answer, code, message);
}

/* Without a link it is asked when there is one again. */
static void on_recall(void *context, struct span run_id, bool ask, uint64_t after)
{
    struct worker *worker = context;
    broker_link_history_read(worker->link, run_id, ask, after);
}

static void on_emitter_lost(void *context, int rc)
{
    struct worker *worker = context;
    if (rc != RS_E_FENCED)
        return;
    worker->emitter_lost = true;
    tick_in(worker, 0.);
}

static void on_agents(void *context, int rc)
{
    struct worker *worker = context;
    if (rc < 0) {
        log_error("worker", "the agents in use stay: what was read again cannot be used");
        return;
    }
    log_info(
        "worker", "the agents were read again: %zu", worker->supervisor.roster->registry.count);
    broker_link_set_agents(worker->link, worker->supervisor.roster->registry.names.data);
}

static const struct supervisor_events supervisor_events = {.on_released = on_released,
    .on_settled = on_settled,
    .on_recall = on_recall,
    .on_agents = on_agents,
    .on_emitter_lost = on_emitter_lost};

/* ---- the link's events */

/* Whether no more runs are taken. */
static bool is_leaving(const struct worker *worker)
{
    return worker->state == WORKER_DRAINING;
}

static struct arena_file arena_file(const struct worker *worker)
{
    char path[PATHS_MAX];
    struct stat info;
    if (paths_join(path, worker->arena_dir, "arena") < 0 || stat(path, &info) < 0)
        return (struct arena_file){0};
    return (struct arena_file){info.st_dev, info.st_ino};
}

/* Whether the arena we write to is still the one others find under its name. */
static bool arena_is_current(const struct worker *worker)
{
    struct arena_file now = arena_file(worker);
    return now.device == worker->arena.device && now.inode == worker->arena.inode;
}

/* Whether the broker knows us as somebody whose events it delivers. */
static bool is_of_use(const struct worker *worker)
{
    bool linked = broker_link_ready(worker->link); /* to a broker that has looked at our arena */
    return !worker->emitter_lost && !emitter_is_fenced(worker->emitter) &&
           (linked || arena_is_current(worker));
}

static void tell_running(void *context, struct span run_id)
{
    struct worker *worker = context;
    broker_link_running(worker->link, run_id);
}

static void on_ready(void *context)
{
    struct worker *worker = context;
    if (!arena_is_current(worker) || emitter_is_fenced(worker->emitter)) {
        worker->emitter_lost = true; /* to this broker, our index is another or one given up */
        tick_in(worker, 0.);
        return;
    }
    struct supervisor *supervisor = &worker->supervisor;
    size_t max = worker->config->worker_max_runs;
    size_t taken = supervisor_count(supervisor);
    supervisor_each_open(supervisor, tell_running, worker);
    if (is_leaving(worker))
        broker_link_leaving(worker->link, true); /* before it is asked to take any */
    broker_link_available(worker->link, taken < max ? max - taken : 0);
    supervisor_recall_again(supervisor);
    if (worker->announced)
        return;
    worker->announced = true;
    log_info("worker", "%s is ready: %zu agents, %zu runs at once", worker->name,
        worker->supervisor.roster->registry.count, max);
    ready_announce("ready");
}

/* Sent before the broker knew that we leave. */
static void hand_back_late(struct worker *worker, struct span run_id)
{
    const struct engine_refusal refusal = {WIRE_HANDED_BACK, "the worker is leaving"};
    log_info("worker", "run %.*s came too late and is handed back", SPAN_ARG(run_id));
    broker_link_released(worker->link, run_id, &refusal);
}

static void on_assign(void *context, const struct engine_request *request, struct span agent)
{
    struct worker *worker = context;
    if (is_leaving(worker)) {
        hand_back_late(worker, request->run_id);
        return;
    }
    worker->started++;
    supervisor_assign(&worker->supervisor, request, agent);
}

static void on_cancel(void *context, struct span run_id, struct span reason)
{
    struct worker *worker = context;
    supervisor_cancel(&worker->supervisor, run_id, reason);
}

static void on_kill(void *context, struct span run_id)
{
    struct worker *worker = context;
    supervisor_kill(&worker->supervisor, run_id);
}

static void on_resolve(void *context, struct span run_id, const struct interrupt_answer *answer)
{
    struct worker *worker = context;
    supervisor_resolve(&worker->supervisor, run_id, answer);
}

static void on_history(void *context, struct span run_id, const struct thread_page *page)
{
    struct worker *worker = context;
    supervisor_recall_take(&worker->supervisor, run_id, page);
}

static void hand_back(struct worker *worker)
{
    size_t count = supervisor_hand_back(&worker->supervisor);
    if (count > 0)
        log_info("worker", "%zu runs that had not begun are handed back", count);
}

static void on_leave(void *context, bool for_good)
{
    struct worker *worker = context;
    log_info("worker", "told to leave%s: %zu runs go on until they end",
        for_good ? " for good" : "", supervisor_count(&worker->supervisor));
    worker->state = WORKER_DRAINING;
    worker->for_good = for_good;
    broker_link_leaving(worker->link, true);
    hand_back(worker);
    if (supervisor_count(&worker->supervisor) == 0)
        leave(worker);
}

static const struct broker_link_events link_events = {.on_ready = on_ready,
    .on_assign = on_assign,
    .on_cancel = on_cancel,
    .on_kill = on_kill,
    .on_resolve = on_resolve,
    .on_history = on_history,
    .on_leave = on_leave};

/* ---- attaching */

static int make_link(struct worker *worker)
{
    const struct broker_link_options options = {.loop = worker->loop,
        .run_dir = worker->config->node_run_dir,
        .name = worker->name,
        .agents = worker->supervisor.roster->registry.names.data,
        .process = rs_emitter_process_index(worker->emitter)};
    return broker_link_new(&worker->link, &options, &link_events, worker);
}

/* 0 when attached, -EAGAIN when there is nothing to attach to yet, else why there never will be. */
static int attach(struct worker *worker)
{
    const struct rs_attach_options options = {.arena_dir = worker->arena_dir};
    worker->arena = arena_file(worker);
    int rc = rs_attach(&worker->emitter, &options);
    if (rc == RS_E_PERMISSION || rc == RS_E_VERSION) {
        log_error("worker", "the node's memory in %s cannot be used: %s", worker->arena_dir,
            rs_strerror(rc));
        return -EACCES;
    }
    if (rc != RS_OK)
        return -EAGAIN;
    worker->supervisor.emitter = worker->emitter;
    worker->state = WORKER_SERVING;
    log_info("worker", "attached to %s as process %u", worker->arena_dir,
        rs_emitter_process_index(worker->emitter));
    return make_link(worker);
}

/*
 * What we write reaches nobody any more. Our runs have been ended by the broker, or will be when it
 * misses this process: their agents are killed, and we begin again as another process would.
 */
static void detach(struct worker *worker)
{
    log_error("worker", "the node's memory was replaced, or the broker gave this process up: "
                        "its runs are given up, attaching again");
    broker_link_free(STEAL_POINTER(worker->link));
    worker->emitter_lost = false;
    worker->state = WORKER_ATTACHING;
    worker->supervisor.emitter = NULL;
    supervisor_kill_all(&worker->supervisor);
}

/* ---- turns */

static void append_agents(struct buffer *out, const struct registry *registry)
{
    json_append_name(out, "agents");
    buffer_append_char(out, '[');
    for (size_t i = 0; i < registry->count; i++) {
        if (i)
            buffer_append_char(out, ',');
        json_append_string(out, span_of_string(registry->agents[i].name));
    }
    buffer_append_char(out, ']');
}

static void report(struct worker *worker)
{
    struct buffer body = BUFFER_INIT;
    buffer_append_char(&body, '{');
    json_append_member(&body, "name", span_of_string(worker->name));
    json_append_member_uint(&body, "pid", (uint64_t)getpid());
    json_append_member_uint(&body, "runs", supervisor_count(&worker->supervisor));
    json_append_member_uint(&body, "max_runs", worker->config->worker_max_runs);
    json_append_member_uint(&body, "runs_started", worker->started);
    json_append_member_bool(&body, "draining", is_leaving(worker));
    append_agents(&body, &worker->supervisor.roster->registry);
    buffer_append_char(&body, '}');
    if (buffer_error(&body) == 0)
        broker_link_report(worker->link, buffer_span(&body));
    buffer_deinit(&body);
}

/* The runs of the old arena hold on to it: only when they are gone is there a new one. */
static void tick_attaching(struct worker *worker)
{
    if (supervisor_count(&worker->supervisor) > 0)
        return;
    worker->emitter = rs_detach(worker->emitter);
    int rc = attach(worker);
    if (rc < 0 && rc != -EAGAIN)
        leave(worker);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = watcher->data;
    if (worker->state == WORKER_SERVING && !is_of_use(worker))
        detach(worker);
    if (worker->state == WORKER_ATTACHING)
        tick_attaching(worker);
    report(worker);
    tick_in(worker, worker->state == WORKER_ATTACHING ? ATTACH_SECONDS : TICK_SECONDS);
}

/* ---- leaving */

static void cancel_rest(struct worker *worker)
{
    const struct config *config = worker->config;
    log_info("worker", "%zu runs are cancelled", supervisor_count(&worker->supervisor));
    worker->cancelled = true;
    supervisor_cancel_all(&worker->supervisor, SPAN_LITERAL("draining"));
    set_limit(worker, config->worker_cancel_grace + config->worker_kill_grace + LEAVE_SLACK_MS);
}

static void on_drain_limit(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = watcher->data;
    if (supervisor_count(&worker->supervisor) == 0) {
        leave(worker);
        return;
    }
    if (!worker->cancelled) {
        cancel_rest(worker);
        return;
    }
    log_warn("worker", "leaving with %zu runs that could not be ended in time",
        supervisor_count(&worker->supervisor));
    leave(worker);
}

/* The first signal drains, the second cancels at once, the third does not wait for anything. */
static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = watcher->data;
    bool draining = worker->state == WORKER_DRAINING;
    worker->state = WORKER_DRAINING;
    broker_link_leaving(worker->link, true);
    hand_back(worker);
    if (supervisor_count(&worker->supervisor) == 0 || worker->cancelled) {
        leave(worker);
    } else if (draining) {
        cancel_rest(worker);
    } else {
        log_info("worker", "draining: %zu runs go on for up to %llu ms",
            supervisor_count(&worker->supervisor),
            (unsigned long long)worker->config->worker_drain_timeout);
        set_limit(worker, worker->config->worker_drain_timeout);
    }
}

/* ---- life */

static void prepare_supervisor(struct worker *worker)
{
    const struct supervisor_options options = {
        .loop = worker->loop,
        .limits = supervisor_limits(worker->config),
        .events = &supervisor_events,
        .context = worker,
    };
    supervisor_init(&worker->supervisor, &options);
}

/*
 * The agents are read again, all of them or none. Runs that go on end as they began; what else has
 * changed in the configuration waits for the next start.
 */
static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = watcher->data;
    struct config next;
    int rc = worker->read_config(&next) == CONFIG_RUN ? 0 : -EINVAL;
    if (!rc)
        rc = supervisor_set_agents(&worker->supervisor, NULL, &next);
    config_deinit(&next);
    if (rc <= 0)
        on_agents(worker, rc);
}

static void watch_signal(struct worker *worker, ev_signal *watcher,
    void (*callback)(struct ev_loop *, ev_signal *, int), int signal)
{
    ev_signal_init(watcher, callback, signal);
    watcher->data = worker;
    ev_signal_start(worker->loop, watcher);
}

static void prepare_watchers(struct worker *worker)
{
    watch_signal(worker, &worker->term, on_signal, SIGTERM);
    watch_signal(worker, &worker->interrupt, on_signal, SIGINT);
    watch_signal(worker, &worker->hangup, on_hangup, SIGHUP);
    ev_timer_init(&worker->tick, on_tick, 0., 0.);
    ev_timer_init(&worker->drain_limit, on_drain_limit, 0., 0.);
    worker->tick.data = worker;
    worker->drain_limit.data = worker;
}

static void choose_name(struct worker *worker)
{
    const char *name = worker->config->worker_name;
    if (identifier_valid(span_of_string(name)))
        snprintf(worker->name, sizeof(worker->name), "%s", name);
    else
        snprintf(worker->name, sizeof(worker->name), "worker-%d", (int)getpid());
}

static int make_loop(struct worker *worker)
{
    /* Not the default loop: that one would reap our children behind our back. */
    worker->loop = ev_loop_new(EVFLAG_AUTO);
    if (!worker->loop)
        return -ENOMEM;
    prepare_supervisor(worker);
    return 0;
}

int worker_init(struct worker *worker, const struct config *config, worker_read_fn read_config)
{
    *worker =
        (struct worker){.config = config, .read_config = read_config, .state = WORKER_ATTACHING};
    choose_name(worker);
    signal(SIGPIPE, SIG_IGN); /* children may not want to hear, from the registry's checks on */
    int rc = make_loop(worker);
    if (!rc)
        rc = supervisor_set_agents(&worker->supervisor, config, NULL);
    if (!rc)
        rc = paths_arena_dir(worker->arena_dir, config->node_name);
    if (rc < 0)
        return rc;
    prepare_watchers(worker);
    rc = attach(worker);
    if (rc == -EAGAIN) {
        log_info("worker", "waiting for the node \"%s\"", config->node_name);
        rc = 0;
    }
    tick_in(worker, ATTACH_SECONDS);
    return rc;
}

void worker_run(struct worker *worker)
{
    ev_run(worker->loop, 0);
    log_info("worker", "leaving");
}

void worker_deinit(struct worker *worker)
{
    if (worker->loop) {
        supervisor_deinit(&worker->supervisor);
        rs_detach(worker->emitter);
    }
}
