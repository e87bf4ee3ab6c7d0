/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients in one process and one thread: they connect, shake hands, and look at each message
 * as little as it takes to know that all came, in order, and when. What differs between servers is
 * their dialect.
 */
#pragma once

#include "tally.h"

#include "base/buffer.h"

struct audience;
struct shared_count;

enum client_state {
    CLIENT_AWAY,
    CLIENT_CONNECTING,
    CLIENT_SHAKING,  /* the request is out */
    CLIENT_GREETING, /* a WebSocket, and not yet what the dialect calls ready */
    CLIENT_READY,
};

#define EPOCH_MAX 48

struct client {
    int fd;
    enum client_state state;
    const char *path;     /* of the request, into the targets' text */
    const char *word;     /* a token, a subject, a name: the dialect knows */
    uint64_t expected;    /* the number due next */
    struct buffer rest;   /* the beginning of what was read in part; empty as a rule */
    struct buffer stream; /* the same within messages, where those do not end with them */
    int64_t begun_ns;     /* this connection */
    uint64_t seq;         /* a cursor: the last event seen */
    char epoch[EPOCH_MAX];
};

struct dialect {
    const char *name;
    const char *subprotocol; /* NULL: none */
    bool bearer;             /* the word is a token for the request */
    bool resumes;            /* with a cursor */
    /* The upgrade is through; NULL: then the client is ready. */
    void (*opened)(struct audience *audience, struct client *client);
    /* A text or binary message. 0 or a negative errno, which ends the program. */
    int (*message)(struct audience *audience, struct client *client, struct span message);
};

/* NULL: no such dialect. */
const struct dialect *dialect_find(const char *name);

struct audience {
    const struct dialect *dialect;
    struct shared_count *shared;
    int epoll;
    uint16_t port;
    unsigned sources; /* addresses 127.0.0.2, 127.0.0.3, … to come from */
    struct client *clients;
    size_t count;
    size_t next; /* to connect, of those that are to */
    size_t under_way;
    size_t ready;
    size_t dropped;    /* by the server */
    size_t pace;       /* under way at once */
    int64_t since_ns;  /* when they were told to connect */
    int64_t spread_ns; /* over which they begin, one after the other */
    bool resuming;
    struct buffer request; /* of the client that asks */
    int64_t now;           /* of this turn, behind the read */
    struct tally tally;
    uint64_t events;            /* since the beginning */
    struct histogram readiness; /* from connect to ready */
};

/* For dialects: sends a frame; the client is ready; an event came. */
void audience_send(struct audience *audience, struct client *client, int kind, struct span payload);
void audience_ready(struct audience *audience, struct client *client);
void audience_event(struct audience *audience, struct client *client, struct span message);

/* Clients that are away begin to connect, as `pace` allows. */
void audience_connect(struct audience *audience);
/* All connections are cut, with a reset, as when their network is gone. */
void audience_drop(struct audience *audience);
/* Something happened on a client's socket. */
void audience_handle(struct audience *audience, struct client *client, uint32_t events);
