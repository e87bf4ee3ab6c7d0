/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A tree that grows while it is walked, or is a fork bomb, is not followed for ever. */
#define DEPTH_MAX 16
#define PROCESSES_MAX 4096

struct walk {
    uint64_t bytes;
    unsigned processes;
};

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

static void walk_process(struct walk *walk, pid_t pid, unsigned depth);

/* Each thread of a process has children of its own. */
static void walk_children(struct walk *walk, const char *path, unsigned depth)
{
    FILE *file = fopen(path, "re");
    int child;
    while (file && fscanf(file, "%d", &child) == 1)
        walk_process(walk, child, depth + 1);
    if (file)
        fclose(file);
}

static void walk_process(struct walk *walk, pid_t pid, unsigned depth)
{
    char path[64 + 256];
    if (depth > DEPTH_MAX || walk->processes++ > PROCESSES_MAX)
        return;
    walk->bytes += own_bytes(pid);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    for (const struct dirent *entry; threads && (entry = readdir(threads));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, entry->d_name);
        walk_children(walk, path, depth);
    }
    if (threads)
        closedir(threads);
}

uint64_t memory_of_tree(pid_t pid)
{
    struct walk walk = {0};
    walk_process(&walk, pid, 0);
    return walk.bytes;
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
