/* SPDX-License-Identifier: Apache-2.0 */
#include "fill.h"

#include <errno.h>
#include <stdlib.h>

#include "bench.h"
#include "event/codec.h"
#include "history/history.h"
#include "history/retention.h"
#include "load.h"

#define MERGE_EVERY 64 /* batches */
#define STRIDE 7919u   /* a prime that divides no number of users: each is met once a round */

struct filling {
    const struct fill *fill;
    struct history *history;
    struct history_stream **streams;
    struct buffer encoded;
    struct event event;
    uint64_t commits;
};

static void open_streams(struct filling *f)
{
    f->streams =
        bench_need_memory(calloc(f->fill->users, sizeof(struct history_stream *)), "calloc");
    for (uint32_t user = 0; user < f->fill->users; user++) {
        char name[32];
        size_t length = load_user_name(name, user);

        f->streams[user] = history_stream(f->history, span_of(name, length));
        bench_need(f->streams[user] ? 0 : -ENOMEM, "history_stream");
    }
}

static void append_burst(struct filling *f, uint32_t user)
{
    char name[32];
    size_t length = load_user_name(name, user);

    f->event.user_tag = event_user_tag(span_of(name, length));
    for (int i = 0; i < FILL_BURST; i++) {
        f->event.seq = history_head(f->streams[user]) + 1;
        buffer_clear(&f->encoded);
        event_encode(&f->encoded, &f->event);
        bench_need(
            history_append(f->history, f->streams[user], f->event.seq, buffer_span(&f->encoded)),
            "history_append");
    }
}

/* As the broker does: small batches are merged as they come. */
static void commit(struct filling *f)
{
    bench_need(history_commit(f->history), "history_commit");
    if (++f->commits % MERGE_EVERY)
        return;
    while (history_merge(f->history) == 1)
        ;
}

static void fill_rounds(struct filling *f)
{
    const struct fill *fill = f->fill;
    uint32_t in_batch = 0;

    for (uint32_t round = 0; round < fill->events / FILL_BURST; round++) {
        for (uint64_t i = 0; i < fill->users; i++) {
            append_burst(f, (uint32_t)((i * STRIDE + round * (fill->users / 3)) % fill->users));
            if (++in_batch < FILL_BATCH_USERS)
                continue;
            commit(f);
            in_batch = 0;
        }
    }
    commit(f);
}

void fill_event(struct event *ret_event)
{
    static const char data[] =
        "{\"delta\":\"a reader may be killed at any instruction, and goes \"}";
    _Static_assert(sizeof data - 1 == FILL_DATA_BYTES, "the text is as long as it says");

    load_event(ret_event);
    ret_event->data = span_of(data, FILL_DATA_BYTES);
}

void fill_history(const struct fill *fill)
{
    char reason[HISTORY_REASON_SIZE];
    const struct history_options options = {
        .directory = fill->directory, .sync = HISTORY_SYNC_NEVER, .map_bytes = UINT64_C(16) << 30};
    struct filling f = {.fill = fill};

    fill_event(&f.event);
    bench_need(history_open(&f.history, &options, reason), "history_open");
    open_streams(&f);
    fill_rounds(&f);
    buffer_deinit(&f.encoded);
    free(f.streams);
    history_close(f.history);
}
