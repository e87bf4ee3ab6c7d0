/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The torture's writers as threads of one process, for ThreadSanitizer: nobody is killed, but rings
 * fill and grow, idle ones are taken back, users are new, and the reader is replaced by a new one
 * again and again, in the middle of what it was doing.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ledger.h"
#include "ring/doorbell.h"
#include "ring/process.h"
#include "ring/reader.h"
#include "torture.h"

#define WRITERS 4u
#define EVENTS 40000u
#define TURNS 200u /* of a reader, before the next takes over */
#define DEADLINE_S 100

static struct torture_ack acks[TORTURE_WRITERS_MAX];

struct scene {
    struct arena *arena;
    struct ring_reader *reader;
    struct ledger *ledger;
    struct ledger_counts counts;
    uint64_t random;
};

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "threads: %s\n", what);
    exit(1);
}

static void read_ring(void *userdata, uint32_t ring)
{
    struct scene *scene = userdata;
    unsigned budget = 1 + torture_random(&scene->random) % 100;
    struct ring_record record;
    uint64_t end = 0;
    int r = 0;

    while (budget-- > 0 && (r = ring_reader_next(&record, scene->reader, ring)) > 0) {
        struct torture_kept kept;

        torture_keep(&kept, &record);
        ledger_keep(scene->ledger, &kept);
        end = record.end;
    }
    need(r >= 0, "a damaged ring");
    /* Now and then left as it is: the next reader gets it again. */
    if (end > 0 && budget % 8 != 0)
        need(ring_reader_release(scene->reader, ring, end) == 0, "release");
    if (r > 0 || budget % 8 == 0)
        doorbell_mark(scene->arena, ring);
}

static void replace_reader(struct scene *scene)
{
    scene->reader = ring_reader_free(scene->reader);
    need(ring_reader_new(&scene->reader, scene->arena) == 0, "reader");
}

static bool is_done(struct scene *scene)
{
    for (uint32_t i = 0; i < WRITERS; i++)
        if (atomic_load(&acks[i].next) < EVENTS)
            return false;
    for (uint32_t ring = 0; ring < arena_ring_count(scene->arena); ring++)
        if (ring_reader_held_bytes(scene->reader, ring) > 0)
            return false;
    return ledger_is_even(scene->ledger);
}

static void read_all(struct scene *scene)
{
    int64_t end = torture_now_us() + DEADLINE_S * INT64_C(1000000);

    for (unsigned turns = 1; !is_done(scene); turns++) {
        process_take_news(scene->arena);
        doorbell_take(scene->arena, read_ring, scene);
        ring_reader_reclaim(scene->reader, (uint64_t)torture_now_us() / 1000, TORTURE_IDLE_MS);
        if (turns % TURNS == 0)
            replace_reader(scene);
        need(torture_now_us() < end, "stuck");
    }
}

static void *write_some(void *userdata)
{
    torture_write_events(userdata);
    return NULL;
}

int main(void)
{
    struct scene scene = {.random = 1};
    struct torture_writing writing[WRITERS];
    pthread_t threads[WRITERS];
    char parent[] = "/dev/shm/ringside-threads-XXXXXX", directory[64];
    struct arena_options options = torture_options(directory);

    need(mkdtemp(parent) != NULL, parent);
    snprintf(directory, sizeof directory, "%s/node", parent);
    need(arena_create(&scene.arena, &options) == 0, "arena");
    need(ring_reader_new(&scene.reader, scene.arena) == 0, "reader");
    scene.ledger = ledger_new(acks, &scene.counts, arena_ring_count(scene.arena));
    need(scene.ledger != NULL, "ledger");
    for (uint32_t i = 0; i < WRITERS; i++) {
        writing[i] = (struct torture_writing){scene.arena, acks, i, 7, EVENTS};
        need(pthread_create(&threads[i], NULL, write_some, &writing[i]) == 0, "thread");
    }
    read_all(&scene);
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    ledger_close(scene.ledger);
    printf("%llu events, %llu repeats\n", (unsigned long long)scene.counts.events,
        (unsigned long long)scene.counts.repeats);
    ledger_free(scene.ledger);
    ring_reader_free(scene.reader);
    arena_unlink(scene.arena);
    arena_detach(scene.arena);
    rmdir(parent);
    return scene.counts.lost || scene.counts.duplicated || scene.counts.disordered ||
           scene.counts.corrupt || scene.counts.events != WRITERS * EVENTS;
}
