/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of a batch. `turn` comes before each wait: it drains what the last callbacks emitted,
 * starts as many requests as there is room for, and ends the loop when nothing is left. A run is
 * finished when the supervisor lets go of it, not at its last event: its agent is gone then.
 */
#include "batch/batch.h"

#include "batch/output.h"
#include "batch/report.h"
#include "batch/rings.h"
#include "runs/supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/message.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define TICK_SECONDS 0.25
#define TICKS_A_SECOND 4
/* What agents that were told to stop get beyond their own grace times. */
#define LEAVE_SLACK_MS 2000

struct batch {
    const struct batch_options *options;
    struct ev_loop *loop;
    struct supervisor supervisor;
    struct batch_rings rings;
    struct batch_input input;
    struct batch_output output;
    struct batch_report report;
    struct batch_content content; /* of the request that is being started */
    struct buffer lines;          /* that are being written */
    struct map runs;              /* struct batch_run by its id */
    size_t next;                  /* the first request that had no attempt yet */
    struct batch_request **again; /* to be tried again: from `again_next` on */
    size_t again_next, again_count, again_cap;
    struct batch_run **finished; /* with `ordered`: by place, until those before are written */
    size_t next_out;             /* with `ordered`: the place whose lines come next */
    bool leaving;                /* starts nothing more */
    bool cancelled;              /* and what runs was told to stop */
    int error;                   /* the output cannot be written */
    unsigned ticks;
    ev_prepare turn;
    ev_timer tick;
    ev_timer limit;
    ev_signal term;
    ev_signal interrupt;
};

/* ---- what has ended */

static void write_lines(struct batch *batch, const struct batch_run *run)
{
    buffer_clear(&batch->lines);
    batch_run_append(&batch->lines, run, &batch->output.seq);
    if (!batch->error)
        batch->error = buffer_error(&batch->lines);
    if (!batch->error)
        batch->error = batch_output_write(&batch->output, buffer_span(&batch->lines));
}

static bool passed(const struct batch *batch, size_t place)
{
    return batch->input.requests[place].done && !batch->finished[place];
}

/* What now stands first, and what was waiting for it. */
static void write_in_order(struct batch *batch, struct batch_run *run)
{
    batch->finished[run->request - batch->input.requests] = run;
    while (batch->next_out < batch->input.count) {
        struct batch_run **first = &batch->finished[batch->next_out];
        if (!*first && !passed(batch, batch->next_out))
            break;
        if (*first) {
            write_lines(batch, *first);
            batch_run_free(STEAL_POINTER(*first));
        }
        batch->next_out++;
    }
}

static void record(struct batch *batch, struct batch_run *run)
{
    run->request->done = true;
    batch_report_ended(&batch->report, run);
    if (batch->finished) {
        write_in_order(batch, run);
        return;
    }
    write_lines(batch, run);
    batch_run_free(run);
}

static bool try_again(struct batch *batch, const struct batch_run *run)
{
    if (run->status != BATCH_FAILED || !run->retryable || batch->leaving ||
        run->request->attempts > batch->options->retries)
        return false;
    if (batch->again_count == batch->again_cap) {
        size_t cap = batch->again_cap ? batch->again_cap * 2 : 64;
        struct batch_request **again = realloc(batch->again, cap * sizeof(void *));
        if (!again)
            return false;
        batch->again = again;
        batch->again_cap = cap;
    }
    batch->again[batch->again_count++] = run->request;
    batch->report.retried++;
    return true;
}

/* Not done: because we leave, nobody else wanted it to end. */
static bool was_given_up(const struct batch *batch, const struct batch_run *run)
{
    return run->status == BATCH_OPEN || (batch->cancelled && run->status == BATCH_CANCELLED);
}

static void finish(struct batch *batch, struct batch_run *run)
{
    if (was_given_up(batch, run) || try_again(batch, run))
        batch_run_free(run);
    else
        record(batch, run);
}

/* ---- events and endings */

static void on_event(void *context, const struct event *event)
{
    struct batch *batch = context;
    struct batch_run *run = map_get(&batch->runs, event->run_id);
    if (!run)
        return;
    batch_run_take(run, event, clock_monotonic_ms());
    if (run->too_large && run->status == BATCH_OPEN)
        supervisor_cancel(
            &batch->supervisor, span_of_string(run->run_id), SPAN_LITERAL("events_too_large"));
}

static void on_released(void *context, struct span run_id, const struct engine_refusal *refusal)
{
    struct batch *batch = context;
    batch_rings_drain(&batch->rings, on_event, batch);
    struct batch_run *run = map_remove(&batch->runs, run_id);
    if (refusal->code[0] && strcmp(refusal->code, WIRE_HANDED_BACK) != 0)
        batch_run_refuse(run, refusal, clock_monotonic_ms());
    finish(batch, run);
}

