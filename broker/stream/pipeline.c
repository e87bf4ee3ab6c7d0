/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/pipeline.h"

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "event/codec.h"
#include "failpoints/failpoint.h"
#include "stream/closing.h"

#include <errno.h>
#include <stdlib.h>

void pipeline_init(struct pipeline *pipeline, const struct pipeline_options *options)
{
    *pipeline = (struct pipeline){.history = options->history,
        .router = options->router,
        .counters = options->counters,
        .arena_id = options->arena_id,
        .snapshot_bytes = options->snapshot_bytes,
        .max_own_runs = options->max_own_runs};
    holders_init(&pipeline->holders);
    list_init(&pipeline->begun);
    queue_init(&pipeline->queue, options->counters);
}

void pipeline_deinit(struct pipeline *pipeline)
{
    size_t cursor = 0;
    for (struct run *run; (run = map_next(&pipeline->runs, &cursor));) {
        queue_forget(&pipeline->queue, run);
        run_free(run);
    }
    queue_deinit(&pipeline->queue);
    interrupt_past_deinit(&pipeline->interrupts);
    map_deinit(&pipeline->runs);
    buffer_deinit(&pipeline->record);
}

/* ---- the table of open runs */

struct run *pipeline_find(const struct pipeline *pipeline, struct span run_id)
{
    return map_get(&pipeline->runs, run_id);
}

/* Events from the user's oldest open run on are not trimmed. */
static void pin(const struct pipeline *pipeline, const struct user *user)
{
    const struct heap_node *oldest = user->begun.root;
    history_pin(pipeline->history, user->stream, oldest ? oldest->key : 0);
}

/* The run has its first number. */
static void note_begun(const struct pipeline *pipeline, struct run *run)
{
    heap_add(&run->user->begun, &run->begun_node, run->first_seq);
    pin(pipeline, run->user);
}

int pipeline_adopt(struct pipeline *pipeline, struct run *run)
{
    int rc = queue_adopt(&pipeline->queue, run);
    if (rc)
        return rc;
    rc = map_put(&pipeline->runs, span_of_string(run->id), run);
    if (rc) {
        queue_forget(&pipeline->queue, run);
        return rc;
    }
    run->serial = ++pipeline->last_serial;
    list_append(&run->user->runs, &run->user_link);
    pipeline->runs_by_state[run->state]++;
    if (run->first_seq)
        note_begun(pipeline, run);
    if (run->placed && run->arena_id == pipeline->arena_id)
        holders_add(&pipeline->holders, run);
    return 0;
}

void pipeline_place(
    struct pipeline *pipeline, struct run *run, uint32_t process, uint64_t incarnation)
{
    pipeline_unplace(pipeline, run);
    run->placed = true;
    run->process = process;
    run->incarnation = incarnation;
    run->arena_id = pipeline->arena_id;
    holders_add(&pipeline->holders, run);
}

void pipeline_unplace(struct pipeline *pipeline, struct run *run)
{
    holders_remove(&pipeline->holders, run);
    run->placed = false;
}

/*
 * What cannot be staged for want of memory would be lost if this broker went on. Nothing of this
 * turn is committed yet: the next broker meets the same records in their rings, and does it all
 * again.
 */
static _Noreturn void give_up(const struct run *run, int rc)
{
    log_error("pipeline", "run %s cannot be kept: %s; this broker ends, the next one goes on",
        run->id, strerror(-rc));
    abort();
}

void pipeline_stage(struct pipeline *pipeline, struct run *run)
{
    buffer_clear(&pipeline->record);
    run_encode(&pipeline->record, run);
    int rc = history_stage_run(pipeline->history, span_of_string(run->id),
        !run_state_final(run->state), buffer_span(&pipeline->record));
    if (rc)
        give_up(run, rc);
}

