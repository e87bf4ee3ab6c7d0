/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ask.h"

#include "event/event.h"

/* Retained events of a user, read once, over a link of its own, page by page. */
struct retained {
    const struct ask *ask; /* borrowed, as all here */
    const char *user;
    const char *epoch;
    uint64_t after; /* at most the stream's head: beyond it a cursor means that numbers were lost */
    uint64_t last;  /* reading ends with it, or with the newest */
    /* False ends the reading. `prev` is the number of the event before. */
    bool (*on_event)(void *context, const struct event *event, uint64_t prev);
    /* Events that are gone; NULL: of no interest. */
    void (*on_gap)(void *context, uint64_t from, uint64_t to, const char *reason);
    void *context;
};

/* CLI_GO_ON when all was read; otherwise why not has been said. */
enum cli_status retained_read(const struct retained *retained);
