/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "unit.h"

#include "loop/recovery.h"
#include "peers/gateway_port.h"
#include "peers/worker_port.h"

#include "base/paths.h"
#include "event/event.h"

/*
 * A broker without its control socket and its loop, made as start.c makes it, in a directory of its
 * own: a real history, a real arena, and links for those who connect. `restart` is what a killed
 * broker's successor does: what was not committed is gone.
 */
struct fixture {
    char directory[64];
    uint32_t ring_bytes;
    struct config config;
    bool syncs_commits; /* from the next restart on */
    struct counters counters;
    struct history *history;
    struct ev_loop *loop;
    struct arena *arena;
    struct users users;
    struct router router;
    struct reads reads;
    struct pipeline pipeline;
    struct processes *processes;
    struct drain *drain;
    struct workers workers;
    struct links *links;
    struct effects effects;
    struct dispatch dispatch;
    struct farewell farewell;
    struct leases leases;
    struct gateway_port gateways;
    struct worker_port worker_port;
    struct link_port ports[3];
    bool linked; /* peers were connected: links and loop stay until the process ends */
    struct link fake_links[64]; /* of workers that are only entries in the table */
    size_t fake_count;
};

int fixture_up(void **state);
/* With rings of 4 MiB instead of 16 KiB. */
int fixture_up_large(void **state);
int fixture_down(void **state);
void fixture_restart(struct fixture *f);
struct recovery fixture_recovery(struct fixture *f);
void fixture_recover(struct fixture *f);
/* One turn of the broker, in the broker's order. */
void fixture_turn(struct fixture *f);
void fixture_commit(struct fixture *f);

struct user *fixture_user(struct fixture *f, const char *id);
struct run *fixture_find(struct fixture *f, const char *run_id);
/* A worker with room, connected over a link that leads nowhere, in the arena as `process`. */
struct worker *fixture_worker(
    struct fixture *f, uint32_t process, uint64_t slots, const char *agents);
/* Changes how much room it has. */
void fixture_room(struct fixture *f, struct worker *worker, uint64_t slots);

/* ---- the processes of these tests */

/* The process that agents' events come from unless a test says otherwise. */
#define AGENT_PROCESS 3u
#define AGENT_INCARNATION 7u

/* Pushes an agent's event as its ring would bring it. */
enum verdict push(struct fixture *f, const char *user, struct event event);
enum verdict push_from(
    struct fixture *f, const char *user, struct event event, const struct origin *origin);
/* The first event of a program's own run, on thread t-1 by agent "librarian". */
struct event started(const char *run_id);
struct event event_of(enum event_type type, const char *run_id);
struct event tool_event(enum event_type type, const char *run_id, const char *tool_call_id);
struct event text_event(const char *run_id, const char *message_id, uint32_t flags);

/* ---- counters */

/*
 * So many occurrences were counted, and no more. tests/lint/counters.py looks for one of these with
 * each of the broker's counters and verdicts.
 */
#define assert_counted(counted, occurrences) assert_int_equal(counted, occurrences)

/* ---- what a user's stream holds */

struct kept {
    struct buffer bytes;
    struct event events[256]; /* spans point into the bytes */
    size_t count;
};

/* All committed events of the user, checked for dense numbers from 1 on. */
void keep_stream(struct kept *ret_kept, struct fixture *f, const char *user);
void kept_free(struct kept *kept);
/* "chat_message run_queued …", a '*' behind a synthetic one. Only of `run_id` unless NULL. */
const char *kept_types(const struct kept *kept, const char *run_id);
/* Asserts on the whole stream of a user at once. */
void assert_stream(struct fixture *f, const char *user, const char *types);
void assert_run_events(struct fixture *f, const char *user, const char *run_id, const char *types);
/* The member of the event's data as text: a string's own, else its JSON. To be freed. */
char *data_member(const struct event *event, const char *name);
void assert_member(const struct event *event, const char *name, const char *expected);

/* ---- requests */

struct answer chat(struct fixture *f, const char *user, const char *thread, const char *message);
struct answer chat_as(struct fixture *f, const struct wire_chat_send *request);
struct answer cancel_run(struct fixture *f, const char *user, const char *run_id);
struct answer cancel_thread(struct fixture *f, const char *user, const char *thread_id);
void assert_state(struct fixture *f, const char *run_id, const char *state);
/* What history says of a run that ended: its state's name. */
const char *ended_state(struct fixture *f, const char *run_id);
