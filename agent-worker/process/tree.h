/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

typedef void (*process_tree_fn)(void *context, pid_t pid);

/* A process and its descendants, as the kernel tells them now; nothing when it is gone. */
void process_tree_each(pid_t pid, process_tree_fn visit, void *context);
