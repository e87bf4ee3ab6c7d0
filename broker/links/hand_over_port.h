/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

#include <stdint.h>

/*
 * One broker takes over from another (docs/upgrade.md). The new one asks over the control socket;
 * the running one answers, stops as it does on TERM, and lets go of its lock last; the new one
 * waits for the lock and starts as ever, with the same shared memory and history.
 */

/*
 * Asks the broker behind `run_dir`'s control socket. `until_ms` (wall clock) is when we stop
 * waiting: a request found later is refused. 0: it agreed, and is going. -EPERM: it refused; `why`
 * has its reason. -ETIMEDOUT: nothing was heard. -ECONNRESET: the connection was lost, and the
 * request or its answer with it: ask again, unless it is gone. -ENOMEM.
 */
int hand_over_ask(const char *run_dir, uint64_t until_ms, struct buffer *why);

/* The running broker's side: whether it goes, said in `out` as the answer's JSON. Pure. */
bool hand_over_answer(struct buffer *out, struct span request, uint64_t now_ms);
