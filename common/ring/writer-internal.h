/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of writing that waiting for room shares. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring/mapping.h"
#include "ring/word.h"
#include "ring/writer.h"

struct writer_plan {
    uint64_t tail; /* the word the plan was made from */
    struct tail last;
    uint64_t base_lap;
    uint32_t length; /* of the next claim */
    bool padding;    /* it is the rest of the lap, the record comes after it */
};

/* Units of the record for a payload: itself, or the reference to where it is spilled. */
uint32_t writer_units(const struct ring_writer *writer, uint32_t payload_length);
bool writer_spills(const struct ring_writer *writer, uint32_t payload_length);
/* What can be refused without looking at the ring. */
int writer_admit(
    const struct ring_writer *writer, const struct ring_lease *lease, uint32_t payload_length);
/* The slot's word: between these two the ring stays the user's it is. */
void writer_enter(struct ring_writer *writer, uint32_t ring);
void writer_leave(struct ring_writer *writer);
/*
 * Closes the ring for the one of the next class, when that is granted. Entered only.
 *   -ESTALE      closed, by this call or meanwhile: a new lease leads to the successor
 *   -EAGAIN      not granted, or the ring is of the last class
 *   -EINPROGRESS another claim came first: plan again
 */
int writer_grow(struct ring_writer *writer, const struct ring_lease *lease);
/* Checks the lease and looks for room for `length` units. Errors as ring_reserve. Entered only. */
int writer_plan(struct writer_plan *ret_plan, const struct ring_writer *writer,
    const struct ring_lease *lease, uint32_t length);
