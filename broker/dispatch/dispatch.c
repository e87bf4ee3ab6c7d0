/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/dispatch.h"

#include "base/clock.h"
#include "base/log.h"
#include "failpoints/failpoint.h"
#include "runs/payload.h"
#include "stream/closing.h"

/* A user may be between two pages: only then are runs stopped that end with their clients. */
#define DISCONNECT_GRACE_MS 5000
/* Of the reason for a cancel, as the agent is told it. */
#define REASON_MAX 1024
/* Events one call writes for runs that are overdue: an end closes all that its run has open. */
#define OVERDUE_WRITTEN_MAX 16384
/* Places in the table of runs that one call looks at, at least. */
#define LOOKED_AT 256

void dispatch_init(struct dispatch *dispatch, const struct dispatch_options *options)
{
    *dispatch = (struct dispatch){.config = options->config,
        .pipeline = options->pipeline,
        .users = options->users,
        .workers = options->workers,
        .effects = options->effects,
        .counters = options->counters};
    answers_init(&dispatch->answers, dispatch);
}

void dispatch_deinit(struct dispatch *dispatch)
{
    answers_deinit(&dispatch->answers);
}

/* ---- placing */

void dispatch_requeue(struct dispatch *dispatch, struct run *run)
{
    pipeline_unplace(dispatch->pipeline, run);
    run->taken_back = true;
    run->farewell = FAREWELL_NONE;
    list_remove(&run->farewell_link);
    pipeline_move(dispatch->pipeline, run, RUN_QUEUED);
    dispatch->counters->runs_requeued++;
}

static void assign(struct dispatch *dispatch, struct run *run, struct worker *worker)
{
    uint64_t limit = dispatch->config->broker_run_timeout;
    run->deadline_ms = limit ? clock_wall_ms() + limit : 0;
    run->attempts++;
    pipeline_place(dispatch->pipeline, run, worker->process, worker->incarnation);
    run->confirmed = worker->link->serial;
    run->taken_back = false;
    thread_note_place(run);
    pipeline_move(dispatch->pipeline, run, RUN_STARTING);
    const struct wire_message message = {.kind = WIRE_ASSIGN,
        .assign = {.run_id = span_of_string(run->id),
            .user = span_of_string(run->user->id),
            .thread_id = span_of_string(run->thread_id),
            .request_id = span_of_string(run->request_id),
            .message_id = span_of_string(run->message_id),
            .agent = span_of_string(run->agent),
            .content = buffer_span(&run->content),
            .deadline = run->deadline_ms}};
    effects_add(dispatch->effects, worker->link, &message);
    worker->slots--;
    worker->runs++;
    dispatch->counters->runs_assigned++;
    FAILPOINT(run_assigned);
}

static bool has_room(const void *context, const char *agent)
{
    return workers_pick(context, span_of_string(agent), NULL) != NULL;
}

/* Nothing is looked at unless a run has become ready or a worker has got room. */
void dispatch_place(struct dispatch *dispatch)
{
    struct workers *workers = dispatch->workers;
    struct queue *queue = &dispatch->pipeline->queue;
    const struct queue_room room = {has_room, workers};
    if (dispatch->paused || !(queue->changed || workers->changed))
        return;
    queue->changed = false;
    workers->changed = false;
    for (struct run *run; (run = queue_take_turn(queue, &room));)
        assign(dispatch, run, workers_pick(workers, span_of_string(run->agent), run->thread));
}

void dispatch_pause(struct dispatch *dispatch, bool pause)
{
    if (dispatch->paused != pause)
        log_info("dispatch", pause ? "paused: requests wait" : "goes on");
    dispatch->paused = pause;
}

/* ---- ends that are not the agent's */

static struct worker *worker_of(struct dispatch *dispatch, const struct run *run)
{
    return run->placed ? workers_find(dispatch->workers, run->process, run->incarnation) : NULL;
}

void dispatch_stop(struct dispatch *dispatch, struct run *run, struct span reason)
{
    if (run->state == RUN_QUEUED) {
        closing_end_run(dispatch->pipeline, run, &CLOSING_CANCELLED);
        return;
    }
    if (run->state == RUN_CANCELLING)
        return;
    run->end_by_ms = clock_monotonic_ms() + dispatch->config->broker_cancel_grace;
    pipeline_move(dispatch->pipeline, run, RUN_CANCELLING);
    struct worker *worker = worker_of(dispatch, run);
    const struct wire_message message = {.kind = WIRE_CANCEL,
        .cancel = {.run_id = span_of_string(run->id), .reason = payload_cut(reason, REASON_MAX)}};
    if (worker)
        effects_add(dispatch->effects, worker->link, &message);
}

