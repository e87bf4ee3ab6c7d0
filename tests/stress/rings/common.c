/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ring/directory.h"
#include "ring/reader.h"
#include "torture.h"

uint32_t torture_user(uint32_t writer, uint32_t place)
{
    return place < TORTURE_SHARED_USERS ? place : place + writer;
}

uint32_t torture_place(uint32_t writer, uint32_t user)
{
    if (user < TORTURE_SHARED_USERS)
        return user;
    if (user < TORTURE_SHARED_USERS + writer || user - writer >= TORTURE_USERS)
        return TORTURE_USERS;
    return user - writer;
}

size_t torture_user_name(char ret_name[static 32], uint32_t user)
{
    return (size_t)snprintf(ret_name, 32, "user-%u", (unsigned)user);
}

static uint64_t torture_word(const struct torture_payload *payload, uint32_t i)
{
    return (payload->seq + 1) * UINT64_C(0x9e3779b97f4a7c15) + payload->writer * 7919u + i;
}

void torture_fill(struct torture_payload *payload)
{
    uint32_t rest = payload->length - (uint32_t)sizeof *payload;
    uint8_t *to = (uint8_t *)(payload + 1);

    for (uint32_t i = 0; i < rest; i += 8) {
        uint64_t word = torture_word(payload, i);

        memcpy(to + i, &word, rest - i < 8 ? rest - i : 8);
    }
}

bool torture_intact(const struct torture_payload *payload, uint32_t payload_length)
{
    const uint8_t *from = (const uint8_t *)(payload + 1);

    if (payload_length < sizeof *payload || payload->length != payload_length)
        return false;
    uint32_t rest = payload_length - (uint32_t)sizeof *payload;
    for (uint32_t i = 0; i < rest; i += 8) {
        uint64_t word = torture_word(payload, i);

        if (memcmp(from + i, &word, rest - i < 8 ? rest - i : 8) != 0)
            return false;
    }
    return true;
}

void torture_keep(struct torture_kept *ret_kept, const struct ring_record *record)
{
    const struct torture_payload *payload = record->payload;
    char name[32];

    *ret_kept = (struct torture_kept){
        .generation = record->generation,
        .begin = record->begin,
        .length = (uint32_t)(record->end - record->begin),
        .ring = record->ring,
    };
    if (!torture_intact(payload, record->payload_length))
        return;
    size_t length = torture_user_name(name, payload->user);
    ret_kept->seq = payload->seq;
    ret_kept->writer = payload->writer;
    ret_kept->user = payload->user;
    ret_kept->user_seq = payload->user_seq;
    ret_kept->intact = user_tag(name, length) == record->user_tag;
}

uint32_t torture_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

int64_t torture_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