/* A message that is sent again is known for as long after its run's end as the run itself. */
static void keep_message(struct pipeline *pipeline, const struct run *run)
{
    int rc = !run->message_id[0]
                 ? 0
                 : history_stage_message(pipeline->history, span_of_string(run->user->id),
                       span_of_string(run->message_id), span_of_string(run->id));
    if (rc)
        log_error("pipeline", "run %s: its message cannot be staged: %s", run->id, strerror(-rc));
}

/* After the run's state changed from `before`: counts, keeps, and lets go of an ended run. */
static void settle(struct pipeline *pipeline, struct run *run, enum run_state before)
{
    if (run->state == before)
        return;
    pipeline->runs_by_state[before]--;
    pipeline->runs_by_state[run->state]++;
    if (run_started(run) || run_state_final(run->state))
        buffer_clear(&run->content);
    pipeline_stage(pipeline, run);
    if (!run_state_final(run->state)) {
        queue_note(&pipeline->queue, run);
        return;
    }
    keep_message(pipeline, run);
    queue_forget(&pipeline->queue, run);
    const struct user *user = run->user;
    map_remove(&pipeline->runs, span_of_string(run->id));
    if (run->user->recent == run)
        run->user->recent = NULL;
    heap_remove(&run->user->begun, &run->begun_node);
    holders_remove(&pipeline->holders, run);
    run_free(run);
    pin(pipeline, user);
}

void pipeline_move(struct pipeline *pipeline, struct run *run, enum run_state to)
{
    enum run_state before = run->state;
    run_set_state(run, to);
    settle(pipeline, run, before);
}

/* ---- the way in */

static struct span context_of(struct run *run)
{
    if (run->context.len == 0) {
        const struct event event = {.user_tag = run->user->tag,
            .thread_id = span_of_string(run->thread_id),
            .run_id = span_of_string(run->id),
            .request_id = span_of_string(run->request_id),
            .agent = span_of_string(run->agent)};
        buffer_clear(&run->context);
        event_encode_context(&run->context, &event);
        if (buffer_error(&run->context))
            give_up(run, -ENOMEM);
    }
    return buffer_span(&run->context);
}

/* sequencer -> history -> router */
static void append(struct pipeline *pipeline, struct run *run, struct event *event)
{
    struct user *user = run->user;
    struct span encoded;
    event->seq = history_head(user->stream) + 1;
    if (run->first_seq == 0) {
        run->first_seq = event->seq;
        note_begun(pipeline, run);
    }
    event_encode_within(history_append_begin(pipeline->history), event, context_of(run));
    int rc = history_append_end(pipeline->history, user->stream, event->seq, &encoded);
    if (rc)
        give_up(run, rc);
    FAILPOINT(event_appended);
    router_note(pipeline->router, user, event->seq, encoded);
    FAILPOINT(event_noted);
}

/* So that a late answer is told what became of it. */
static void remember_interrupts(
    struct pipeline *pipeline, const struct run *run, const struct event *event)
{
    char id[IDENTIFIER_SIZE];
    if (event->type == EVENT_INTERRUPT_RESOLVED)
        interrupt_past_add(&pipeline->interrupts, run->user->tag, lifecycle_interrupt_id(id, event),
            INTERRUPT_RESOLVED);
    if (!run_state_final(run->state))
        return;
    LIST_FOR_EACH(struct open_item, interrupt, &run->grammar.open[GRAMMAR_INTERRUPT], item.link)
    interrupt_past_add(
        &pipeline->interrupts, run->user->tag, span_of_string(interrupt->item.id), INTERRUPT_LEFT);
}

static void apply(struct pipeline *pipeline, struct run *run, struct event *event)
{
    enum run_state before = run->state;
    append(pipeline, run, event);
    int rc = lifecycle_apply(run, event);
    if (rc < 0)
        give_up(run, rc);
    snapshot_fold(&run->snapshot, event, pipeline->snapshot_bytes);
    remember_interrupts(pipeline, run, event);
    settle(pipeline, run, before);
}

