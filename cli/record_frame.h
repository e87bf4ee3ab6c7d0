/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record_report.h"

#include "event/event.h"

#include <jansson.h>

/*
 * One line of a record: a frame as a client of the protocol receives it. Only what the checks need
 * is taken out; members that are not known are passed over, as a client does.
 */
enum record_kind {
    RECORD_EVENT,
    RECORD_WELCOME,
    RECORD_GAP_FRAME,
    RECORD_SNAPSHOT,
    RECORD_CAUGHT_UP,
    RECORD_OTHER, /* going_away, a reply, or a control frame of a type that is not known */
};

struct record_frame {
    enum record_kind kind;
    enum event_type type; /* EVENT_NONE: an event of a type that is not known */
    struct event event;   /* type, seq, timestamp, identifiers; flags from the members of `data` */
    uint64_t prev;
    const char *tool_name; /* of tool events */
    const char *interrupt; /* of interrupt events */
    const char *status;    /* of tool_completed */
    bool has_delta;        /* a partial_result, or agent_thinking, that carries text */
    struct span delta;
    struct {
        const char *epoch, *user, *resume;
        uint64_t head, oldest;
    } welcome;
    struct {
        uint64_t from, to;
        bool epoch_changed;
    } gap;
    uint64_t position; /* of caught_up and snapshot */
    json_t *root;      /* what the strings above lie in */
};

/*
 * False, and what is wrong reported, when the line is no frame; `ret_frame` is freed in any case
 * with record_frame_deinit.
 */
bool record_frame_decode(
    struct record_frame *ret_frame, struct span line, struct record_report *report);
void record_frame_deinit(struct record_frame *frame);
