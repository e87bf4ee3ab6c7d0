/* SPDX-License-Identifier: Apache-2.0 */
#include "process/memory.h"

#include "process/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t own_bytes(pid_t pid)
{
    char path[64];
    uint64_t resident = 0, shared = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    int read = fscanf(file, "%*u %" SCNu64 " %" SCNu64, &resident, &shared);
    fclose(file);
    return read == 2 && resident > shared ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE)
                                          : 0;
}

static void add(void *context, pid_t pid)
{
    uint64_t *bytes = context;
    *bytes += own_bytes(pid);
}

uint64_t memory_of_tree(pid_t pid)
{
    uint64_t bytes = 0;
    process_tree_each(pid, add, &bytes);
    return bytes;
}

uint64_t memory_kills(void)
{
    char line[128];
    uint64_t kills = 0;
    FILE *file = fopen("/proc/vmstat", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "oom_kill %" SCNu64, &kills) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kills;
}
