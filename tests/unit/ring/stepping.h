/* SPDX-License-Identifier: Apache-2.0 */
/* Doing something at a named step of the protocol (ring/steps.h). */
#pragma once

#include <stdint.h>

/* The calling thread's `count`th pass of the step calls fn, once. */
void step_at(const char *step, uint32_t count, void (*fn)(void));
void step_off(void);
/* For step_at: ends this process on the spot. */
void step_kill(void);
