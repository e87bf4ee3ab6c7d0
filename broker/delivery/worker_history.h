/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runs/run.h"

#include "wire/message.h"

/*
 * What an agent may know of what its user said before: the events below its run's first one, a page
 * at a time. A worker has one question under way for each of its runs, so a page for each is what
 * may be on the way to it; nothing waits here.
 */
#define WORKER_HISTORY_PAGE_MAX (64u << 10)

/* The answer to `request`, about a run of the worker's own; its events are in `page`. */
struct wire_message worker_history_answer(
    const struct run *run, const struct wire_history_read *request, struct buffer *page);
