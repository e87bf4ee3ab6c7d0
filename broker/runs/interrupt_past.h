/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

#include <stdint.h>

/*
 * What became of interrupts that are open no more, also after their runs have ended: so that who
 * answers late is told that another was first, and not that there is nothing to answer. The newest
 * INTERRUPT_PAST_MAX of all users are remembered, as hashes, until the broker ends.
 */
#define INTERRUPT_PAST_MAX 4096

enum interrupt_fate {
    INTERRUPT_UNKNOWN,
    INTERRUPT_RESOLVED,
    INTERRUPT_LEFT, /* its run ended, and nobody had answered */
};

struct interrupt_past {
    uint64_t *hashes; /* owned, a circle; NULL before the first one */
    unsigned next;
};

void interrupt_past_deinit(struct interrupt_past *past);
/* What does not fit into memory is not remembered. */
void interrupt_past_add(struct interrupt_past *past, uint64_t user_tag, struct span interrupt_id,
    enum interrupt_fate fate);
/* Of interrupts of the same name the newest counts. */
enum interrupt_fate interrupt_past_find(
    const struct interrupt_past *past, uint64_t user_tag, struct span interrupt_id);
