/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "emitter-test.h"

#include "runs/engine.h"
#include "runs/pool.h"

#define USER "alice"

/*
 * A registry of the agents under tests/agents, a loop, and a node whose rings the test reads. One
 * run at a time has its events collected; others may go on beside it.
 */
struct bench {
    struct node *node;
    struct ev_loop *loop;
    struct config config;
    struct registry registry;
    struct pool *pools; /* one an agent */
    struct engine_limits limits;
    struct engine *engine; /* NULL once it is gone */
    struct engine_refusal refusal;
    struct buffer events;     /* of USER, one line each, NUL-terminated */
    bool reading;             /* whether the ring is drained */
    int others;               /* runs of others that go on */
    uint64_t run_deadline_ms; /* from the start of the next run; 0 for none */
    struct buffer settled;    /* "number:code " of each answer that was settled, NUL-terminated */
    int emitter_lost;
    ev_prepare drain;
    const char *awaited; /* when the events contain this, `on_awaited` is called, once */
    void (*on_awaited)(struct bench *bench);
};

/* cmocka's setup and teardown; the state is a struct bench. */
int bench_up(void **state);
int bench_down(void **state);
/* The configuration with the agents: the test program's argument. */
void bench_use(const char *config_file);

/* Starts a run "r-1" of USER; a refusal fails the test. */
void bench_start(struct bench *bench, const char *agent, const char *content_json);
/* A run of another user, whose events are read by nobody. */
void bench_start_other(struct bench *bench, const char *agent, const char *content_json);
/* Runs the loop until the run of USER is gone; fails after a while. Returns all its events. */
const char *bench_finish(struct bench *bench);
/* Both. */
const char *bench_run(struct bench *bench, const char *agent, const char *content_json);
/* Runs the loop until the condition holds; fails after a while. */
void bench_until(struct bench *bench, bool (*holds)(struct bench *bench));
void bench_when(struct bench *bench, const char *text, void (*action)(struct bench *bench));

/* How often `part` occurs in `text`. */
int count_of(const char *text, const char *part);
void assert_contains(const char *text, const char *part);
void assert_ends_with(const char *text, const char *end);
