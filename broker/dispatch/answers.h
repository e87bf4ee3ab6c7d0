/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dispatch/workers.h"

struct dispatch;

/*
 * Answers of people to what runs ask (interrupts). Whether one is the first is decided by the
 * worker that has the run, since it also decides about expiry: here an answer is given to that
 * worker, and the client's reply waits until the worker has said what became of it. A client is
 * told "ok" only when interrupt_resolved is in the run's ring, from where it survives everybody.
 *
 * Nothing of this is kept over a restart. Whose answer was under way then is told `unavailable`,
 * and asks again.
 */
#define ANSWERS_WAITING_MAX 1024

struct answers {
    struct dispatch *dispatch; /* borrowed */
    struct list_link waiting;  /* struct waiting_answer.link, oldest first */
    size_t count;
    uint64_t last;
};

void answers_init(struct answers *answers, struct dispatch *dispatch);
void answers_deinit(struct answers *answers);
/* A client's; its reply goes to `link`, now or later. */
void answers_respond(
    struct answers *answers, const struct link *link, const struct wire_interrupt_respond *request);
/* What a worker made of one. */
void answers_resolved(
    struct answers *answers, const struct worker *worker, const struct wire_resolved *message);
/* The worker is not connected any more: what it was given may have come to nothing. */
void answers_worker_gone(struct answers *answers, const struct worker *worker);
