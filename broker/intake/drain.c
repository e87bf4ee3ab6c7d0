/* SPDX-License-Identifier: Apache-2.0 */
#include "intake/drain_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pages.h"
#include "event/record.h"
#include "failpoints/failpoint.h"
#include "ring/directory.h"
#include "ring/doorbell.h"

#include <errno.h>
#include <stdlib.h>

/* A ring's share of a turn, at most: one busy user must not make the others wait. */
#define RING_SHARE 512
#define RING_SHARE_BYTES (1u << 20)
/* What a record's event is larger by than its payload, at most: the run's own identifiers. */
#define EVENT_OVERHEAD 1024
/* What the broker writes itself before a commit must come: an end closes all that its run has open.
 */
#define WRITTEN_MAX 65536
/* Of how many rings the positions are on their way, where they are staged. */
#define POSITIONS_AHEAD 6

static bool lists_new(struct drain *drain, uint32_t count)
{
    drain->states = pages_new(count, sizeof(*drain->states));
    drain->news.rings = calloc(count, sizeof(uint32_t));
    drain->touched.rings = calloc(count, sizeof(uint32_t));
    drain->unsynced.rings = calloc(count, sizeof(uint32_t));
    drain->syncing.rings = calloc(count, sizeof(uint32_t));
    return drain->states && drain->news.rings && drain->touched.rings && drain->unsynced.rings &&
           drain->syncing.rings;
}

int drain_new(struct drain **ret_drain, const struct drain_options *options)
{
    struct drain *drain = calloc(1, sizeof(*drain));
    if (!drain)
        return -ENOMEM;
    drain->options = *options;
    int rc = lists_new(drain, arena_ring_count(options->arena)) ? 0 : -ENOMEM;
    if (!rc)
        rc = ring_reader_new(&drain->reader, options->arena);
    if (!rc)
        rc = pacing_init(&drain->pacing, &(struct pacing_options){.user_rate = options->user_rate,
                                             .worker_rate = options->worker_rate,
                                             .ring_count = arena_ring_count(options->arena),
                                             .process_count = arena_process_count(options->arena),
                                             .counters = options->counters});
    if (rc) {
        drain_free(drain);
        return rc;
    }
    *ret_drain = drain;
    return 0;
}

void drain_free(struct drain *drain)
{
    if (!drain)
        return;
    ring_reader_free(drain->reader);
    pacing_deinit(&drain->pacing);
    buffer_deinit(&drain->copy);
    uint32_t count = arena_ring_count(drain->options.arena);
    region_deinit(&drain->marks);
    pages_free(drain->states, count, sizeof(*drain->states));
    free(drain->news.rings);
    free(drain->touched.rings);
    free(drain->unsynced.rings);
    free(drain->syncing.rings);
    free(drain);
}

/* ---- one record */

static struct delivery *new_marks(struct drain *drain)
{
    union drain_marks *marks = drain->spare;
    if (!marks)
        marks = region_take(&drain->marks, sizeof(*marks));
    else
        drain->spare = marks->next;
    if (!marks)
        return NULL;
    marks->delivery = (struct delivery){0};
    return &marks->delivery;
}

static void forget_undelivered(struct drain *drain, struct ring_state *state)
{
    union drain_marks *marks = (union drain_marks *)state->undelivered;
    state->undelivered = NULL;
    if (!marks)
        return;
    marks->next = drain->spare;
    drain->spare = marks;
}

/* Since when nobody has watched; 0: somebody does. */
static uint64_t unwatched_since(const struct user *user)
{
    return list_empty(&user->subscriptions) ? user->lonely_since_ms : 0;
}

/* A ring seen for the first time, or for the first time as this user's. */
static bool meet_ring(struct drain *drain, const struct ring_record *record)
{
    struct ring_state *state = &drain->states[record->ring];
    if (state->user && state->generation == record->generation)
        return true;
    char id[128];
    int len = directory_user_id(id, drain->options.arena, record->ring);
    state->user = len < 0 ? NULL : users_get(drain->options.users, span_of(id, (size_t)len));
    state->generation = record->generation;
    pacing_forget(&drain->pacing, record->ring);
    forget_undelivered(drain, state);
    if (state->user)
        ring_reader_set_unwatched(drain->reader, record->ring, unwatched_since(state->user));
    struct history_position position = {.arena_id = arena_id(drain->options.arena),
        .ring = record->ring,
        .generation = record->generation};
    bool known = history_find_position(drain->options.history, &position) == 0;
    state->appended = known ? position.position : 0;
    return state->user != NULL;
}

static void refuse(struct drain *drain, enum verdict why)
{
    drain->options.counters->refused[why]++;
}

