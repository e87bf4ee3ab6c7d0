/* SPDX-License-Identifier: Apache-2.0 */
#include "record_check.h"

#include <errno.h>

void record_check_init(struct record_check *check, const struct record_options *options)
{
    *check = (struct record_check){
        .report = {.limit = options->limit},
        .complete = options->complete,
    };
    record_order_init(&check->order, &check->report, options->filtered);
    record_runs_init(&check->runs, &check->report);
}

void record_check_deinit(struct record_check *check)
{
    buffer_deinit(&check->partial);
    record_runs_deinit(&check->runs);
    record_order_deinit(&check->order);
    record_report_deinit(&check->report);
}

static int take_event(
    struct record_check *check, const struct record_frame *frame, struct span line)
{
    enum record_news news;
    bool hole;
    int rc = record_order_event(&check->order, frame, line, &news, &hole);
    if (rc)
        return rc;
    if (hole)
        record_runs_hole(&check->runs);
    /* Repeated events have been looked at, or lie before what the record knows of their run. */
    return news == RECORD_NEW ? record_runs_event(&check->runs, frame, check->order.from_start) : 0;
}

static int take_welcome(struct record_check *check, const struct record_frame *frame)
{
    bool hole, anew;
    int rc = record_order_welcome(&check->order, frame, &hole, &anew);
    if (rc)
        return rc;
    if (anew)
        record_runs_anew(&check->runs);
    else if (hole)
        record_runs_hole(&check->runs);
    return 0;
}

static int take_frame(
    struct record_check *check, const struct record_frame *frame, struct span line)
{
    bool hole;
    switch (frame->kind) {
    case RECORD_EVENT: return take_event(check, frame, line);
    case RECORD_WELCOME: return take_welcome(check, frame);
    case RECORD_GAP_FRAME:
        record_order_gap(&check->order, frame, &hole);
        if (hole)
            record_runs_hole(&check->runs);
        return 0;
    case RECORD_SNAPSHOT:
        record_order_snapshot(&check->order, frame);
        return record_runs_snapshot(&check->runs, frame);
    case RECORD_CAUGHT_UP: record_order_caught_up(&check->order, frame); return 0;
    case RECORD_OTHER: break;
    }
    return 0;
}

static int take_line(struct record_check *check, struct span line)
{
    struct record_frame frame;
    int rc = 0;
    check->report.line = ++check->lines;
    if (line.len == 0)
        return 0;
    check->frames++;
    if (record_frame_decode(&frame, line, &check->report))
        rc = take_frame(check, &frame, line);
    record_frame_deinit(&frame);
    return rc ? rc : check->report.broken ? -ENOMEM : 0;
}

static void say_too_long(struct record_check *check)
{
    check->report.line = ++check->lines;
    check->frames++;
    record_found(&check->report, RECORD_TOO_LONG, "more than %u bytes", RECORD_LINE_MAX);
}

/* The bytes up to a newline, behind what came of the line before. */
static int end_line(struct record_check *check, struct span rest)
{
    int rc = 0;
    if (check->skipping || check->partial.len + rest.len > RECORD_LINE_MAX) {
        say_too_long(check);
    } else if (check->partial.len == 0) {
        rc = take_line(check, rest);
    } else {
        buffer_append_span(&check->partial, rest);
        rc = buffer_error(&check->partial);
        if (!rc)
            rc = take_line(check, buffer_span(&check->partial));
    }
    check->skipping = false;
    buffer_clear(&check->partial);
    return rc;
}

static int keep(struct record_check *check, struct span bytes)
{
    if (check->skipping || check->partial.len + bytes.len > RECORD_LINE_MAX) {
        check->skipping = true;
        buffer_clear(&check->partial);
        return 0;
    }
    buffer_append_span(&check->partial, bytes);
    return buffer_error(&check->partial);
}

int record_check_feed(struct record_check *check, struct span bytes)
{
    const char *at = bytes.data, *end = bytes.data + bytes.len;
    for (const char *newline; at < end && (newline = memchr(at, '\n', (size_t)(end - at)));
         at = newline + 1) {
        int rc = end_line(check, span_of(at, (size_t)(newline - at)));
        if (rc)
            return rc;
    }
    return at < end ? keep(check, span_of(at, (size_t)(end - at))) : 0;
}

int record_check_end(struct record_check *check)
{
    int rc = check->skipping || check->partial.len ? end_line(check, SPAN_EMPTY) : 0;
    if (rc)
        return rc;
    check->report.line = check->lines;
    if (check->frames == 0)
        record_found(&check->report, RECORD_EMPTY, "nothing was checked");
    record_runs_end(&check->runs, check->complete);
    return check->report.broken ? -ENOMEM : 0;
}
