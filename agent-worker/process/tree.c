/* SPDX-License-Identifier: Apache-2.0 */
#include "process/tree.h"

#include <dirent.h>
#include <stdio.h>

/* A tree that grows while it is walked, or is a fork bomb, is not followed for ever. */
#define DEPTH_MAX 16
#define PROCESSES_MAX 4096

struct walk {
    process_tree_fn visit;
    void *context;
    unsigned processes;
};

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
    walk->visit(walk->context, pid);
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

void process_tree_each(pid_t pid, process_tree_fn visit, void *context)
{
    struct walk walk = {visit, context, 0};
    walk_process(&walk, pid, 0);
}