static bool mark_covers(
    const struct drain *drain, const struct ring_mark *mark, const struct ring_record *record)
{
    if (!mark->set)
        return false;
    if (record->ring !=
        mark->ring) /* the user's earlier ones are smaller, and have lower numbers */
        return record->ring % arena_user_count(drain->options.arena) ==
                   mark->ring % arena_user_count(drain->options.arena) &&
               record->ring < mark->ring;
    return record->begin < mark->position;
}

/*
 * Of a process that was given up, only what lay in the ring by then is taken: the marks of its runs
 * say how far that was. Whatever comes behind was written by one that woke up again.
 */
static bool is_late(
    const struct drain *drain, const struct ring_record *record, const struct event *event)
{
    if (!processes_fenced(drain->options.processes, record->process, record->incarnation))
        return false;
    const struct run *run = pipeline_find(drain->options.pipeline, event->run_id);
    return !run || run->farewell == FAREWELL_NONE || !mark_covers(drain, &run->mark, record);
}

static void take_record(struct drain *drain, const struct ring_record *record)
{
    struct event event;
    const struct origin origin = {record->process, record->incarnation};
    if (!meet_ring(drain, record)) {
        refuse(drain, VERDICT_FOREIGN_USER);
        return;
    }
    struct ring_state *state = &drain->states[record->ring];
    if (record->end <= state->appended) {
        drain->options.counters->events_repeated++;
        return;
    }
    buffer_clear(&drain->copy);
    buffer_append(&drain->copy, record->payload, record->payload_length);
    if (record->user_tag != state->user->tag)
        refuse(drain, VERDICT_FOREIGN_USER);
    else if (event_record_decode(&event, buffer_span(&drain->copy)) < 0)
        refuse(drain, VERDICT_MALFORMED);
    else if (is_late(drain, record, &event))
        refuse(drain, VERDICT_FENCED);
    else
        pipeline_push(drain->options.pipeline, state->user, &event, &origin);
}

/* ---- turns */

static void touch(struct drain *drain, uint32_t ring, uint64_t upto)
{
    struct ring_state *state = &drain->states[ring];
    state->drained = upto;
    if (state->touched)
        return;
    state->touched = true;
    drain->touched.rings[drain->touched.count++] = ring;
}

bool drain_full(const struct drain *drain)
{
    uint64_t written = drain->options.counters->events_written - drain->written_before;
    return drain->batch_bytes >= drain->options.max_staged || written >= WRITTEN_MAX;
}

static bool turn_full(const struct drain *drain)
{
    return drain->taken >= DRAIN_TURN_RECORDS || drain_full(drain);
}

/* What one ring may give in this turn. The first record is always one of them. */
struct share {
    size_t records;
    size_t bytes;
};

static bool within(const struct share *taken, const struct share *share)
{
    return taken->records == 0 || (taken->records < share->records && taken->bytes < share->bytes);
}

/* As the reader knows the ring, its generation may be of another user than that of its state. */
static struct user *user_of(const struct drain *drain, uint32_t ring)
{
    const struct ring_state *state = &drain->states[ring];
    bool current = state->generation == ring_reader_generation(drain->reader, ring);
    return current ? state->user : NULL;
}

static bool may_go_on(struct drain *drain, uint32_t ring, const struct pacing_record *last)
{
    return pacing_allows(
        &drain->pacing, ring, ring_reader_cursor(drain->reader, ring), user_of(drain, ring), last);
}

static void take_in(
    struct drain *drain, const struct ring_record *record, struct pacing_record *ret_last)
{
    *ret_last =
        (struct pacing_record){record->process, record->incarnation, record->payload_length};
    take_record(drain, record);
    FAILPOINT(record_drained);
    drain->batch_bytes += record->payload_length + EVENT_OVERHEAD;
    touch(drain, record->ring, record->end);
    if (drain->states[record->ring].user)
        pacing_note(&drain->pacing, drain->states[record->ring].user, ret_last);
}

static void say_damage(struct drain *drain, uint32_t ring)
{
    drain->options.counters->rings_damaged++;
    log_error("drain", "ring %u is damaged and set aside: %s", ring,
        ring_reader_damage(drain->reader, ring));
}

