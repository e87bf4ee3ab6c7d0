/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What agents would write: one process, users user-0, user-1, …, of whom the first `active` of
 * every `known / active` are written to. Nothing here is measured.
 */
#pragma once

#include "event/event.h"
#include "ring/arena.h"
#include "ring/writer.h"

#define LOAD_DATA_BYTES 250 /* of an event's JSON */
#define LOAD_RUN_EVENTS 32  /* of a whole run */

struct load {
    struct arena *arena;
    struct ring_writer writer;
    struct ring_lease *leases; /* of the active users */
    uint32_t known;
    uint32_t active;
    uint64_t runs; /* begun so far: what their identifiers are made of */
};

/* Attaches to the arena and takes a ring for each known user, the active ones' leases kept. */
void load_up(struct load *load, const char *directory, uint32_t known, uint32_t active);
void load_down(struct load *load);

/* The index of the nth active user, and an index's name. */
uint32_t load_user(const struct load *load, uint32_t nth);
size_t load_user_name(char ret_name[32], uint32_t user);

/* A whole run of two events for each of the known users from `first` on. Returns how many events.
 */
size_t load_acquaint(struct load *load, uint32_t first, uint32_t count);
/* Begins a run for each active user, which stays open. Returns how many events. */
size_t load_begin(struct load *load);
/* The same for the nth active user. */
void load_begin_one(struct load *load, uint32_t nth);
/* A piece of text for the nth active user, or a wait for room, of FLOOD_WAIT_MS at most. */
#define FLOOD_WAIT_MS 50
void load_flood(struct load *load, uint32_t nth);
/* So many pieces of text for each active user, in its open run. */
size_t load_text(struct load *load, unsigned pieces);
/* A whole run of LOAD_RUN_EVENTS for each active user: text, thoughts and two tool calls. */
size_t load_runs(struct load *load);
/* One piece of text for the nth active user, of this JSON; NULL: as any other. */
void load_piece(struct load *load, uint32_t nth, const char *data);
/* A piece of text as a broker keeps and sends it; number and user are missing. */
void load_event(struct event *ret_event);
