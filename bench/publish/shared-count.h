/* SPDX-License-Identifier: Apache-2.0 */
/* What a publisher and an audience know of each other: a file that both have mapped. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct shared_count {
    _Alignas(64) _Atomic uint64_t received; /* the audience writes it, behind each turn */
    _Alignas(64) _Atomic uint64_t base;     /* `received` when the publishing began */
};

/* NULL, and errno, when the file cannot be mapped. */
static inline struct shared_count *shared_count_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *at = mmap(NULL, sizeof(struct shared_count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at == MAP_FAILED ? NULL : at;
}

/* Nanoseconds that all processes agree on, and that have 19 digits whatever the machine's age. */
#define STAMP_BASE 1000000000000000000

static inline int64_t stamp_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return STAMP_BASE + (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The first number of each user's events: ten digits, as all that follow. */
#define NUMBER_BASE 1000000000u
