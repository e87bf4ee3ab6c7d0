/* SPDX-License-Identifier: Apache-2.0 */
#include "intake/processes.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "failpoints/failpoint.h"
#include "intake/exit_status.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

struct watched {
    struct processes *processes;
    ev_io readable; /* its pidfd: the process is dead */
    int pidfd;      /* -1: none could be had, the table is looked at instead */
    pid_t pid;
    uint32_t index;
    uint64_t incarnation; /* 0: nobody */
    uint64_t buried;      /* 1 + the incarnation that died last; 0: none did */
    uint64_t fenced;      /* 1 + the incarnation that was given up last; 0: none was */
    bool seen;            /* in this look at the table */
    bool due;             /* dead, or not to be told from the dead yet: look in the next turn */
};

struct processes {
    struct ev_loop *loop;
    struct arena *arena;
    const struct processes_events *events;
    void *context;
    uint32_t count;
    bool death_seen; /* some entry is due */
    bool any_fenced;
    struct watched table[]; /* by index in the arena's table */
};

static void look_again(struct watched *watched)
{
    watched->due = true;
    watched->processes->death_seen = true;
}

static void on_death(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct watched *watched = watcher->data;
    ev_io_stop(loop, watcher); /* it stays readable; the turn takes it from here */
    look_again(watched);
}

static void table_init(struct processes *processes, uint32_t index)
{
    uint32_t fenced = process_fenced(processes->arena, index);
    processes->table[index] =
        (struct watched){.processes = processes, .index = index, .pidfd = -1, .fenced = fenced};
    processes->any_fenced |= fenced != 0;
}

int processes_new(struct processes **ret_processes, struct ev_loop *loop, struct arena *arena,
    const struct processes_events *events, void *context)
{
    uint32_t count = arena_process_count(arena);
    struct processes *processes =
        calloc(1, sizeof(*processes) + count * sizeof(processes->table[0]));
    if (!processes)
        return -ENOMEM;
    processes->loop = loop;
    processes->arena = arena;
    processes->events = events;
    processes->context = context;
    processes->count = count;
    for (uint32_t i = 0; i < count; i++)
        table_init(processes, i);
    *ret_processes = processes;
    return 0;
}

static void forget(struct watched *watched)
{
    if (watched->pidfd >= 0) {
        ev_io_stop(watched->processes->loop, &watched->readable);
        close(watched->pidfd);
    }
    watched->pidfd = -1;
    watched->incarnation = 0;
}

void processes_free(struct processes *processes)
{
    if (!processes)
        return;
    for (uint32_t i = 0; i < processes->count; i++)
        forget(&processes->table[i]);
    free(processes);
}

static void watch(struct watched *watched, const struct process_info *info)
{
    watched->pid = info->pid;
    watched->incarnation = info->incarnation;
    watched->pidfd = (int)syscall(SYS_pidfd_open, info->pid, 0);
    if (watched->pidfd < 0) {
        look_again(watched); /* dead already, or not ours to watch */
        return;
    }
    /* The pid may have been another's before the pidfd was open; the lock tells. */
    if (!process_is_live(watched->processes->arena, info->index)) {
        close(watched->pidfd);
        watched->pidfd = -1;
        look_again(watched);
        return;
    }
    ev_io_init(&watched->readable, on_death, watched->pidfd, EV_READ);
    watched->readable.data = watched;
    ev_io_start(watched->processes->loop, &watched->readable);
}

static void bury(struct processes *processes, uint32_t index, uint64_t incarnation)
{
    struct watched *watched = &processes->table[index];
    struct process_death death = {.index = index, .incarnation = incarnation, .exit_code = -1};
    if (watched->incarnation == incarnation && watched->pidfd >= 0) {
        struct exit_status status = exit_status_of(watched->pid, watched->pidfd);
        death.signal = status.signal;
        death.exit_code = status.exit_code;
    }
    if (watched->incarnation == incarnation)
        forget(watched);
    watched->buried = incarnation + 1;
    processes->events->on_death(processes->context, &death);
}

