/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue.h"

#include <errno.h>
#include <stdlib.h>

/* Turns are counted up from here for those who come, and down for runs that came back. */
#define MIDDLE_TURN (UINT64_MAX / 2)

void queue_init(struct queue *queue, struct counters *counters)
{
    *queue = (struct queue){.last_turn = MIDDLE_TURN, .first_turn = MIDDLE_TURN};
    threads_init(&queue->threads, counters);
    list_init(&queue->agents);
}

/* ---- lines and agents: as long as a run needs them */

static struct queue_agent *agent_get(struct queue *queue, const char *name)
{
    LIST_FOR_EACH(struct queue_agent, agent, &queue->agents, queue_link)
    {
        if (strcmp(agent->name, name) == 0)
            return agent;
    }
    struct queue_agent *agent = calloc(1, sizeof(*agent));
    if (!agent)
        return NULL;
    run_set_text(agent->name, span_of_string(name));
    list_init(&agent->lines);
    list_append(&queue->agents, &agent->queue_link);
    return agent;
}

static void agent_release(struct queue_agent *agent)
{
    if (agent->line_count > 0)
        return;
    list_remove(&agent->queue_link);
    free(agent);
}

static struct queue_line *line_new(struct queue *queue, struct user *user, const char *name)
{
    struct queue_agent *agent = agent_get(queue, name);
    if (!agent)
        return NULL;
    struct queue_line *line = calloc(1, sizeof(*line));
    if (!line) {
        agent_release(agent);
        return NULL;
    }
    line->user = user;
    line->agent = agent;
    agent->line_count++;
    list_init(&line->agent_link);
    list_append(&user->lines, &line->user_link);
    return line;
}

static struct queue_line *line_get(struct queue *queue, struct user *user, const char *agent)
{
    LIST_FOR_EACH(struct queue_line, line, &user->lines, user_link)
    {
        if (strcmp(line->agent->name, agent) == 0)
            return line;
    }
    return line_new(queue, user, agent);
}

static void line_free(struct queue_line *line)
{
    list_remove(&line->user_link);
    list_remove(&line->agent_link);
    line->agent->line_count--;
    agent_release(line->agent);
    free(line);
}

static void line_release(struct queue_line *line)
{
    if (--line->runs == 0)
        line_free(line);
}

void queue_deinit(struct queue *queue)
{
    LIST_FOR_EACH(struct queue_agent, agent, &queue->agents, queue_link)
    {
        list_remove(&agent->queue_link);
        free(agent);
    }
    threads_deinit(&queue->threads);
}

/* ---- turns */

static void go_last(struct queue *queue, struct queue_line *line)
{
    list_remove(&line->agent_link);
    line->turn = ++queue->last_turn;
    list_append(&line->agent->lines, &line->agent_link);
}

static void go_first(struct queue *queue, struct queue_line *line)
{
    list_remove(&line->agent_link);
    line->turn = --queue->first_turn;
    list_append(line->agent->lines.next, &line->agent_link);
}

static void withdraw(struct thread *thread)
{
    struct queue_line *line = thread->line;
    if (!line)
        return;
    heap_remove(&line->ready, &thread->ready);
    if (!line->ready.root)
        list_remove(&line->agent_link);
    thread->line = NULL;
}

static void offer(struct queue *queue, struct thread *thread, const struct run *run)
{
    struct queue_line *line = run->line;
    if (run->taken_back)
        go_first(queue, line);
    else if (!line->ready.root)
        go_last(queue, line);
    heap_add(&line->ready, &thread->ready, run->first_seq);
    thread->line = line;
    queue->changed = true;
}

/* A thread is ready when none of its runs is active and one waits. */
static void settle(struct queue *queue, struct thread *thread)
{
    const struct run *next =
        list_empty(&thread->active) ? LIST_FIRST(struct run, &thread->waiting, thread_link) : NULL;
    if (next && thread->line == next->line && thread->ready.key == next->first_seq)
        return;
    withdraw(thread);
    if (next)
        offer(queue, thread, next);
}

/* ---- runs */

static bool is_active(enum run_state state)
{
    return state != RUN_ACCEPTED && state != RUN_QUEUED && !run_state_final(state);
}

