/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process for the tests of deaths to kill:
 *   helper write|write-shared|read <directory> <step> <count> <writer> <first> <last>
 * It dies by its own hand at the count-th pass of the step, or ends with 0; 1 is a failure.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "helper.h"
#include "ring/arena.h"
#include "ring/doorbell.h"
#include "ring/process.h"
#include "ring/reader.h"
#include "ring/writer.h"
#include "stepping.h"

#define REPORT_FD 3

static int failed(const char *what, int r)
{
    fprintf(stderr, "helper %d: %s: %s\n", (int)getpid(), what, strerror(-r));
    return 1;
}

static int report(const void *bytes, size_t length)
{
    return write(REPORT_FD, bytes, length) == (ssize_t)length ? 0 : -errno;
}

/* Every eighth event of a victim goes to a user of its own, new to the directory. */
static int lease_for(
    struct ring_lease *ret, struct ring_writer *w, const struct helper_job *job, uint64_t seq)
{
    char user[64];

    if (strcmp(job->mode, "write") == 0 && job->writer != 0 && seq % 8 == 7)
        snprintf(user, sizeof user, "own-%" PRIu32, job->writer % 512);
    else
        snprintf(user, sizeof user, "shared-%u", (unsigned)(seq % HELPER_SHARED_USERS));
    return ring_lease_for_user(ret, w, user, strlen(user));
}

/* One event, however long the ring stays full. The payload is filled in place. */
static int write_event(struct ring_writer *w, const struct helper_job *job, uint64_t seq)
{
    uint32_t length = (uint32_t)sizeof(struct helper_payload) + helper_length(job->writer, seq);
    struct ring_lease lease;
    struct ring_claim claim;
    int r = lease_for(&lease, w, job, seq);

    if (r < 0)
        return r;
    while ((r = ring_reserve(&claim, w, &lease, length)) < 0) {
        if (r == -EAGAIN)
            r = ring_wait_space(w, &lease, length, 20000);
        if (r == -ESTALE)
            r = lease_for(&lease, w, job, seq);
        if (r < 0)
            return r;
    }
    helper_fill(claim.payload, job->writer, seq);
    return ring_commit(w, &claim);
}

static int run_writer(const struct helper_job *job)
{
    struct ring_writer w;
    struct arena *arena;
    int r = arena_attach(&arena, job->directory);

    if (r < 0)
        return failed("attach", r);
    r = ring_writer_init(&w, arena);
    if (r < 0)
        return failed("writer", r);
    if (strcmp(job->step, "-") != 0)
        step_at(job->step, job->count, step_kill);
    for (uint64_t seq = job->first; seq < job->last; seq++) {
        r = write_event(&w, job, seq);
        if (r == 0)
            r = report("", 1);
        if (r < 0)
            return failed("event", r);
    }
    step_off();
    ring_writer_deinit(&w);
    arena_detach(arena);
    return 0;
}

static struct ring_reader *reader;

static void read_ring(void *userdata, uint32_t ring)
{
    struct ring_record record;

    (void)userdata;
    while (ring_reader_next(&record, reader, ring) > 0) {
        const struct helper_payload *payload = record.payload;
        struct helper_passed passed = {record.begin, record.end, 0, ring, UINT32_MAX};

        if (helper_intact(payload, record.payload_length)) {
            passed.seq = payload->seq;
            passed.writer = payload->writer;
        }
        if (report(&passed, sizeof passed) < 0)
            exit(1);
        /* Not every record by itself: releases of several are the rule. */
        if (passed.seq % 3 == 0)
            ring_reader_release(reader, ring, record.end);
    }
    ring_reader_release(reader, ring, ring_reader_cursor(reader, ring));
}

static void reap_all(struct arena *arena)
{
    struct process_info info;
    uint32_t cursor = 0;

    process_take_news(arena);
    while (process_next(&info, arena, &cursor) > 0)
        if (!info.live)
            process_reap(arena, info.index, NULL, NULL);
}

static int run_reader(const struct helper_job *job)
{
    struct arena_options options = {.directory = job->directory};
    struct arena *arena;
    uint64_t turns = 0;
    int r;

    if (strcmp(job->step, "-") != 0)
        step_at(job->step, job->count, step_kill);
    r = arena_create(&arena, &options);
    if (r < 0)
        return failed("create", r);
    r = ring_reader_new(&reader, arena);
    if (r < 0)
        return failed("reader", r);
    for (;;) {
        struct pollfd bell = {.fd = doorbell_fd(arena), .events = POLLIN};

        reap_all(arena);
        doorbell_take(arena, read_ring, NULL);
        ring_reader_reclaim(reader, ++turns, 1); /* idle for a turn is idle enough */
        if (doorbell_prepare_sleep(arena))
            continue;
        poll(&bell, 1, 20000);
        doorbell_awake(arena);
    }
}

int main(int argc, char **argv)
{
    struct helper_job job;

    if (argc != 8)
        return failed("arguments", -EINVAL);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
    job = (struct helper_job){argv[1], argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10),
        (uint32_t)strtoul(argv[5], NULL, 10), strtoull(argv[6], NULL, 10),
        strtoull(argv[7], NULL, 10)};
    return strcmp(job.mode, "read") == 0 ? run_reader(&job) : run_writer(&job);
}
