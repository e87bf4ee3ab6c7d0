/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "links/link.h"

/*
 * Messages that may leave only once this turn's batch is committed: a reply that says "accepted",
 * a run given to a worker. They are kept encoded, with the serial of the link they are for; a link
 * that is gone by then gets nothing.
 */
struct effects {
    struct links *links; /* borrowed */
    struct buffer entries;
    struct buffer kept;
    struct buffer scratch;
};

void effects_init(struct effects *effects, struct links *links);
void effects_deinit(struct effects *effects);
void effects_add(
    struct effects *effects, const struct link *link, const struct wire_message *message);
/*
 * The same for the answer to a request. If the commit fails the requester is told so at once
 * (`unavailable`, retryable): asking again later is safe, since requests are idempotent.
 */
void effects_add_reply(
    struct effects *effects, const struct link *link, const struct wire_reply *reply);
/* After a commit: sends all, in the order they were added. */
void effects_release(struct effects *effects);
/* After a failed commit: answers the requests, and keeps the rest for a later commit. */
void effects_refuse(struct effects *effects, const char *message);
