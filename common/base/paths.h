/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define PATHS_MAX 512

/*
 * Where a node keeps things, unless configured:
 *   run directory   $RINGSIDE_RUN_DIR, else /run/ringside where it can be written, else
 *                   $XDG_RUNTIME_DIR/ringside, else /tmp/ringside-$UID
 *   data directory  $RINGSIDE_DATA_DIR, else /var/lib/ringside where it can be written, else
 *                   ~/.local/share/ringside
 * Each returns 0 or -ENAMETOOLONG. Nothing is created.
 */
int paths_run_dir(char ret_path[PATHS_MAX], const char *configured);
int paths_data_dir(char ret_path[PATHS_MAX], const char *configured);
/* /dev/shm/ringside-<node>. */
int paths_arena_dir(char ret_path[PATHS_MAX], const char *node);
int paths_join(char ret_path[PATHS_MAX], const char *dir, const char *name);

/* Creates `path` (0700) and missing parents. 0 when it exists already as our own directory;
 * -EPERM when it belongs to somebody else; else -errno. */
int paths_make_dir(const char *path);
