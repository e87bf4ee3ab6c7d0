/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "links/control_port.h"
#include "loop/keeping.h"
#include "loop/recovery.h"
#include "metrics/port.h"
#include "peers/worker_port.h"
#include "ring/spin.h"
#include "upkeep/backup.h"
#include "upkeep/syncing.h"
#include "upkeep/trimming.h"

/*
 * The broker: its parts, in the order in which they are made. None can be made without those it
 * needs, and each step of the start is proven before the next one begins.
 */
struct broker {
    const struct config *config; /* borrowed */
    struct ev_loop *loop;
    char run_dir[PATHS_MAX];
    char data_dir[PATHS_MAX];
    char history_dir[PATHS_MAX];
    char id[IDENTIFIER_MADE_SIZE]; /* of this life of the broker */
    int lock_fd;

    struct counters counters;
    struct history *history;
    struct arena *arena;
    struct users users;
    struct router router;
    struct reads reads;
    struct pipeline pipeline;
    struct processes *processes;
    struct drain *drain;
    struct workers workers;
    struct effects effects;
    struct dispatch dispatch;
    struct farewell farewell;
    struct leases leases;
    struct keeping keeping;
    struct backup backup;
    struct trimming trimming;
    struct syncing syncing;
    struct gateway_port gateways;
    struct worker_port worker_port;
    struct link_port ports[4];
    struct links *links;
    struct control_port *control;
    struct wire_url door_url; /* of the door for gateways elsewhere; port 0: there is none */
    struct nng_tls_config *door_tls;
    struct door_port *door;
    struct metrics_port *metrics; /* NULL: off */

    struct spin spin;
    ev_timer timer; /* deadlines, trimming, the slow sweep */
    uint32_t timer_calls;
    ev_timer pace; /* when a ring that was left alone is due */
    ev_io bell;
    ev_signal terminate[2];
    ev_signal renew;
    uint64_t started_ms;  /* monotonic */
    uint64_t rate_events; /* accepted, at the last look; per second since then below */
    uint64_t events_per_s;
    uint64_t rate_ms;
    bool stopping;
    bool for_good; /* told to leave and not to be started again */
};

/* All phases of the start; what fails is in the log with its reason. `config` is borrowed. */
int broker_start(struct broker *broker, const struct config *config);
/* The same, and a broker that runs is asked to hand over, instead of being in the way. */
int broker_take_over(struct broker *broker, const struct config *config);
/* Starts the broker's timers and signals; the last step of the start. */
void broker_watch(struct broker *broker);
/* One turn, without waiting. Returns whether there is more to do at once. */
bool broker_tick(struct broker *broker);
/* Serves until told to stop. */
void broker_run(struct broker *broker);
/* Ends broker_run after this turn, as TERM does. `for_good`: main leaves with EXIT_DRAINED. */
void broker_leave(struct broker *broker, bool for_good);
/* Drains the rings, syncs history, lets go of everything. Safe on a broker half started. */
void broker_stop(struct broker *broker);
