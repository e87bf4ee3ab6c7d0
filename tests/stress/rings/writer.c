/* SPDX-License-Identifier: Apache-2.0 */
/* A writing process: threads that emit until they are killed, to shared and to new users, in every
 * way there is to emit. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/writer.h"
#include "torture.h"

#define THREADS_MAX 2

struct writing {
    struct arena *arena;
    struct torture_ack *ack;
    struct ring_writer w;
    struct ring_lease leases[TORTURE_USERS];
    bool leased[TORTURE_USERS];
    uint32_t user_seq[TORTURE_USERS];
    uint64_t seq;
    uint64_t random;
    uint32_t number;
};

static void failed(const struct writing *writing, const char *what, int r)
{
    fprintf(stderr, "writer %u: %s: %s\n", (unsigned)writing->number, what, strerror(-r));
    _exit(r == -ETIMEDOUT ? TORTURE_EXIT_STUCK : 1);
}

static int get_lease(struct writing *writing, uint32_t place)
{
    char name[32];
    size_t length = torture_user_name(name, torture_user(writing->number, place));
    int r;

    if (writing->leased[place])
        return 0;
    r = ring_lease_for_user(&writing->leases[place], &writing->w, name, length);
    writing->leased[place] = r == 0;
    return r;
}

static uint32_t choose_length(struct writing *writing)
{
    uint32_t r = torture_random(&writing->random), most = 200;

    if (r % 256 == 0)
        most = arena_spill_max(writing->arena) - (uint32_t)sizeof(struct torture_payload);
    else if (r % 16 == 0)
        most = 3500;
    return (uint32_t)sizeof(struct torture_payload) + (r >> 8) % (most + 1);
}

static int emit_in_place(
    struct writing *writing, uint32_t place, const struct torture_payload *head, bool give_up)
{
    struct ring_claim claim;
    int r = ring_reserve(&claim, &writing->w, &writing->leases[place], head->length);

    if (r < 0)
        return r;
    memcpy(claim.payload, head, sizeof *head);
    torture_fill(claim.payload);
    if (!give_up)
        return ring_commit(&writing->w, &claim);
    ring_abandon(&writing->w, &claim);
    return 0;
}

static int emit_copied(struct writing *writing, uint32_t place, const struct torture_payload *head)
{
    static _Thread_local union {
        struct torture_payload head;
        uint8_t bytes[TORTURE_PAYLOAD_MAX];
    } payload;
    struct iovec iov[2] = {
        {.iov_base = &payload.head, .iov_len = sizeof *head},
        {.iov_base = payload.bytes + sizeof *head, .iov_len = head->length - sizeof *head},
    };

    payload.head = *head;
    torture_fill(&payload.head);
    return ring_emit(NULL, &writing->w, &writing->leases[place], iov, 2);
}

/* Once; the errors of ring_emit. */
static int try_event(struct writing *writing, uint32_t place, const struct torture_payload *head)
{
    uint32_t way = torture_random(&writing->random) % 64;
    int r = get_lease(writing, place);

    if (r < 0)
        return r;
    if (way == 0) {
        r = emit_in_place(writing, place, head, true);
        if (r < 0)
            return r;
    }
    return way % 2 ? emit_copied(writing, place, head) : emit_in_place(writing, place, head, false);
}

/* The ring grew, or was taken back. */
static void renew(struct writing *writing, uint32_t place)
{
    if (torture_random(&writing->random) % 2 ||
        ring_lease_renew(&writing->leases[place], &writing->w) < 0)
        writing->leased[place] = false;
}

/* One event, however long the ring stays full and however often it becomes another one. */
static void write_event(struct writing *writing, uint32_t place)
{
    struct torture_payload head = {
        .seq = writing->seq,
        .writer = writing->number,
        .user = torture_user(writing->number, place),
        .user_seq = writing->user_seq[place],
        .length = choose_length(writing),
    };
    int64_t end = torture_now_us() + TORTURE_STUCK_S * INT64_C(1000000);
    int r;

    while ((r = try_event(writing, place, &head)) != 0) {
        if (r == -EAGAIN)
            r = ring_wait_space(&writing->w, &writing->leases[place], head.length, 1000);
        if (r == -ESTALE)
            renew(writing, place);
        else if (r == -ENOSPC) /* more users, or long payloads, than places: until some are free */
            sched_yield();
        else if (r < 0 && r != -ETIMEDOUT)
            failed(writing, "event", r);
        if (torture_now_us() > end)
            failed(writing, "event", -ETIMEDOUT);
    }
    writing->user_seq[place]++;
    writing->seq++;
    atomic_store(&writing->ack->next, writing->seq);
}

/* In batches of a few; a batch that does not end before the next one begins is one too. */
static void write_next(struct writing *writing)
{
    uint32_t random = torture_random(&writing->random);

    if (random % 32 == 1)
        ring_batch_begin(&writing->w);
    else if (random % 8 == 2)
        ring_batch_end(&writing->w);
    write_event(writing, random % 16 == 0 ? TORTURE_SHARED_USERS + (random >> 8) % TORTURE_OWN_USERS
                                          : (random >> 8) % TORTURE_SHARED_USERS);
}

void torture_write_events(const struct torture_writing *job)
{
    struct writing writing = {
        .arena = job->arena,
        .ack = &job->acks[job->number],
        .random = (job->seed + job->number + 1) * UINT64_C(0x9e3779b97f4a7c15),
        .number = job->number,
    };
    int r = ring_writer_init(&writing.w, writing.arena);

    if (r < 0)
        failed(&writing, "writer", r);
    /* Neighbours begin with the same new user. */
    write_event(&writing, TORTURE_SHARED_USERS + (writing.number | 7) - writing.number);
    while (writing.seq < job->events)
        write_next(&writing);
    ring_batch_end(&writing.w);
    ring_writer_deinit(&writing.w);
}

static void *write_for_ever(void *userdata)
{
    torture_write_events(userdata);
    return NULL;
}

int torture_write(const char *directory, int argc, char **argv)
{
    struct torture_writing jobs[THREADS_MAX];
    struct torture_writing job = {.events = UINT64_MAX};
    unsigned threads = argc < 3 ? 0 : (unsigned)strtoul(argv[1], NULL, 10);
    pthread_t thread;

    job.acks = mmap(NULL, TORTURE_WRITERS_MAX * sizeof *job.acks, PROT_READ | PROT_WRITE,
        MAP_SHARED, TORTURE_FD, 0);
    if (threads < 1 || threads > THREADS_MAX || job.acks == MAP_FAILED)
        return 2;
    job.number = (uint32_t)strtoul(argv[0], NULL, 10);
    job.seed = strtoull(argv[2], NULL, 10);
    if (job.number > TORTURE_WRITERS_MAX - threads || arena_attach(&job.arena, directory) < 0)
        return 1;
    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = job;
        jobs[i].number += i;
        if (pthread_create(&thread, NULL, write_for_ever, &jobs[i]) != 0)
            return 1;
    }
    pthread_join(thread, NULL);
    return 0;
}
