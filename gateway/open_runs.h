/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "event/event.h"

/*
 * Which runs of a user are open, as far as the gateway has seen: what the broker tells when a view
 * is opened, and the events that pass from there. Nothing is asked for; who drains wants to know
 * who is in the middle of something, and a mistake costs a client a moment and nothing else. Pure.
 *
 * Live events count only without a hole before them: the end of a run may lie in it. Whoever reads
 * the hole from history brings the count up again.
 */
struct open_runs {
    uint64_t *ids; /* hashes of run identifiers */
    uint32_t count;
    uint32_t capacity;
    uint64_t noted; /* all events up to here are in the count */
};

void open_runs_deinit(struct open_runs *runs);
/* `runs_json`: the array of an OPENED, which stands for all events up to `head`. */
void open_runs_learn(struct open_runs *runs, struct span runs_json, uint64_t head);
/* A live event: counts if it is the next one. */
void open_runs_note_live(struct open_runs *runs, const struct event *event);
/* An event from history: nothing lies between it and the one before. */
void open_runs_note_page(struct open_runs *runs, const struct event *event);