void pipeline_write(struct pipeline *pipeline, struct run *run, struct event *event)
{
    event->timestamp = clock_wall_ms();
    pipeline->counters->events_written++;
    apply(pipeline, run, event);
}

/* ---- agents' events */

static bool known_to_history(struct pipeline *pipeline, struct span run_id)
{
    buffer_clear(&pipeline->record);
    return history_find_run(pipeline->history, run_id, &pipeline->record) != -ENOENT;
}

/* A program's own run begins with its agent_started, which carries the context. */
static enum verdict begin_run(struct pipeline *pipeline, struct user *user,
    const struct event *event, const struct origin *origin)
{
    if (known_to_history(pipeline, event->run_id))
        return VERDICT_SEALED;
    if (event->type != EVENT_AGENT_STARTED)
        return VERDICT_UNKNOWN_RUN;
    if (event->thread_id.len == 0 || event->agent.len == 0)
        return VERDICT_NO_IDENTITY;
    if (pipeline->max_own_runs && origin->process < HOLDERS_MAX &&
        pipeline->holders.own[origin->process] >= pipeline->max_own_runs)
        return VERDICT_TOO_MANY_RUNS;
    struct run *run = run_new(user, event->run_id, RUN_STARTING);
    if (!run)
        return VERDICT_NO_MEMORY;
    run_set_text(run->thread_id, event->thread_id);
    run_set_text(run->request_id, event->request_id);
    run_set_text(run->agent, event->agent);
    run->accepted_ms = clock_wall_ms();
    pipeline_place(pipeline, run, origin->process, origin->incarnation);
    if (pipeline_adopt(pipeline, run) < 0) {
        holders_remove(&pipeline->holders, run);
        run_free(run);
        return VERDICT_NO_MEMORY;
    }
    list_append(&pipeline->begun, &run->farewell_link);
    return VERDICT_LEGAL;
}

/* The user's run that had the last event is most often the one. */
static struct run *run_of(const struct pipeline *pipeline, struct user *user, struct span run_id)
{
    if (user->recent && span_is(run_id, user->recent->id))
        return user->recent;
    struct run *run = pipeline_find(pipeline, run_id);
    if (run && run->user == user)
        user->recent = run;
    return run;
}

static bool belongs(const struct run *run, const struct user *user, const struct origin *origin)
{
    return run->user == user && run->placed && run->process == origin->process &&
           run->incarnation == origin->incarnation;
}

/* *ret_run is the event's run when the verdict is legal. */
static enum verdict judge(struct run **ret_run, struct pipeline *pipeline, struct user *user,
    struct event *event, const struct origin *origin)
{
    if (!json_scan_valid_object(event->data))
        return VERDICT_BAD_DATA;
    struct run *run = run_of(pipeline, user, event->run_id);
    if (!run) {
        enum verdict verdict = begin_run(pipeline, user, event, origin);
        if (verdict != VERDICT_LEGAL)
            return verdict;
        run = run_of(pipeline, user, event->run_id);
    }
    *ret_run = run;
    if (!belongs(run, user, origin))
        return VERDICT_FOREIGN_RUN;
    return lifecycle_check(run, event);
}

enum verdict pipeline_push(
    struct pipeline *pipeline, struct user *user, struct event *event, const struct origin *origin)
{
    struct run *run;
    enum verdict verdict = judge(&run, pipeline, user, event, origin);
    if (verdict == VERDICT_LEGAL) {
        event->flags &= ~(uint32_t)EVENT_FLAG_SYNTHETIC;
        if (event_is_terminal(event))
            closing_close_items(pipeline, run, "cancelled"); /* what its emitter left open */
        pipeline->counters->events_accepted++;
        apply(pipeline, run, event);
        return VERDICT_LEGAL;
    }
    pipeline->counters->refused[verdict]++;
    log_debug("pipeline", "refused %s of run %.*s: %s", event_type_name(event->type),
        SPAN_ARG(event->run_id), verdict_name(verdict));
    return verdict;
}