static void drain_ring(struct drain *drain, uint32_t ring, const struct share *share)
{
    struct ring_record record;
    struct pacing_record last;
    struct share taken = {0, 0};
    bool allowed = may_go_on(drain, ring, NULL);
    int rc = 1;
    while (rc == 1 && allowed && within(&taken, share) && !turn_full(drain)) {
        rc = ring_reader_next(&record, drain->reader, ring);
        if (rc != 1)
            break;
        take_in(drain, &record, &last);
        drain->taken++;
        taken.records++;
        taken.bytes += record.payload_length;
        allowed = may_go_on(drain, ring, &last);
    }
    if (rc == -EUCLEAN)
        say_damage(drain, ring);
    /* A held ring is looked at again in its time. */
    if (rc == 1 && allowed && ring_reader_has_more(drain->reader, ring))
        doorbell_mark(drain->options.arena, ring);
}

static void note_news(void *userdata, uint32_t ring)
{
    struct drain *drain = userdata;
    if (!pacing_is_held(&drain->pacing, ring))
        drain->news.rings[drain->news.count++] = ring;
}

static void stage_positions(struct drain *drain)
{
    for (size_t i = 0; i < drain->touched.count; i++) {
        const struct ring_state *state = &drain->states[drain->touched.rings[i]];
        drain_fetch_position(drain, i + POSITIONS_AHEAD);
        struct history_position position = {.arena_id = arena_id(drain->options.arena),
            .ring = drain->touched.rings[i],
            .generation = state->generation,
            .position = state->drained};
        if (state->drained > state->appended)
            history_stage_position(drain->options.history, &position);
    }
}

static size_t part_of(size_t whole, size_t rings, size_t most)
{
    size_t part = rings ? whole / rings : 0;
    return part < most ? part : most;
}

/* Rings come in the same order each time: were the first served in full, the last would starve. */
static struct share fair_share(const struct drain *drain, size_t budget)
{
    size_t rings = drain->news.count;
    return (struct share){.records = part_of(budget, rings, RING_SHARE),
        .bytes = part_of(drain->options.max_staged, rings, RING_SHARE_BYTES)};
}

/* Rings that were held and whose time has come. */
static void look_again(struct drain *drain)
{
    pacing_begin(&drain->pacing, clock_monotonic_ns());
    for (uint32_t ring; (ring = pacing_next_due(&drain->pacing)) != UINT32_MAX;)
        doorbell_mark(drain->options.arena, ring);
}

/* The place in the news of the ring that is served first. */
static size_t first_place(const struct drain *drain)
{
    size_t at = 0;
    while (at < drain->news.count && drain->news.rings[at] < drain->first)
        at++;
    return at < drain->news.count ? at : 0;
}

/* Where a turn was full before all had their share, the next one goes on. */
static void drain_news(struct drain *drain, const struct share *share)
{
    size_t count = drain->news.count;
    size_t begin = drain->first ? first_place(drain) : 0;
    drain->first = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t ring = drain->news.rings[(begin + i) % count];
        if (drain->first) {
            doorbell_mark(drain->options.arena, ring);
            continue;
        }
        drain_fetch(drain, begin + i);
        drain_ring(drain, ring, share);
        if (turn_full(drain))
            drain->first = drain->news.rings[(begin + i + 1) % count];
    }
}

size_t drain_turn(struct drain *drain, size_t budget)
{
    drain->news.count = 0;
    drain->taken = 0;
    look_again(drain);
    doorbell_take(drain->options.arena, note_news, drain);
    const struct share share = fair_share(drain, budget);
    drain_news(drain, &share);
    stage_positions(drain);
    FAILPOINT(positions_staged);
    return drain->taken;
}

uint64_t drain_due_ns(const struct drain *drain)
{
    return pacing_due_ns(&drain->pacing);
}

static int commit_batch(struct drain *drain)
{
    int rc = history_commit(drain->options.history);
    if (!rc)
        drain_release(drain);
    return rc;
}

int drain_everything(struct drain *drain)
{
    int rc = 0;
    drain->pacing.off = true;
    do {
        if (drain_full(drain))
            rc = commit_batch(drain);
    } while (!rc && drain_turn(drain, SIZE_MAX) > 0);
    drain->pacing.off = false;
    return rc;
}

/* What a run's end waits for is not to be held: all rings of the user, up to the mark. */
static void hurry(struct drain *drain, const struct ring_mark *mark)
{
    uint32_t users = arena_user_count(drain->options.arena);
    for (uint32_t ring = mark->ring % users; ring <= mark->ring; ring += users) {
        bool held = pacing_is_held(&drain->pacing, ring);
        pacing_hurry(&drain->pacing, ring, ring < mark->ring ? UINT64_MAX : mark->position);
        if (held)
            doorbell_mark(drain->options.arena, ring);
    }
}

struct ring_mark drain_mark(struct drain *drain, const struct user *user)
{
    struct ring_mark mark = {0};
    if (directory_find(&mark.ring, drain->options.arena, user->id, strlen(user->id)) < 0)
        return mark;
    mark.set = true;
    mark.position = ring_reader_tail(drain->reader, mark.ring);
    hurry(drain, &mark);
    return mark;
}

