/* SPDX-License-Identifier: Apache-2.0 */
/* A broker, whole and started, in the process that measures: its turns are called from here. */
#pragma once

#include "bench.h"
#include "loop/broker.h"

struct node {
    struct config config;
    struct broker broker;
    struct link nowhere; /* has no peer: what is sent there is gone */
    struct listener *listener;
    int64_t upkeep_ns; /* what timers have used of the processor: what need not be prompt */
};

/* Its arena is `<page->directory>-<number>`, everything else is in `<page->scratch>/<number>`. */
void node_up(struct node *node, const struct bench_page *page, unsigned number, uint32_t rings);
/* Nobody else may be attached to its arena any more. */
void node_down(struct node *node);
/* The directory of its arena. */
void node_arena(char ret_path[96], const struct bench_page *page, unsigned number);

/* A gateway that takes everything, subscribed to this user. */
void node_listen(struct node *node, const char *user);
/* Turns until so many events have been accepted or written in all; fails when they never are. */
void node_run(struct node *node, uint64_t events);
/* Accepted and written so far. */
uint64_t node_events(const struct node *node);
