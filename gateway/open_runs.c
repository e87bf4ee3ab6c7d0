/* SPDX-License-Identifier: Apache-2.0 */
#include "open_runs.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define FIRST_CAPACITY 4

static uint64_t id_of(struct span run_id)
{
    return XXH3_64bits(run_id.data, run_id.len);
}

static uint64_t *find(const struct open_runs *runs, uint64_t id)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        if (runs->ids[i] == id)
            return &runs->ids[i];
    }
    return NULL;
}

static bool has_room(struct open_runs *runs)
{
    if (runs->count < runs->capacity)
        return true;
    uint32_t capacity = runs->capacity ? 2 * runs->capacity : FIRST_CAPACITY;
    uint64_t *ids = realloc(runs->ids, capacity * sizeof(*ids));
    if (!ids)
        return false; /* the run is taken for closed */
    runs->ids = ids;
    runs->capacity = capacity;
    return true;
}

static void add(struct open_runs *runs, struct span run_id)
{
    uint64_t id = id_of(run_id);
    if (!find(runs, id) && has_room(runs))
        runs->ids[runs->count++] = id;
}

/* Most users have no open run most of the time, so the last one gives the memory back. */
static void take_off(struct open_runs *runs, struct span run_id)
{
    uint64_t *id = find(runs, id_of(run_id));
    if (!id)
        return;
    *id = runs->ids[--runs->count];
    if (runs->count == 0)
        open_runs_deinit(runs);
}

void open_runs_deinit(struct open_runs *runs)
{
    free(runs->ids);
    runs->ids = NULL;
    runs->count = 0;
    runs->capacity = 0;
}

/* The broker's own array of flat objects, whose identifiers have no quotation marks in them. */
void open_runs_learn(struct open_runs *runs, struct span runs_json, uint64_t head)
{
    static const char name[] = "\"run_id\":\"";
    struct span rest = runs_json;
    const char *at;
    runs->count = 0;
    while (rest.len && (at = memmem(rest.data, rest.len, name, sizeof(name) - 1))) {
        const char *id = at + sizeof(name) - 1;
        size_t left = (size_t)(rest.data + rest.len - id);
        const char *quote = memchr(id, '"', left);
        if (!quote)
            break;
        add(runs, span_of(id, (size_t)(quote - id)));
        rest = span_of(quote, left - (size_t)(quote - id));
    }
    if (runs->count == 0)
        open_runs_deinit(runs);
    runs->noted = head;
}

static void note(struct open_runs *runs, const struct event *event)
{
    runs->noted = event->seq;
    if (event->type == EVENT_RUN_QUEUED || event->type == EVENT_AGENT_STARTED)
        add(runs, event->run_id);
    else if (runs->count && event_is_terminal(event))
        take_off(runs, event->run_id);
}

void open_runs_note_live(struct open_runs *runs, const struct event *event)
{
    if (event->seq > runs->noted && event_first_seq(event) <= runs->noted + 1)
        note(runs, event);
}

void open_runs_note_page(struct open_runs *runs, const struct event *event)
{
    if (event->seq > runs->noted)
        note(runs, event);
}