/* The rings of the user that grew into the marked one come before it. */
static bool older_drained(const struct drain *drain, uint32_t ring)
{
    uint32_t users = arena_user_count(drain->options.arena);
    for (uint32_t older = ring % users; older < ring; older += users) {
        if (ring_reader_cursor(drain->reader, older) < ring_reader_tail(drain->reader, older))
            return false;
    }
    return true;
}

bool drain_passed(const struct drain *drain, const struct ring_mark *mark)
{
    if (!mark->set || ring_reader_damage(drain->reader, mark->ring))
        return true;
    return older_drained(drain, mark->ring) &&
           ring_reader_cursor(drain->reader, mark->ring) >= mark->position;
}

/*
 * What was drained is kept under numbers up to the head. So it is delivered once the head is
 * acknowledged, which it may be already: events are shown before they are kept, if so wanted.
 * Without memory for the mark it is told when everything is.
 */
static void note_undelivered(struct drain *drain, uint32_t ring)
{
    struct ring_state *state = &drain->states[ring];
    if (!state->user)
        return;
    uint64_t head = history_committed_head(state->user->stream);
    if (state->user->acknowledged >= head) {
        forget_undelivered(drain, state);
        ring_reader_set_delivered(drain->reader, ring, state->drained);
        return;
    }
    if (!state->undelivered)
        state->undelivered = new_marks(drain);
    if (state->undelivered)
        delivery_note(state->undelivered, head, state->drained);
}

static void deliver(struct drain *drain, uint32_t ring, const struct user *user)
{
    struct ring_state *state = &drain->states[ring];
    if (state->user && state->user != user)
        return;
    uint64_t upto = 0;
    if (user->acknowledged >= history_committed_head(user->stream))
        upto = ring_reader_released(drain->reader, ring);
    else if (state->undelivered)
        upto = delivery_take(state->undelivered, user->acknowledged);
    if (upto)
        ring_reader_set_delivered(drain->reader, ring, upto);
}

void drain_acknowledged(struct drain *drain, const struct user *user)
{
    uint32_t newest;
    uint32_t users = arena_user_count(drain->options.arena);
    if (directory_find(&newest, drain->options.arena, user->id, strlen(user->id)) < 0)
        return;
    for (uint32_t ring = newest % users; ring <= newest; ring += users)
        deliver(drain, ring, user);
}

void drain_watch(struct drain *drain, const struct user *user)
{
    uint32_t ring;
    if (directory_find(&ring, drain->options.arena, user->id, strlen(user->id)) == 0)
        ring_reader_set_unwatched(drain->reader, ring, unwatched_since(user));
}

void drain_release(struct drain *drain)
{
    for (size_t i = 0; i < drain->touched.count; i++) {
        uint32_t ring = drain->touched.rings[i];
        struct ring_state *state = &drain->states[ring];
        drain_fetch_touched(drain, i);
        FAILPOINT(ring_releasing);
        state->touched = false;
        state->released = state->drained;
        ring_reader_release(drain->reader, ring, state->drained);
        note_undelivered(drain, ring);
        FAILPOINT(ring_released);
        if (!state->unsynced) {
            state->unsynced = true;
            drain->unsynced.rings[drain->unsynced.count++] = ring;
        }
    }
    drain->touched.count = 0;
    drain->batch_bytes = 0;
    drain->written_before = drain->options.counters->events_written;
    const struct history *history = drain->options.history;
    if (history_synced_count(history) == history_commit_count(history)) {
        drain_sync_begins(drain); /* each commit is synced: it was this one */
        drain_durable(drain);
    }
}

/* What a failed sync has left there stays, and moves up. */
void drain_sync_begins(struct drain *drain)
{
    for (size_t i = 0; i < drain->unsynced.count; i++) {
        uint32_t ring = drain->unsynced.rings[i];
        struct ring_state *state = &drain->states[ring];
        state->unsynced = false;
        state->durable_next = state->released;
        if (!state->syncing) {
            state->syncing = true;
            drain->syncing.rings[drain->syncing.count++] = ring;
        }
    }
    drain->unsynced.count = 0;
}

void drain_durable(struct drain *drain)
{
    for (size_t i = 0; i < drain->syncing.count; i++) {
        uint32_t ring = drain->syncing.rings[i];
        drain->states[ring].syncing = false;
        ring_reader_set_durable(drain->reader, ring, drain->states[ring].durable_next);
    }
    drain->syncing.count = 0;
}
