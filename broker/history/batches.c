/* SPDX-License-Identifier: Apache-2.0 */
#include "history/batches.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void batches_deinit(struct batches *batches)
{
    free(batches->rows);
    *batches = (struct batches){0};
}

static void squeeze(struct batches *batches)
{
    size_t to = 0;
    for (size_t i = batches->start; i < batches->end; i++) {
        if (batches->rows[i].size)
            batches->rows[to++] = batches->rows[i];
    }
    batches->start = 0;
    batches->end = to;
}

int batches_reserve(struct batches *batches)
{
    if (batches->end < batches->cap)
        return 0;
    if (batches->start > 0 && batches->start >= (batches->end - batches->start)) {
        squeeze(batches);
        return 0;
    }
    size_t cap = batches->cap ? batches->cap + batches->cap / 2 : 64;
    struct retained_batch *rows = realloc(batches->rows, cap * sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    batches->rows = rows;
    batches->cap = cap;
    return 0;
}

void batches_push(struct batches *batches, const struct retained_batch *batch)
{
    assert(batches->end < batches->cap && batch->size > 0);
    assert(
        batches->end == batches->start || batches->rows[batches->end - 1].number < batch->number);
    batches->rows[batches->end++] = *batch;
    batches->count++;
    batches->bytes += batch->size;
    batches->dead += batch->dead;
    if (batch->number <= batches->horizon)
        batches->carried += batch->size;
}

struct retained_batch *batches_at_least(const struct batches *batches, uint64_t number)
{
    size_t low = batches->start;
    size_t high = batches->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (batches->rows[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < batches->end && batches->rows[low].size == 0)
        low++;
    return low < batches->end ? &batches->rows[low] : NULL;
}

struct retained_batch *batches_find(const struct batches *batches, uint64_t number)
{
    struct retained_batch *batch = batches_at_least(batches, number);
    return batch && batch->number == number ? batch : NULL;
}

static void take_off(struct batches *batches, const struct retained_batch *batch)
{
    batches->bytes -= batch->size;
    batches->dead -= batch->dead;
    if (batch->number <= batches->horizon)
        batches->carried -= batch->size;
}

void batches_remove(struct batches *batches, struct retained_batch *batch)
{
    take_off(batches, batch);
    batch->size = 0;
    batch->dead = 0;
    batches->count--;
    while (batches->start < batches->end && batches->rows[batches->start].size == 0)
        batches->start++;
    if (batches->end - batches->start > 2 * batches->count + 64)
        squeeze(batches);
}

void batches_rewritten(
    struct batches *batches, struct retained_batch *batch, const struct retained_batch *now)
{
    take_off(batches, batch);
    batch->first = now->first;
    batch->size = now->size;
    batch->sections = now->sections;
    batch->dead = 0;
    batches->bytes += batch->size;
    if (batch->number <= batches->horizon)
        batches->carried += batch->size;
}

bool batches_bury(struct batches *batches, struct retained_batch *batch, uint32_t bytes)
{
    batch->dead += bytes;
    batches->dead += bytes;
    return batches_wasteful(batch);
}

void batches_set_horizon(struct batches *batches, uint64_t horizon)
{
    for (const struct retained_batch *batch = batches_at_least(batches, batches->horizon + 1);
         batch && batch->number <= horizon; batch = batches_at_least(batches, batch->number + 1))
        batches->carried += batch->size;
    batches->horizon = horizon;
}
