/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rings are measured against: the obvious ring that survives the death of a writer. A
 * robust process-shared mutex around claim and copy, published by the store of `tail`; one reader
 * that takes no lock. It does less than the rings do (one user, no tags, no positions to resume
 * from, no record of who wrote), so it is no straw man.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define MUTEX_RING_BYTES 262144u

struct mutex_ring {
    pthread_mutex_t mutex;
    _Alignas(128) _Atomic uint64_t tail; /* bytes ever written */
    _Alignas(128) _Atomic uint64_t head; /* bytes ever read */
    _Alignas(128) uint8_t data[MUTEX_RING_BYTES];
};

/* In shared memory, before others see it. -errno. */
int mutex_ring_init(struct mutex_ring *ring);
/* 0, -EAGAIN when full, -errno of the mutex. */
int mutex_ring_emit(struct mutex_ring *ring, const void *bytes, uint32_t length);
/* Hands all there is to fn and gives the space back; how many. Lengths are a multiple of 8. */
size_t mutex_ring_drain(struct mutex_ring *ring,
    void (*fn)(void *userdata, const void *bytes, uint32_t length), void *userdata);