int queue_adopt(struct queue *queue, struct run *run)
{
    int rc = threads_join(&queue->threads, run);
    if (rc)
        return rc;
    run->line = run->dispatched ? line_get(queue, run->user, run->agent) : NULL;
    if (run->dispatched && !run->line) {
        threads_leave(&queue->threads, run);
        return -ENOMEM;
    }
    if (run->line)
        run->line->runs++;
    if (is_active(run->state))
        list_append(&run->thread->active, &run->thread_link);
    settle(queue, run->thread);
    return 0;
}

/* By the number of its first event, which tells a user's runs apart whatever the clock does. */
static void insert(struct thread *thread, struct run *run)
{
    struct run *first = LIST_FIRST(struct run, &thread->waiting, thread_link);
    struct list_link *before = &thread->waiting;
    if (first && run->first_seq < first->first_seq) {
        list_append(&first->thread_link, &run->thread_link);
        return;
    }
    while (before->prev != &thread->waiting &&
           CONTAINER_OF(before->prev, struct run, thread_link)->first_seq > run->first_seq)
        before = before->prev;
    list_append(before, &run->thread_link);
}

static void enter(struct queue *queue, struct run *run)
{
    insert(run->thread, run);
    run->waits = true;
    run->user->queued++;
    queue->count++;
}

static void leave(struct queue *queue, struct run *run)
{
    list_remove(&run->thread_link);
    if (!run->waits)
        return;
    run->waits = false;
    run->user->queued--;
    queue->count--;
}

void queue_note(struct queue *queue, struct run *run)
{
    leave(queue, run);
    if (run->state == RUN_QUEUED)
        enter(queue, run);
    else if (is_active(run->state))
        list_append(&run->thread->active, &run->thread_link);
    settle(queue, run->thread);
}

void queue_forget(struct queue *queue, struct run *run)
{
    leave(queue, run);
    settle(queue, run->thread);
    threads_leave(&queue->threads, run);
    if (run->line)
        line_release(run->line);
    run->line = NULL;
}

/* ---- whose turn it is */

static bool has_room(const struct queue_room *room, const struct queue_agent *agent)
{
    return room->has(room->context, agent->name);
}

static struct queue_line *front_line(const struct queue *queue, const struct queue_room *room)
{
    struct queue_line *front = NULL;
    LIST_FOR_EACH(struct queue_agent, agent, &queue->agents, queue_link)
    {
        struct queue_line *line = LIST_FIRST(struct queue_line, &agent->lines, agent_link);
        if (line && (!front || line->turn < front->turn) && has_room(room, agent))
            front = line;
    }
    return front;
}

static struct thread *oldest_thread(const struct user *user, const struct queue_room *room)
{
    const struct heap_node *oldest = NULL;
    LIST_FOR_EACH(struct queue_line, line, &user->lines, user_link)
    {
        const struct heap_node *first = line->ready.root;
        if (first && (!oldest || first->key < oldest->key) && has_room(room, line->agent))
            oldest = first;
    }
    return CONTAINER_OF(oldest, struct thread, ready);
}

struct run *queue_take_turn(struct queue *queue, const struct queue_room *room)
{
    const struct queue_line *front = front_line(queue, room);
    if (!front)
        return NULL;
    struct user *user = front->user;
    struct thread *thread = oldest_thread(user, room);
    LIST_FOR_EACH(struct queue_line, line, &user->lines, user_link)
    {
        if (line->ready.root)
            go_last(queue, line);
    }
    return LIST_FIRST(struct run, &thread->waiting, thread_link);
}

/* Programs may have begun several; one that is not being cancelled already comes first. */
static struct run *active_run(const struct thread *thread)
{
    LIST_FOR_EACH(struct run, run, &thread->active, thread_link)
    {
        if (run->state != RUN_CANCELLING)
            return run;
    }
    return LIST_FIRST(struct run, &thread->active, thread_link);
}

static struct thread *find(
    const struct queue *queue, const struct user *user, struct span thread_id)
{
    return threads_find(&queue->threads, span_of_string(user->id), thread_id);
}

struct run *queue_first_waiting(
    const struct queue *queue, const struct user *user, struct span thread_id)
{
    struct thread *thread = find(queue, user, thread_id);
    return thread ? LIST_FIRST(struct run, &thread->waiting, thread_link) : NULL;
}

struct run *queue_foremost(
    const struct queue *queue, const struct user *user, struct span thread_id)
{
    struct thread *thread = find(queue, user, thread_id);
    struct run *active = thread ? active_run(thread) : NULL;
    return active ? active : queue_first_waiting(queue, user, thread_id);
}
