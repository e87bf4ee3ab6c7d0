/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery/delivery.h"

#include <string.h>

static void thin_out(struct delivery *delivery)
{
    uint32_t kept = 0;
    for (uint32_t i = (delivery->count - 1) % 2; i < delivery->count; i += 2)
        delivery->marks[kept++] = delivery->marks[i];
    delivery->count = kept;
}

void delivery_note(struct delivery *delivery, uint64_t seq, uint64_t position)
{
    const struct delivery_mark mark = {seq, position};
    if (delivery->count && delivery->marks[delivery->count - 1].seq == seq) {
        delivery->marks[delivery->count - 1] = mark;
        return;
    }
    if (delivery->count == DELIVERY_MARKS)
        thin_out(delivery);
    delivery->marks[delivery->count++] = mark;
}

uint64_t delivery_take(struct delivery *delivery, uint64_t acknowledged)
{
    uint32_t reached = 0;
    while (reached < delivery->count && delivery->marks[reached].seq <= acknowledged)
        reached++;
    if (reached == 0)
        return 0;
    uint64_t position = delivery->marks[reached - 1].position;
    delivery->count -= reached;
    memmove(
        delivery->marks, delivery->marks + reached, delivery->count * sizeof(delivery->marks[0]));
    return position;
}