/* ---- time */

struct moment {
    const struct dispatch *dispatch;
    uint64_t monotonic_ms;
    uint64_t wall_ms;
};

static bool is_unserved(const struct run *run, const struct moment *now)
{
    uint64_t limit = now->dispatch->config->broker_placement_timeout;
    return run->state == RUN_QUEUED && limit && run->unserved_ms &&
           now->monotonic_ms > run->unserved_ms + limit;
}

/* A worker that is just being restarted, or has yet to find a restarted broker, costs no run. */
static void note_unserved(struct run *run, const struct moment *now)
{
    bool unserved = run->state == RUN_QUEUED && run->line->agent->unserved;
    if (!unserved)
        run->unserved_ms = 0;
    else if (run->unserved_ms == 0)
        run->unserved_ms = now->monotonic_ms;
}

static bool is_timed_out(const struct run *run, const struct moment *now)
{
    uint64_t grace = now->dispatch->config->broker_cancel_grace;
    return run->placed && run->deadline_ms && now->wall_ms > run->deadline_ms + grace;
}

static bool is_left(const struct run *run, const struct moment *now)
{
    return run->cancel_on_disconnect && run->state != RUN_CANCELLING &&
           list_empty(&run->user->subscriptions) &&
           now->monotonic_ms > run->user->lonely_since_ms + DISCONNECT_GRACE_MS;
}

static bool is_overdue(const struct run *run, const struct moment *now)
{
    return run->end_by_ms && now->monotonic_ms >= run->end_by_ms;
}

struct look {
    const struct moment *now;
    struct buffer due; /* struct run *: they end while they are acted on */
};

/* Also notes for how long it is unserved. */
static void look_at(void *context, void *value)
{
    struct look *look = context;
    struct run *run = value;
    const struct moment *now = look->now;
    note_unserved(run, now);
    if (is_overdue(run, now) || is_timed_out(run, now) || is_left(run, now) ||
        is_unserved(run, now))
        buffer_append(&look->due, &run, sizeof(struct run *));
}

/* All runs, or where there are many a tenth of them, so that each has its turn once a second. */
static void look_round(struct dispatch *dispatch, struct look *look)
{
    const struct map *runs = &dispatch->pipeline->runs;
    size_t places = runs->cap / 10 > LOOKED_AT ? runs->cap / 10 : LOOKED_AT;
    do
        dispatch->looked = map_scan(runs, dispatch->looked, look_at, look);
    while (dispatch->looked && --places);
}

static void end_overdue(struct dispatch *dispatch, struct run *run, const struct closing *closing)
{
    struct worker *worker = worker_of(dispatch, run);
    const struct wire_message message = {
        .kind = WIRE_KILL, .kill = {.run_id = span_of_string(run->id)}};
    if (worker)
        effects_add(dispatch->effects, worker->link, &message);
    dispatch->counters->runs_overdue++;
    closing_end_run(dispatch->pipeline, run, closing);
}

static void act(struct dispatch *dispatch, struct run *run, const struct moment *now)
{
    struct closing closing = CLOSING_CANCELLED;
    if (is_timed_out(run, now)) {
        closing.code = "run_timeout";
        closing.message = "the run passed its deadline";
        end_overdue(dispatch, run, &closing);
    } else if (is_overdue(run, now)) {
        end_overdue(dispatch, run, &closing);
    } else if (is_unserved(run, now)) {
        closing.code = "agent_not_found";
        closing.message = "no connected worker has this agent";
        closing.retryable = true;
        closing_end_run(dispatch->pipeline, run, &closing);
    } else {
        dispatch_stop(dispatch, run, SPAN_LITERAL("the client disconnected"));
    }
}

static void note_agents(struct dispatch *dispatch)
{
    LIST_FOR_EACH(struct queue_agent, agent, &dispatch->pipeline->queue.agents, queue_link)
    agent->unserved = !workers_have_agent(dispatch->workers, span_of_string(agent->name));
}

void dispatch_overdue(struct dispatch *dispatch, uint64_t monotonic_ms, uint64_t wall_ms)
{
    const struct moment now = {dispatch, monotonic_ms, wall_ms};
    note_agents(dispatch);
    struct look look = {.now = &now};
    look_round(dispatch, &look);
    struct run *const *runs = (struct run *const *)(const void *)look.due.data;
    size_t count = look.due.len / sizeof(void *);
    uint64_t before = dispatch->counters->events_written;
    for (size_t i = 0; i < count; i++) {
        if (dispatch->counters->events_written - before >= OVERDUE_WRITTEN_MAX)
            break; /* the others are met again */
        act(dispatch, runs[i], &now);
    }
    buffer_deinit(&look.due);
}
