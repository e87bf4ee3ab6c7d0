/* SPDX-License-Identifier: Apache-2.0 */
#include "stepping.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "ring/steps.h"

static _Thread_local struct {
    const char *step;
    uint32_t left;
    void (*fn)(void);
} stepping;

static void stepping_hook(const char *name)
{
    void (*fn)(void) = stepping.fn;

    if (!fn || strcmp(name, stepping.step) != 0 || --stepping.left > 0)
        return;
    stepping.fn = NULL;
    fn();
}

void step_at(const char *step, uint32_t count, void (*fn)(void))
{
    stepping.step = step;
    stepping.left = count;
    stepping.fn = fn;
    ring_step_hook = stepping_hook;
}

void step_off(void)
{
    stepping.fn = NULL;
}

void step_kill(void)
{
    raise(SIGKILL);
}
