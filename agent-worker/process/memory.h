/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * What processes take, as the kernel tells. Limits of the kernel's own hold for one process each;
 * an agent may be many.
 */

/* Bytes of memory that are a process's and its descendants' alone, without what they share with
 * files; 0 when it is gone. */
uint64_t memory_of_tree(pid_t pid);
/* How many processes the kernel has killed for want of memory since it was booted. */
uint64_t memory_kills(void);