/* The arena is ours alone: nobody could have fenced us, so what we know of it is wrong. */
static void on_emitter_lost(void *context, int rc)
{
    struct batch *batch = context;
    log_error("batch", "events cannot be written any more: %s", rs_strerror(rc));
    batch->error = -EIO;
}

static const struct supervisor_events supervisor_events = {
    .on_released = on_released, .on_emitter_lost = on_emitter_lost};

/* ---- starting */

static struct batch_request *next_request(struct batch *batch)
{
    struct batch_input *input = &batch->input;
    while (batch->next < input->count && input->requests[batch->next].done)
        batch->next++;
    if (batch->next < input->count)
        return &input->requests[batch->next++];
    return batch->again_next < batch->again_count ? batch->again[batch->again_next++] : NULL;
}

static bool may_start(const struct batch *batch)
{
    return !batch->leaving && !batch->error && batch->runs.count < batch->options->jobs;
}

static void assign(struct batch *batch, const struct batch_run *run)
{
    const struct engine_request request = {.run_id = span_of_string(run->run_id),
        .user_id = span_of_string(run->user_id),
        .thread_id = span_of_string(run->thread_id),
        .request_id = span_of_string(run->request->id),
        .content = batch->content.content};
    supervisor_assign(&batch->supervisor, &request, span_of_string(run->agent));
}

static void start(struct batch *batch, struct batch_request *request)
{
    static const struct engine_refusal changed = {
        "invalid_argument", "the request's line changed after it was checked"};
    int rc = batch_input_read(&batch->input, request, &batch->content);
    struct batch_run *run = rc == -ENOMEM ? NULL : batch_run_new(request, &batch->content);
    if (!run || map_put(&batch->runs, span_of_string(run->run_id), run) < 0) {
        batch_run_free(run);
        batch->error = -ENOMEM;
        return;
    }
    request->attempts++;
    run->keeps_events = batch->options->events;
    run->started_ms = clock_monotonic_ms();
    if (rc < 0)
        on_released(batch, span_of_string(run->run_id), &changed);
    else
        assign(batch, run);
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)events;
    struct batch *batch = watcher->data;
    struct batch_request *request;
    batch_rings_drain(&batch->rings, on_event, batch);
    while (may_start(batch) && (request = next_request(batch)))
        start(batch, request);
    if (batch->error || batch->runs.count == 0)
        ev_break(loop, EVBREAK_ALL);
}

/* ---- time */

static void sync_output(struct batch *batch)
{
    int rc = batch_output_sync(&batch->output);
    if (rc && !batch->error)
        batch->error = rc;
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    struct batch *batch = watcher->data;
    uint64_t now_ms = clock_monotonic_ms();
    batch_report_progress(&batch->report, batch->runs.count, now_ms);
    if (++batch->ticks % TICKS_A_SECOND == 0) {
        sync_output(batch);
        batch_rings_reclaim(&batch->rings, now_ms);
    }
}

/* ---- leaving */

static void set_limit(struct batch *batch, uint64_t ms)
{
    ev_timer_stop(batch->loop, &batch->limit);
    ev_timer_set(&batch->limit, (double)ms / 1000., 0.);
    ev_timer_start(batch->loop, &batch->limit);
}

static void leave(struct batch *batch)
{
    batch->leaving = true;
    supervisor_hand_back(&batch->supervisor);
    set_limit(batch, batch->options->config->worker_drain_timeout);
}

static void cancel_rest(struct batch *batch)
{
    const struct config *config = batch->options->config;
    batch->cancelled = true;
    supervisor_cancel_all(&batch->supervisor, SPAN_LITERAL("interrupted"));
    set_limit(batch, config->worker_cancel_grace + config->worker_kill_grace + LEAVE_SLACK_MS);
}

static void leave_harder(struct batch *batch)
{
    if (!batch->leaving)
        leave(batch);
    else if (!batch->cancelled)
        cancel_rest(batch);
    else
        ev_break(batch->loop, EVBREAK_ALL);
}

static void on_limit(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    leave_harder(watcher->data);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    leave_harder(watcher->data);
}

/* ---- life */

static void on_malformed(void *context, uint64_t line, const char *reason)
{
    struct batch *batch = context;
    batch_report_malformed(&batch->report, line, reason);
}

static int read_input(struct batch *batch)
{
    const struct batch_options *options = batch->options;
    const struct batch_input_options input = {.path = options->input,
        .default_agent = options->agent[0] ? options->agent : options->config->broker_default_agent,
        .registry = &batch->supervisor.roster->registry,
        .malformed = on_malformed,
        .context = batch};
    int rc = batch_input_init(&batch->input, &input);
    if (rc)
        fprintf(stderr, "ringside batch: %s: %s\n", options->input, strerror(-rc));
    return rc;
}

