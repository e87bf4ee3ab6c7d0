/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ring/directory.h"
#include "ring/process.h"
#include "ring/reader.h"
#include "ring/writer.h"
#include "torture.h"

struct probe {
    struct arena *arena;
    struct ring_reader *reader;
    struct ring_writer writer;
    uint8_t payload[65536];
};

static const char *probe_pass(struct probe *probe, const char *user, size_t length)
{
    struct iovec iov = {probe->payload, arena_payload_max(probe->arena)};
    struct ring_lease lease;
    struct ring_record record;

    int r;

    do { /* it grows first, as a rule */
        if (ring_lease_for_user(&lease, &probe->writer, user, length) < 0)
            return "gives no lease";
        r = ring_emit(NULL, &probe->writer, &lease, &iov, 1);
    } while (r == -ESTALE);
    if (r < 0)
        return "takes no record";
    if (ring_reader_next(&record, probe->reader, lease.ring) != 1 ||
        record.payload_length != iov.iov_len)
        return "does not give its record";
    return ring_reader_release(probe->reader, lease.ring, record.end) < 0 ? "releases nothing"
                                                                          : NULL;
}

static uint64_t probe_all(struct probe *probe)
{
    uint64_t bad = 0;

    for (uint32_t ring = 0; ring < arena_ring_count(probe->arena); ring++) {
        char user[128];
        int length = directory_user_id(user, probe->arena, ring);
        const char *problem;

        if (length < 0)
            continue;
        problem = probe_pass(probe, user, (size_t)length);
        if (!problem)
            continue;
        fprintf(stderr, "stuck: ring %u of %s: %s\n", (unsigned)ring, user, problem);
        bad++;
    }
    return bad;
}

uint64_t probe_rings(const char *directory)
{
    static struct probe probe;
    struct arena_options options = torture_options(directory);
    uint64_t bad = 1;

    if (arena_create(&probe.arena, &options) < 0)
        return 1;
    if (ring_reader_new(&probe.reader, probe.arena) == 0 &&
        ring_writer_init(&probe.writer, probe.arena) == 0) {
        bad = probe_all(&probe);
        ring_writer_deinit(&probe.writer);
    }
    probe.reader = ring_reader_free(probe.reader);
    probe.arena = arena_detach(probe.arena);
    return bad;
}

void probe_remove(const char *parent, const char *directory)
{
    struct arena_options options = torture_options(directory);
    struct arena *arena;

    if (arena_create(&arena, &options) == 0) {
        arena_unlink(arena);
        arena_detach(arena);
    }
    rmdir(parent);
}
