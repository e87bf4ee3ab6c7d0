/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/paths.h"
#include "config/config.h"

/*
 * The folders of a node before it starts: there, ours alone, ours to write; locked, so that one
 * `ringside up` has them; and rid of what a dead node left.
 */
#define FOLDERS_WHY_SIZE 1400

struct folders {
    char run_dir[PATHS_MAX];
    char data_dir[PATHS_MAX];
};

/* The paths, absolute; nothing is made. `ret_why` is a sentence, here and below. */
int folders_find(
    struct folders *ret_folders, const struct config *config, char ret_why[FOLDERS_WHY_SIZE]);
/* Makes what is missing (0700). */
int folders_prepare(const struct folders *folders, char ret_why[FOLDERS_WHY_SIZE]);
/* Whether `path` is a folder of ours that nobody else may write. -errno, with the sentence. */
int folders_check(const char *path, char ret_why[FOLDERS_WHY_SIZE]);
/*
 * Takes the run directory's lock: a descriptor, held for as long as it is open. -EBUSY when
 * another process has it; the sentence names its pid.
 */
int folders_lock(const struct folders *folders, char ret_why[FOLDERS_WHY_SIZE]);
/* Whether somebody holds the lock, without waiting; `ret_pid` 0 when unknown. */
bool folders_locked(const struct folders *folders, int *ret_pid);

enum socket_state {
    SOCKET_NONE,
    SOCKET_ANSWERED, /* somebody listens */
    SOCKET_STALE,    /* a file that nobody listens behind */
};

/* What is behind a local socket's file. */
enum socket_state folders_probe_socket(const char *path);
/*
 * Calls `handle` for each socket file of a dead node in the run directory. The number of them.
 */
unsigned folders_each_stale(
    const char *run_dir, void (*handle)(void *context, const char *path), void *context);
