/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/threads.h"

#include "runs/user.h"

#include <errno.h>
#include <stdlib.h>

void threads_init(struct threads *threads, struct counters *counters)
{
    *threads = (struct threads){.remembered = THREADS_REMEMBERED, .counters = counters};
    list_init(&threads->idle);
}

void threads_deinit(struct threads *threads)
{
    size_t cursor = 0;
    for (struct thread *thread; (thread = map_next(&threads->map, &cursor));)
        free(thread);
    map_deinit(&threads->map);
}

static struct span make_key(
    char memory[2 * IDENTIFIER_SIZE], struct span user_id, struct span thread_id)
{
    if (user_id.len)
        memcpy(memory, user_id.data, user_id.len);
    memory[user_id.len] = '\0';
    if (thread_id.len)
        memcpy(memory + user_id.len + 1, thread_id.data, thread_id.len);
    return span_of(memory, user_id.len + 1 + thread_id.len);
}

struct thread *threads_find(
    const struct threads *threads, struct span user_id, struct span thread_id)
{
    char memory[2 * IDENTIFIER_SIZE];
    if (!identifier_valid(user_id) || !identifier_valid(thread_id))
        return NULL;
    return map_get(&threads->map, make_key(memory, user_id, thread_id));
}

static struct span thread_key(const struct thread *thread)
{
    return span_of(thread->key, thread->key_len);
}

static struct thread *thread_new(struct threads *threads, const struct run *run)
{
    struct thread *thread = calloc(1, sizeof(*thread));
    if (!thread)
        return NULL;
    list_init(&thread->active);
    list_init(&thread->waiting);
    list_init(&thread->idle_link);
    heap_node_init(&thread->ready);
    thread->key_len =
        make_key(thread->key, span_of_string(run->user->id), span_of_string(run->thread_id)).len;
    if (map_put(&threads->map, thread_key(thread), thread) < 0) {
        free(thread);
        return NULL;
    }
    return thread;
}

int threads_join(struct threads *threads, struct run *run)
{
    struct thread *thread =
        threads_find(threads, span_of_string(run->user->id), span_of_string(run->thread_id));
    if (!thread)
        thread = thread_new(threads, run);
    if (!thread)
        return -ENOMEM;
    if (!list_empty(&thread->idle_link)) {
        list_remove(&thread->idle_link);
        threads->idle_count--;
    }
    thread->runs++;
    run->thread = thread;
    thread_note_place(run);
    return 0;
}

static void forget(struct threads *threads, struct thread *thread)
{
    map_remove(&threads->map, thread_key(thread));
    free(thread);
}

static void forget_longest_unused(struct threads *threads)
{
    struct thread *oldest = LIST_FIRST(struct thread, &threads->idle, idle_link);
    list_remove(&oldest->idle_link);
    threads->idle_count--;
    threads->counters->threads_forgotten++;
    forget(threads, oldest);
}

void threads_leave(struct threads *threads, struct run *run)
{
    struct thread *thread = run->thread;
    run->thread = NULL;
    if (--thread->runs > 0)
        return;
    if (!thread->placed) { /* there is nothing to remember */
        forget(threads, thread);
        return;
    }
    list_append(&threads->idle, &thread->idle_link);
    if (++threads->idle_count > threads->remembered)
        forget_longest_unused(threads);
}

void thread_note_place(struct run *run)
{
    if (!run->placed)
        return;
    run->thread->placed = true;
    run->thread->process = run->process;
    run->thread->incarnation = run->incarnation;
}
