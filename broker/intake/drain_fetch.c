/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring that is served costs some thirty cache lines of its user, its run and the ring itself,
 * none of which its neighbours have touched, and each of which would be waited for in turn. So
 * while a ring is served those of the next ones are on their way: first what tells where the rest
 * is, then, a ring later, that, and so on. What is read here was fetched a ring before.
 */
#include "intake/drain_private.h"

#define LINE 64u

static void fetch(const void *what, size_t size)
{
    for (size_t at = 0; what && at < size; at += LINE)
        __builtin_prefetch((const char *)what + at);
}

static void fetch_places(const struct drain *drain, uint32_t ring)
{
    fetch(&drain->states[ring], sizeof(*drain->states));
    ring_reader_fetch(drain->reader, ring);
}

static void fetch_user(const struct drain *drain, uint32_t ring)
{
    const struct user *user = drain->states[ring].user;
    ring_reader_fetch_record(drain->reader, ring);
    if (user)
        fetch(&user->tag, offsetof(struct user, runs) - offsetof(struct user, tag));
}

static void fetch_run(const struct drain *drain, uint32_t ring)
{
    const struct user *user = drain->states[ring].user;
    if (!user)
        return;
    history_fetch(user->stream);
    __builtin_prefetch(user->fresh.data, 1);
    const struct run *run = user->recent;
    if (!run)
        return;
    fetch(run->id, LINE);
    fetch(&run->user, offsetof(struct run, attempts) - offsetof(struct run, user));
    fetch(&run->snapshot, sizeof(run->snapshot));
}

static void fetch_text(const struct drain *drain, uint32_t ring)
{
    const struct user *user = drain->states[ring].user;
    if (user && user->recent)
        snapshot_fetch_text(&user->recent->snapshot);
}

static void fetch_items(const struct drain *drain, uint32_t ring)
{
    const struct user *user = drain->states[ring].user;
    if (!user || !user->recent)
        return;
    fetch(user->recent->grammar.open[GRAMMAR_TEXT].prev, sizeof(struct grammar_item) / 2);
    fetch(user->recent->context.data, user->recent->context.len);
    snapshot_fetch(&user->recent->snapshot);
}

void drain_fetch(const struct drain *drain, size_t place)
{
    static void (*const steps[])(const struct drain *, uint32_t) = {
        fetch_text, fetch_items, fetch_run, fetch_user, fetch_places};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        if (drain->news.count > i + 1)
            steps[i](drain, drain->news.rings[(place + i + 1) % drain->news.count]);
    }
}

void drain_fetch_position(const struct drain *drain, size_t place)
{
    if (place >= drain->touched.count)
        return;
    uint32_t ring = drain->touched.rings[place];
    fetch(&drain->states[ring], sizeof(*drain->states));
    history_fetch_position(drain->options.history, ring);
}

static void fetch_release(const struct drain *drain, uint32_t ring)
{
    const struct ring_state *state = &drain->states[ring];
    ring_reader_fetch_release(drain->reader, ring);
    fetch(state->undelivered, sizeof(struct delivery));
    if (!state->user)
        return;
    __builtin_prefetch(&state->user->stream);
    __builtin_prefetch(&state->user->acknowledged);
}

static void fetch_head(const struct drain *drain, uint32_t ring)
{
    const struct user *user = drain->states[ring].user;
    if (user)
        history_fetch(user->stream);
}

void drain_fetch_touched(const struct drain *drain, size_t place)
{
    static void (*const steps[])(const struct drain *, uint32_t) = {
        fetch_head, fetch_release, fetch_places};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        size_t ahead = place + 2 * (i + 1);
        if (ahead < drain->touched.count)
            steps[i](drain, drain->touched.rings[ahead]);
    }
}
