/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading process: takes rings from the doorbell, passes their records on, releases them, and
 * looks after the dead. It never sweeps: whatever is left behind because a bell did not ring stays
 * there, and the torture finds it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring/directory.h"
#include "ring/doorbell.h"
#include "ring/process.h"
#include "ring/reader.h"
#include "torture.h"

#define PROCESSES 64
#define BATCH 64 /* one write of so many is atomic: less than PIPE_BUF */

_Static_assert(BATCH * sizeof(struct torture_kept) <= 4096, "PIPE_BUF");

struct reading {
    struct arena *arena;
    struct ring_reader *reader;
    uint64_t random;
    uint64_t reclaimed_ms;
    bool look;                   /* at the processes: some came or went */
    bool at_rest;                /* it was: alone, and everything empty */
    bool reap_again;             /* one of them could not be reaped yet */
    uint32_t watched[PROCESSES]; /* incarnation + 1 of the process whose pidfd stands in fds */
    struct pollfd fds[1 + PROCESSES];
    unsigned batched;
    struct torture_kept batch[BATCH];
};

static void need(int r, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "reader: %s: %s\n", what, strerror(-r));
    _exit(1);
}

static void pass_on(struct reading *reading)
{
    size_t bytes = reading->batched * sizeof *reading->batch;

    if (bytes > 0 && write(TORTURE_FD, reading->batch, bytes) != (ssize_t)bytes)
        need(-errno, "pipe");
    reading->batched = 0;
}

static void read_ring(void *userdata, uint32_t ring)
{
    struct reading *reading = userdata;
    uint32_t random = torture_random(&reading->random);
    unsigned budget = random % 4 ? 256 : 1 + random / 4 % 8, every = 1 + (random >> 16) % BATCH;
    struct ring_record record;
    uint64_t end = 0;
    int r = 0;

    while (budget-- > 0 && (r = ring_reader_next(&record, reading->reader, ring)) > 0) {
        torture_keep(&reading->batch[reading->batched++], &record);
        end = record.end;
        if (reading->batched < every)
            continue;
        pass_on(reading);
        need(ring_reader_release(reading->reader, ring, end), "release");
        end = 0;
    }
    if (r < 0) { /* and leave it as it is, to be looked at */
        fprintf(stderr, "reader: ring %u: %s\n", (unsigned)ring,
            ring_reader_damage(reading->reader, ring));
        _exit(1);
    }
    pass_on(reading);
    if (end > 0)
        need(ring_reader_release(reading->reader, ring, end), "release");
    if (r > 0)
        doorbell_mark(reading->arena, ring);
}

static void unwatch(struct reading *reading, uint32_t index)
{
    if (reading->fds[1 + index].fd >= 0)
        close(reading->fds[1 + index].fd);
    reading->fds[1 + index].fd = -1;
    reading->watched[index] = 0;
}

static void reap(struct reading *reading, uint32_t index)
{
    int r = process_reap(reading->arena, index, NULL, NULL);

    if (r == -EBUSY) /* someone looks for a free entry just now */
        reading->reap_again = true;
    else
        unwatch(reading, index);
}

static void look_at(struct reading *reading, const struct process_info *info)
{
    if (info->live && reading->watched[info->index] != info->incarnation + 1) {
        unwatch(reading, info->index);
        reading->watched[info->index] = info->incarnation + 1;
        reading->fds[1 + info->index].fd = (int)syscall(SYS_pidfd_open, info->pid, 0);
    }
    /* Asked again, once its pidfd is open: then it is the right process's. */
    if (!process_is_live(reading->arena, info->index))
        reap(reading, info->index);
}

static void look_at_processes(struct reading *reading)
{
    struct process_info info;
    uint32_t cursor = 0;

    reading->look = reading->reap_again = false;
    while (process_next(&info, reading->arena, &cursor) > 0)
        if (!info.self)
            look_at(reading, &info);
}

