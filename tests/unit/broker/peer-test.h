/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker-test.h"

/*
 * The other end of a link, in this process, over a real socket. What the broker sends is kept in
 * the order of its arrival. Every wait has an end: a test fails rather than hangs.
 */
struct peer_options {
    const char *role;
    pid_t pid;        /* 0: this process's */
    uint64_t process; /* in the arena's table */
    const char *agents;
};

struct peer {
    struct fixture *f;
    struct channel *channel;
    struct peer_options options;
    char name[IDENTIFIER_SIZE];
    struct buffer inbox; /* length and bytes of each message that was not looked at */
    struct buffer current;
    bool connected;
    bool greeted; /* READY came */
    uint64_t requests;
};

/* cmocka's, for groups that connect peers: one fixture for all tests of the program. */
int linked_fixture_up(void **state);
int linked_fixture_down(void **state);

/* Connects and says HELLO, as often as it takes, without waiting for the answer. */
void peer_dial(struct peer *ret_peer, struct fixture *f, const struct peer_options *options);
/* The same, until READY. */
void peer_connect(struct peer *ret_peer, struct fixture *f, const struct peer_options *options);
void peer_connect_gateway(struct peer *ret_peer, struct fixture *f);
/* Waits until the broker has noticed. */
void peer_leave(struct peer *peer);
/* Waits until the broker has dropped it. */
void peer_expect_dropped(struct peer *peer);
void peer_send(struct peer *peer, const struct wire_message *message);
/* The next message, which must be of this kind. Valid until the next one is looked at. */
struct wire_message peer_expect(struct peer *peer, enum wire_kind kind);
/* Goes round through the broker once: all sent before has been acted on, and nothing came back. */
void peer_expect_nothing(struct peer *peer);
/* The same, and what comes back for it stays to be looked at. */
void peer_settle(struct peer *peer);
/* Whether the next message to be looked at is of this kind. */
bool peer_next_is(const struct peer *peer, enum wire_kind kind);
/* Runs the loop until the condition holds; `what` is for people. */
void peer_wait(
    struct peer *peer, bool (*holds)(const void *context), const void *context, const char *what);
/* The broker's end of it. */
struct link *peer_link(const struct peer *peer);

/* ---- a gateway's */

/* OPENED, which is valid like peer_expect's. */
struct wire_opened peer_open(struct peer *peer, const char *user);
void peer_credit(struct peer *peer, uint64_t bytes);
/* Expects EVENTS of `user` that begin behind `after`, one behind the other; returns the last. */
uint64_t peer_expect_events(struct peer *peer, const char *user, uint64_t after);
/* EVENTS up to `last`, in as many messages and turns as they take. */
void peer_expect_events_to(struct peer *peer, const char *user, uint64_t after, uint64_t last);
