/* SPDX-License-Identifier: Apache-2.0 */
#include "mutex-ring.h"

#include <errno.h>
#include <string.h>

#define PORTION 256 /* records, then their space is given back */
#define SKIP UINT32_MAX

int mutex_ring_init(struct mutex_ring *ring)
{
    pthread_mutexattr_t attributes;
    int e;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    e = pthread_mutex_init(&ring->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    atomic_store(&ring->tail, 0);
    atomic_store(&ring->head, 0);
    return -e;
}

static int mutex_ring_lock(struct mutex_ring *ring)
{
    int e = pthread_mutex_lock(&ring->mutex);

    /* The owner died before it published: what it wrote is not there. */
    if (e == EOWNERDEAD)
        e = pthread_mutex_consistent(&ring->mutex);
    return -e;
}

static int mutex_ring_put(struct mutex_ring *ring, const void *bytes, uint32_t length)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t at = (uint32_t)(tail % MUTEX_RING_BYTES), rest = MUTEX_RING_BYTES - at;
    uint32_t need = 8 + length, skip = rest < need ? rest : 0;

    if (tail + skip + need - head > MUTEX_RING_BYTES)
        return -EAGAIN;
    if (skip) {
        memcpy(ring->data + at, &(uint32_t){SKIP}, 4);
        at = 0;
    }
    memcpy(ring->data + at, &length, 4);
    memcpy(ring->data + at + 8, bytes, length);
    atomic_store_explicit(&ring->tail, tail + skip + need, memory_order_release);
    return 0;
}

int mutex_ring_emit(struct mutex_ring *ring, const void *bytes, uint32_t length)
{
    int r = mutex_ring_lock(ring);

    if (r < 0)
        return r;
    r = mutex_ring_put(ring, bytes, length);
    pthread_mutex_unlock(&ring->mutex);
    return r;
}

size_t mutex_ring_drain(struct mutex_ring *ring,
    void (*fn)(void *userdata, const void *bytes, uint32_t length), void *userdata)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    size_t count = 0;

    while (head < tail && count < PORTION) {
        uint32_t at = (uint32_t)(head % MUTEX_RING_BYTES), length;

        memcpy(&length, ring->data + at, 4);
        if (length == SKIP) {
            head += MUTEX_RING_BYTES - at;
            continue;
        }
        fn(userdata, ring->data + at + 8, length);
        head += 8 + length;
        count++;
    }
    atomic_store_explicit(&ring->head, head, memory_order_release);
    return count;
}