static void look_at(struct processes *processes, const struct process_info *info)
{
    struct watched *watched = &processes->table[info->index];
    if (info->self)
        return;
    if (watched->incarnation != 0 && watched->incarnation != info->incarnation)
        bury(processes, info->index, watched->incarnation);
    if (watched->incarnation == 0 && info->live)
        watch(watched, info);
    if (info->live)
        return;
    watched->pid = info->pid;
    watched->incarnation = info->incarnation;
    int rc = process_reap(processes->arena, info->index, NULL, NULL);
    FAILPOINT(process_reaped);
    if (rc == 0)
        bury(processes, info->index, info->incarnation);
    else
        look_again(watched); /* somebody else just looks at its lock */
}

static void look_at_all(struct processes *processes)
{
    for (uint32_t i = 0; i < processes->count; i++)
        processes->table[i].seen = false;
    struct process_info info;
    for (uint32_t cursor = 0; process_next(&info, processes->arena, &cursor);) {
        processes->table[info.index].seen = true;
        look_at(processes, &info);
    }
    for (uint32_t i = 0; i < processes->count; i++) {
        if (!processes->table[i].seen && processes->table[i].incarnation != 0)
            bury(processes, i, processes->table[i].incarnation);
    }
}

/* A death must not wait for a look at everybody else's lock. */
static void look_at_due(struct processes *processes)
{
    for (uint32_t i = 0; i < processes->count; i++) {
        struct watched *watched = &processes->table[i];
        if (!watched->due)
            continue;
        watched->due = false;
        struct process_info info;
        uint32_t cursor = i;
        if (process_next(&info, processes->arena, &cursor) == 1 && info.index == i)
            look_at(processes, &info);
        else if (watched->incarnation != 0)
            bury(processes, i, watched->incarnation);
    }
}

void processes_turn(struct processes *processes, bool force)
{
    bool news = process_take_news(processes->arena);
    bool due = processes->death_seen;
    processes->death_seen = false;
    if (due)
        look_at_due(processes);
    if (news || force)
        look_at_all(processes);
}

/* It may have attached and written since the last look at the table. */
static void learn(struct processes *processes, uint32_t index)
{
    struct process_info info;
    uint32_t cursor = index;
    if (process_next(&info, processes->arena, &cursor) == 1 && info.index == index)
        watch(&processes->table[index], &info);
}

bool processes_incarnation(struct processes *processes, uint32_t index, uint64_t *ret_incarnation)
{
    if (index < processes->count && processes->table[index].incarnation == 0)
        learn(processes, index);
    if (index >= processes->count || processes->table[index].incarnation == 0)
        return false;
    *ret_incarnation = processes->table[index].incarnation;
    return true;
}

bool processes_alive(struct processes *processes, uint32_t index, uint64_t incarnation)
{
    uint64_t holder;
    if (!processes_incarnation(processes, index, &holder) || holder != incarnation)
        return false;
    bool alive = process_is_live(processes->arena, index);
    if (!alive)
        look_again(&processes->table[index]); /* what it held is taken back in the next turn */
    return alive;
}

bool processes_has_pid(const struct processes *processes, uint32_t index, uint64_t pid)
{
    return index < processes->count && (uint64_t)processes->table[index].pid == pid;
}

int processes_fence(struct processes *processes, uint32_t index, uint64_t incarnation)
{
    return process_fence(processes->arena, index, (uint32_t)incarnation);
}

void processes_disown(struct processes *processes, uint32_t index, uint64_t incarnation)
{
    processes->table[index].fenced = incarnation + 1;
    processes->any_fenced = true;
}

bool processes_buried(const struct processes *processes, uint32_t index, uint64_t incarnation)
{
    return index < processes->count && processes->table[index].buried == incarnation + 1;
}

bool processes_fenced(const struct processes *processes, uint32_t index, uint64_t incarnation)
{
    return processes->any_fenced && index < processes->count &&
           processes->table[index].fenced == incarnation + 1;
}

int processes_kill(struct processes *processes, uint32_t index, uint64_t incarnation)
{
    if (index == arena_process_index(processes->arena))
        return -EPERM;
    /* Only through a pidfd: a pid may be another's by now. */
    if (!processes_alive(processes, index, incarnation) || processes->table[index].pidfd < 0)
        return -ESRCH;
    if (syscall(SYS_pidfd_send_signal, processes->table[index].pidfd, SIGKILL, NULL, 0) < 0)
        return -errno;
    return 0;
}
