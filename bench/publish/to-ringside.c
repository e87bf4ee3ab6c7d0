/* SPDX-License-Identifier: Apache-2.0 */
/* A worker process on the emitter library, with an open run of each user. */
#include "sink.h"

#include <ringside.h>

#include <stdio.h>
#include <stdlib.h>

static rs_run **runs;
static uint32_t run_count;

static void need(int rc, const char *what)
{
    if (rc != RS_OK)
        sink_fail(what, rs_strerror(rc));
}

static void settle_ringside(void)
{
    for (uint32_t i = 0; i < run_count; i++)
        need(rs_run_flush(runs[i], RS_SEQUENCED, 60000), "flush");
}

static void open_ringside(uint16_t port, uint32_t users)
{
    rs_emitter *emitter;
    (void)port;
    runs = calloc(users, sizeof(rs_run *));
    if (!runs)
        sink_fail("runs", rs_strerror(RS_E_NO_MEMORY));
    need(rs_attach(&emitter, NULL), "attach");
    for (uint32_t i = 0; i < users; i++) {
        char user[32], id[32];
        const struct rs_run_context context = {
            .user_id = user, .thread_id = "t-1", .agent = "bench", .run_id = id};
        snprintf(user, sizeof(user), "u%u", i);
        snprintf(id, sizeof(id), "r-%u", i);
        need(rs_run_open(&runs[i], emitter, &context), "open");
        need(rs_run_start(runs[i]), "start");
    }
    run_count = users;
    settle_ringside();
}

static void put_ringside(uint32_t user, struct span event)
{
    (void)event.len; /* it ends with a NUL */
    need(rs_emit(runs[user], "partial_result", "m-1", NULL, event.data), "emit");
}

static void flush_ringside(void)
{
}

const struct sink sink_ringside = {
    .name = "ringside",
    .data_only = true,
    .open = open_ringside,
    .put = put_ringside,
    .flush = flush_ringside,
    .settle = settle_ringside,
};
