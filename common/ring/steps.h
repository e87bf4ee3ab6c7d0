/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named points between the steps of the protocol, at which tests kill a process. They exist only in
 * the library variant compiled with RING_TEST_STEPS; in the product they are nothing.
 */
#pragma once

#ifdef RING_TEST_STEPS
/* Called with the name of each point passed, by the thread that passes it. */
extern void (*ring_step_hook)(const char *name);

static inline void ring_step(const char *name)
{
    if (ring_step_hook)
        ring_step_hook(name);
}

#define RING_STEP(name) ring_step(#name)
#else
#define RING_STEP(name) ((void)0)
#endif
