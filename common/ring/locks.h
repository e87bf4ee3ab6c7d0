/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the lock file, held as open-file-description locks: they belong to the open file, go
 * when its last descriptor goes (at exit, also of a process nobody reaps), and know no pids.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum lock_byte {
    LOCK_OWNER = 0,
    LOCK_GATE = 1,    /* shared while attaching, exclusive while the arena is replaced */
    LOCK_PROCESS = 2, /* + process index */
};

/* Exclusive locks on [byte, byte + count). -EBUSY: another open file holds one of them. */
int lock_try(int fd, uint32_t byte, uint32_t count);
/* A shared lock on one byte; waits for an exclusive one to go. */
int lock_wait_shared(int fd, uint32_t byte);
void lock_release(int fd, uint32_t byte, uint32_t count);
/* Whether another open file than fd's holds a lock in [byte, byte + count). */
bool lock_is_held(int fd, uint32_t byte, uint32_t count);
