/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent as a shared object: counts down from the number it is told, a line a second.
 *
 *   cc -shared -fPIC countdown.c -o countdown.so
 *
 *   agents:
 *     countdown: {kind: native, library: ./countdown.so, settings: {pause_ms: 1000}}
 */
#include <ringside-agent.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long number_in(const char *json, const char *name, long fallback)
{
    const char *at = strstr(json, name);
    const char *colon = at ? strchr(at, ':') : NULL;
    return colon ? strtol(colon + 1, NULL, 10) : fallback;
}

static const char *check(const char *settings)
{
    return number_in(settings, "\"pause_ms\"", 1000) < 0 ? "pause_ms must not be negative" : NULL;
}

static int run(ra_run *run)
{
    long pause = number_in(ra_settings_json(run), "\"pause_ms\"", 1000);
    long from = strtol(ra_input(run), NULL, 10);
    char line[32];
    if (from < 1 || from > 1000)
        return ra_fail(run, "bad_number", "tell me a number from 1 to 1000", false);
    ra_thinking(run, "counting down");
    for (long number = from; number > 0; number--) {
        snprintf(line, sizeof(line), "%ld\n", number);
        if (ra_text(run, line) || ra_sleep_ms(run, (uint64_t)pause))
            return RA_CANCELLED;
    }
    return ra_set_result(run, "{\"done\":true}");
}

RA_EXPORT const struct ra_agent ra_agent_v1 = {RA_VERSION, "countdown", check, run};