static int open_output(struct batch *batch)
{
    const struct batch_options *options = batch->options;
    struct batch_output_problem problem;
    int rc = batch_output_init(
        &batch->output, options->output, options->retry_failed, &batch->input, &problem);
    if (rc)
        fprintf(stderr, "ringside batch: %s: %s\n", options->output, problem.text);
    return rc;
}

static void count_done(struct batch *batch)
{
    batch->report.total = batch->input.count;
    for (size_t i = 0; i < batch->input.count; i++)
        batch->report.done_before += batch->input.requests[i].done;
}

/* The lists that are as long as the file. */
static int make_room(struct batch *batch)
{
    if (!batch->options->ordered)
        return 0;
    batch->finished = calloc(batch->input.count + 1, sizeof(void *));
    return batch->finished ? 0 : -ENOMEM;
}

static void watch_signal(struct batch *batch, ev_signal *watcher, int signal)
{
    ev_signal_init(watcher, on_signal, signal);
    watcher->data = batch;
    ev_signal_start(batch->loop, watcher);
}

static void start_watchers(struct batch *batch)
{
    watch_signal(batch, &batch->term, SIGTERM);
    watch_signal(batch, &batch->interrupt, SIGINT);
    ev_prepare_init(&batch->turn, on_turn);
    ev_timer_init(&batch->tick, on_tick, TICK_SECONDS, TICK_SECONDS);
    ev_timer_init(&batch->limit, on_limit, 0., 0.);
    batch->turn.data = batch;
    batch->tick.data = batch;
    batch->limit.data = batch;
    ev_prepare_start(batch->loop, &batch->turn);
    ev_timer_start(batch->loop, &batch->tick);
}

static int prepare_supervisor(struct batch *batch)
{
    struct supervisor_options options = {.loop = batch->loop,
        .limits = supervisor_limits(batch->options->config),
        .events = &supervisor_events,
        .context = batch};
    options.limits.unattended = true;
    supervisor_init(&batch->supervisor, &options);
    return supervisor_set_agents(&batch->supervisor, batch->options->config, NULL);
}

static int prepare(struct batch *batch)
{
    /* Not the default loop: that one would reap our children behind our back. */
    batch->loop = ev_loop_new(EVFLAG_AUTO);
    if (!batch->loop)
        return -ENOMEM;
    int rc = prepare_supervisor(batch);
    if (!rc)
        rc = read_input(batch);
    if (!rc)
        rc = open_output(batch);
    if (!rc)
        rc = make_room(batch);
    if (!rc)
        rc = batch_rings_init(&batch->rings, batch->options->config);
    batch->supervisor.emitter = batch->rings.emitter;
    return rc;
}

static enum batch_outcome run(struct batch *batch)
{
    count_done(batch);
    start_watchers(batch);
    ev_run(batch->loop, 0);
    sync_output(batch);
    batch_report_summary(&batch->report, batch->leaving, clock_monotonic_ms());
    if (batch->error)
        fprintf(stderr,
            "ringside batch: %s: %s; what is in it stays, and the same command goes on\n",
            batch->options->output ? batch->options->output : "standard output",
            strerror(-batch->error));
    const struct batch_report *report = &batch->report;
    bool all = report->done_before + report->ended[BATCH_COMPLETED] == report->total &&
               !report->malformed && !batch->output.failed && !batch->error;
    return all ? BATCH_ALL_COMPLETED : BATCH_NOT_ALL;
}

static void deinit(struct batch *batch)
{
    size_t cursor = 0;
    if (batch->loop)
        supervisor_deinit(&batch->supervisor); /* before the rings its runs write to */
    for (struct batch_run *left; (left = map_next(&batch->runs, &cursor));)
        batch_run_free(left);
    map_deinit(&batch->runs);
    for (size_t i = 0; batch->finished && i < batch->input.count; i++)
        batch_run_free(batch->finished[i]);
    free(batch->finished);
    free(batch->again);
    batch_rings_deinit(&batch->rings);
    batch_output_deinit(&batch->output);
    batch_input_deinit(&batch->input);
    batch_report_deinit(&batch->report);
    buffer_deinit(&batch->content.line);
    buffer_deinit(&batch->lines);
    if (batch->loop)
        ev_loop_destroy(batch->loop);
}

enum batch_outcome batch_process(const struct batch_options *options)
{
    struct batch batch = {.options = options, .input = {.fd = -1}, .output = {.fd = -1}};
    enum batch_outcome outcome = BATCH_REFUSED;
    signal(SIGPIPE, SIG_IGN); /* children may not want to hear, from the registry's checks on */
    batch_report_init(&batch.report, options->quiet, clock_monotonic_ms());
    if (prepare(&batch) == 0)
        outcome = run(&batch);
    deinit(&batch);
    return outcome;
}
