/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked child shares the open files of its parent, the process lock among them: while the child
 * lived, a dead parent would look alive and its claims would never be resolved. So the child closes
 * the descriptors before anything else runs in it. exec closes them by itself (O_CLOEXEC).
 */
#include "ring/fork.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "ring/mapping.h"

static pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;
static struct arena *fork_arenas;

static void fork_prepare(void)
{
    pthread_mutex_lock(&fork_mutex);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&fork_mutex);
}

static void fork_child(void)
{
    for (struct arena *a = fork_arenas; a; a = a->next) {
        a->forked = true;
        close(a->lock_fd);
        close(a->fd);
        close(a->bell_fd);
        close(a->directory_fd);
    }
    pthread_mutex_unlock(&fork_mutex);
}

static void fork_install(void)
{
    fork_error = pthread_atfork(fork_prepare, fork_parent, fork_child);
}

int fork_guard_add(struct arena *arena)
{
    pthread_once(&fork_once, fork_install);
    if (fork_error)
        return -fork_error;
    pthread_mutex_lock(&fork_mutex);
    arena->next = fork_arenas;
    arena->previous = NULL;
    if (fork_arenas)
        fork_arenas->previous = arena;
    fork_arenas = arena;
    pthread_mutex_unlock(&fork_mutex);
    return 0;
}

void fork_guard_remove(struct arena *arena)
{
    pthread_mutex_lock(&fork_mutex);
    if (arena->previous)
        arena->previous->next = arena->next;
    else
        fork_arenas = arena->next;
    if (arena->next)
        arena->next->previous = arena->previous;
    pthread_mutex_unlock(&fork_mutex);
}
