/* SPDX-License-Identifier: Apache-2.0 */
#include "check/strays.h"

#include "process/tree.h"

#include "base/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LOOK_EVERY_MS 10

/* When it was started; 0 when it is gone, or waits to be reaped. */
static uint64_t start_of(pid_t pid)
{
    char text[1024], state = 'Z';
    uint64_t started = 0;
    snprintf(text, sizeof(text), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(text, "re");
    if (!file)
        return 0;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *behind_name = strrchr(text, ')'); /* the name may be anything */
    if (!behind_name ||
        sscanf(behind_name,
            ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
            &state, &started) != 2 ||
        state == 'Z' || state == 'X')
        return 0;
    return started;
}

static void note(void *context, pid_t pid)
{
    struct strays *strays = context;
    uint64_t started = start_of(pid);
    if (!started || strays->count == STRAYS_MAX)
        return;
    strays->seen[strays->count].pid = pid;
    strays->seen[strays->count++].started = started;
}

void strays_note(struct strays *strays, pid_t pid)
{
    process_tree_each(pid, note, strays);
}

static unsigned count_left(const struct strays *strays)
{
    unsigned left = 0;
    for (unsigned i = 0; i < strays->count; i++)
        left += start_of(strays->seen[i].pid) == strays->seen[i].started;
    return left;
}

unsigned strays_end(const struct strays *strays, uint64_t wait_ms)
{
    uint64_t end_ms = clock_monotonic_ms() + wait_ms;
    unsigned left;
    while ((left = count_left(strays)) && clock_monotonic_ms() < end_ms)
        poll(NULL, 0, LOOK_EVERY_MS);
    for (unsigned i = 0; left && i < strays->count; i++) {
        if (start_of(strays->seen[i].pid) == strays->seen[i].started)
            kill(strays->seen[i].pid, SIGKILL);
    }
    return left;
}
