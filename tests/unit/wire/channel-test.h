/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "unit.h"
#include "wire/channel.h"

/* Two ends of a link on one loop, for tests of channels. */
struct end {
    struct channel *channel;
    uint64_t received; /* messages */
    uint64_t last;     /* the number in the last one */
    size_t bytes;
    int arrivals;
    int departures;
    uint64_t takes_ns; /* to look at one of them */
};

extern struct ev_loop *loop;
extern struct end server;
extern struct end client;
extern char url[96];
extern const struct channel_events events; /* for a `struct end`: they check each message */

/* The path of a local link's socket. */
const char *link_path(void);
/* Fixtures: connected ends, within the machine and over TCP; only a listening `server`. */
int open_local(void **state);
int open_remote(void **state);
int open_listener(void **state);
int close_both(void **state);

/* A message with `number` and `size` bytes; what channel_send says. */
int send_number(struct end *from, uint64_t number, size_t size);
void connect_again(void);
/* `server` hears `client`. */
void assert_works(void);

struct patience {
    ev_timer timer;
    bool over;
};
void patience_begin(struct patience *patience);
void patience_end(struct patience *patience);
/* Runs the loop until the condition holds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        struct patience patience_;                                                                 \
        patience_begin(&patience_);                                                                \
        while (!(condition) && !patience_.over)                                                    \
            ev_run(loop, EVRUN_ONCE);                                                              \
        patience_end(&patience_);                                                                  \
        if (patience_.over)                                                                        \
            fail_msg("not in time: %s", #condition);                                               \
    } while (0)
