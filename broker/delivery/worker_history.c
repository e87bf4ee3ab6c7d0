/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery/worker_history.h"

#include "runs/user.h"

#include "base/log.h"

#include <errno.h>

/* The last number before the run's own; all that may be shown when it has none yet. */
static uint64_t end_of(const struct run *run)
{
    uint64_t head = history_shown_head(run->user->stream);
    return run->first_seq && run->first_seq <= head ? run->first_seq - 1 : head;
}

/* What cannot be read is damaged up to where it is. */
static enum wire_page_status read_page(
    const struct run *run, struct wire_history *answer, struct buffer *page)
{
    const struct history_stream *stream = run->user->stream;
    int rc = history_read(stream, answer->after, WORKER_HISTORY_PAGE_MAX, page, &answer->last);
    if (!rc)
        rc = buffer_error(page);
    if (rc == -ERANGE)
        return WIRE_PAGE_TRIMMED;
    if (!rc)
        return WIRE_PAGE_OK;
    log_warn("worker_history", "events above %llu of %s cannot be read for a run: %s",
        (unsigned long long)answer->after, run->user->id, strerror(-rc));
    if (rc != -ENODATA)
        answer->last = answer->end;
    buffer_clear(page);
    return WIRE_PAGE_DAMAGED;
}

struct wire_message worker_history_answer(
    const struct run *run, const struct wire_history_read *request, struct buffer *page)
{
    struct wire_message message = {.kind = WIRE_HISTORY,
        .history = {.run_id = span_of_string(run->id),
            .ask = request->ask,
            .after = request->after,
            .status = WIRE_PAGE_OK,
            .oldest = history_oldest(run->user->stream),
            .end = end_of(run),
            .last = request->after}};
    buffer_clear(page);
    if (request->ask && request->after < message.history.end)
        message.history.status = read_page(run, &message.history, page);
    message.history.events = buffer_span(page);
    return message;
}
