/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/option.h"

/* What becomes of an option whose value is another one now. */
enum take_over {
    TAKE_OVER_DONE,
    TAKE_OVER_LATER, /* it cannot change while the program runs: the old value stays */
};

struct take_over_rules {
    bool (*may_change)(const struct option *option);
    void (*tell)(void *context, const struct option *option, enum take_over outcome);
    void *context;
};

/*
 * Brings a configuration that is in use up to one that was read anew, option by option; `tell`
 * hears of each that differs. Agents stay. Texts that were replaced end up in `next`, which is to
 * be freed as ever; until then whoever still holds one is safe.
 */
void config_take_over(
    struct config *config, struct config *next, const struct take_over_rules *rules);
