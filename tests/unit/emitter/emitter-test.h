/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "unit.h"

#include "base/buffer.h"
#include "event/event.h"
#include "ring/arena.h"
#include "ring/directory.h"
#include "ring/reader.h"

#include <ringside.h>

#define RING_BYTES 16384u
#define SPILL_BYTES 131072u
/* A payload takes at most a quarter of the ring. */
#define EVENT_MAX (RING_BYTES / 4 - 24 - 24)

/* A node without a broker: the test reads the rings itself. */
struct node {
    char parent[64];
    char directory[80];
    struct arena *arena; /* the reader's mapping */
    struct ring_reader *reader;
    rs_emitter *emitter;  /* another mapping: emits at once or not at all */
    struct buffer script; /* what node_read returned */
};

/* cmocka's setup and teardown; the state is a struct node. */
int node_up(void **state);
/* The same, where events that are too long for a ring lie beside it. */
int node_up_spilling(void **state);
int node_down(void **state);
rs_emitter *node_attach(const struct node *node, uint32_t emit_timeout_ms);

/* A run "r-1" of the user with all identifiers given, not started. */
rs_run *run_new(rs_emitter *emitter, const char *user_id);
/* The same, started. */
rs_run *run_started(rs_emitter *emitter, const char *user_id);

uint32_t node_ring(const struct node *node, const char *user_id);
/*
 * Reads and releases all there is for the user. One line an event, until the next call:
 * `type [message=ID] [tool=ID] [flags] data`, where each duration_ms is 0.
 */
const char *node_read(struct node *node, const char *user_id);
/* Reads one event; false when there is none. Its spans hold until it is released. */
bool node_next(struct event *ret_event, struct node *node, const char *user_id);
/* Releases what was read. */
void node_release(struct node *node, const char *user_id);

/* rs_text of a string, refused or out as a whole. */
int say(rs_run *run, const char *message_id, const char *text);
/* Emits until the user's ring is full. */
void fill_ring(rs_run *run);