/* Every few milliseconds. */
static void reclaim(struct reading *reading)
{
    uint64_t now = (uint64_t)torture_now_us() / 1000;

    if (now - reading->reclaimed_ms < TORTURE_IDLE_MS / 4)
        return;
    reading->reclaimed_ms = now;
    ring_reader_reclaim(reading->reader, now, TORTURE_IDLE_MS);
}

/* Only the reader itself has a place in the arena: the dead are resolved, and nobody lives. */
static bool is_alone(struct reading *reading)
{
    struct process_info info;
    uint32_t cursor = 0;

    while (process_next(&info, reading->arena, &cursor) > 0)
        if (!info.self)
            return false;
    return true;
}

/* The first ring that holds something, or arena_ring_count(). */
static uint32_t first_held(struct reading *reading)
{
    uint32_t ring = 0;

    while (ring < arena_ring_count(reading->arena) &&
           ring_reader_user_bytes(reading->reader, ring) == 0)
        ring++;
    return ring;
}

/* Alone with no bell to answer: then no ring may hold anything, for nobody will ring for it. */
static void check_rest(struct reading *reading)
{
    uint32_t held;

    if (!is_alone(reading))
        return;
    /* What the dead had named and not committed in the spill area is found by this. */
    ring_reader_reclaim(reading->reader, (uint64_t)torture_now_us() / 1000, 0);
    held = first_held(reading);
    if (!is_alone(reading)) /* someone came meanwhile */
        return;
    if (held < arena_ring_count(reading->arena)) {
        fprintf(stderr, "reader: ring %u holds something, and there is no bell for it\n",
            (unsigned)held);
        _exit(TORTURE_EXIT_STUCK);
    }
    reading->batch[reading->batched++] = (struct torture_kept){.ring = TORTURE_AT_REST};
    pass_on(reading);
    reading->at_rest = true;
}

/* Sleeps until there is something to do; meanwhile idle users' rings are taken back. Not a look at
 * the rings: only a bell makes the reader look. */
static void rest(struct reading *reading, int timeout)
{
    int64_t end = torture_now_us() + timeout * INT64_C(1000);
    int slice = timeout < TORTURE_IDLE_MS ? timeout : TORTURE_IDLE_MS;

    while (poll(reading->fds, 1 + PROCESSES, slice) == 0 && torture_now_us() < end)
        reclaim(reading);
}

static void turn(struct reading *reading, int timeout)
{
    if (process_take_news(reading->arena) || reading->look || reading->reap_again)
        look_at_processes(reading);
    reclaim(reading);
    doorbell_take(reading->arena, read_ring, reading);
    if (doorbell_prepare_sleep(reading->arena))
        timeout = 0;
    else if (reading->reap_again)
        timeout = 1;
    else
        check_rest(reading);
    rest(reading, timeout);
    for (uint32_t i = 1; i <= PROCESSES; i++)
        reading->look |= reading->fds[i].revents != 0;
    if (timeout > 0)
        doorbell_awake(reading->arena);
}

int torture_read(const char *directory, int argc, char **argv)
{
    static struct reading reading;
    struct arena_options options = torture_options(directory);
    bool finish = argc > 1 && strcmp(argv[1], "finish") == 0;
    int64_t end = torture_now_us() + TORTURE_STUCK_S * INT64_C(1000000);

    if (argc < 2)
        return 2;
    reading.random = strtoull(argv[0], NULL, 10) | 1;
    for (uint32_t i = 0; i < PROCESSES; i++)
        reading.fds[1 + i] = (struct pollfd){.fd = -1, .events = POLLIN};
    need(arena_create(&reading.arena, &options), "create");
    need(ring_reader_new(&reading.reader, reading.arena), "reader");
    reading.look = true;
    reading.fds[0] = (struct pollfd){.fd = doorbell_fd(reading.arena), .events = POLLIN};
    for (;;) {
        turn(&reading, finish ? 10 : TORTURE_STUCK_S * 1000);
        if (finish && reading.at_rest)
            return 0;
        if (finish && torture_now_us() > end)
            return TORTURE_EXIT_STUCK;
    }
}
