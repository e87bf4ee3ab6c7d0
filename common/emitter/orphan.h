/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that were freed while their ring was full: they end as soon as there is room. */
#pragma once

struct rs_emitter;
struct rs_run;

/* Takes the run, which no longer counts as a reference on the emitter. */
void orphan_add(struct rs_emitter *emitter, struct rs_run *run);
/* Tries to end them all, without waiting. Any thread. */
void orphans_retry(struct rs_emitter *emitter);
/* Tries once more, waiting as emitting does, then leaves them to the broker. Last user only. */
void orphans_free(struct rs_emitter *emitter);
