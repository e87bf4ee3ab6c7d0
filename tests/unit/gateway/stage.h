/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "session.h"
#include "unit.h"

/*
 * Sessions and feeds between a broker and sockets that are both played: the functions of
 * broker_link.h that sessions use are defined in stage.c, so the linker takes those; the carriers
 * are the stage's own. The played broker answers when told to.
 */
struct broker_link {
    bool ready;
    uint64_t last_request;
    struct link_call *calls[64];
    struct wire_message asked[64]; /* what each call asked; spans are its caller's */
    size_t call_count;
    unsigned closes;
    unsigned acks;
    uint64_t acked;
};

extern struct broker_link the_link;

struct ws_connection {
    struct carrier carrier;
    struct session *session;
    bool blocked; /* takes nothing */
    int close_code;
    struct buffer seen; /* frames, as they went out */
};

struct stage {
    struct config config;
    struct counters counters;
    struct fanout fanout;
    struct session_host host;
    struct ws_connection sockets[4];
    size_t count;
    uint64_t head;
    const char *runs;    /* the open ones, as OPENED tells them; NULL: none */
    struct buffer bytes; /* the page or batch that is being said */
};

/* Set-up and tear-down of a test; *state is the stage. */
int stage_set_up(void **state);
int stage_tear_down(void **state);
#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_set_up, stage_tear_down)

/* ---- clients */

/* A connection of alice's, accepted; the broker has been asked where its view begins. */
struct ws_connection *join(struct stage *stage, enum wire_open_mode mode);
struct ws_connection *join_with(struct stage *stage, const struct handshake *handshake);
void say(struct ws_connection *socket, const char *text);
/* Takes what waits for the socket; false when nothing did. */
bool drain(struct ws_connection *connection);
/* Takes `bytes` of it, up to the end of a frame, and then no more for now. */
void sip(struct ws_connection *connection, size_t bytes);
/*
 * What the client has seen since it was last asked: "welcome", "2<1" for seq 2 after prev 1,
 * "caught_up:5", "gap:1-4", "snapshot:5", "reply:7".
 */
void see(struct buffer *ret_words, struct ws_connection *socket);
void assert_saw(struct ws_connection *socket, const char *wanted);
/* Whether the bytes seen, not asked for yet, have `text` in them; `times` times. */
unsigned times_seen(struct ws_connection *socket, const char *text);

/* ---- the broker */

/* The oldest question of this kind is answered; false when there is none. */
bool answer(enum wire_kind kind, const struct wire_message *reply);
/* Answers the oldest OPEN: the view begins behind `start`, in epoch "e1" or another. */
void opened(struct stage *stage, enum wire_resume resume, uint64_t start);
void opened_in(struct stage *stage, const char *epoch, enum wire_resume resume, uint64_t start);
/* Live events of alice's stream; odd ones are of thread "odd", the others of "even". */
void live(struct stage *stage, uint64_t from, uint64_t to);
/* The same with other events than those: their encodings, and the last number. */
void live_encoded(struct stage *stage, struct span events, uint64_t last);
/* The same with the tag of another user. */
void live_of(struct stage *stage, uint64_t from, uint64_t to, const char *user);
/* Answers the oldest READ with up to `most` events; where it began, or -1 without a READ. */
int64_t page(struct stage *stage, uint64_t most);
/* Answers the oldest SNAPSHOT_READ for all events up to `seq`, with the open run `run_id` of thread
 * "even" unless NULL; where it was to begin, or -1 without a question. */
int64_t snapshot(struct stage *stage, uint64_t seq, const char *run_id, bool more);
void lose_link(void);
void restore_link(struct stage *stage);
