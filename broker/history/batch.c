/* SPDX-License-Identifier: Apache-2.0 */
#include "history/batch.h"

#include "history/bytes.h"

#include <assert.h>
#include <errno.h>

#include <xxhash.h>

/*
 * header:   0 u32 magic       4 u16 version     6 u16 size of the header
 *           8 u64 number     16 u64 wall-clock milliseconds of the commit
 *          24 u32 sections   28 u32 positions  32 u32 bytes of names  36 u32 events
 *          40 u32 bytes of the whole batch     44 u32 zero            48 u64 first
 *          56 u64 checksum of the front, these 8 bytes left out
 * section:  0 u64 first number                  8 u32 events
 *          12 u32 offset     16 u32 bytes      20 u32 offset in names 24 u16 bytes of name
 *          28 u32 numbers that have no event of their own
 * position: 0 u64 arena  8 u64 ring  16 u64 generation  24 u64 position
 */
#define BATCH_MAGIC 0x42485352u /* "RSHB" */
#define BATCH_CHECK_AT 56

static uint64_t front_size(uint64_t sections, uint64_t positions, uint64_t names_size)
{
    return BATCH_HEADER_SIZE + sections * BATCH_SECTION_SIZE + positions * BATCH_POSITION_SIZE +
           names_size;
}

static uint64_t front_check(const char *bytes, size_t size)
{
    uint64_t head = XXH3_64bits(bytes, BATCH_CHECK_AT);
    return XXH3_64bits_withSeed(bytes + BATCH_HEADER_SIZE, size - BATCH_HEADER_SIZE, head);
}

uint32_t batch_event_check(struct span bytes, uint32_t numbers)
{
    return (uint32_t)XXH3_64bits_withSeed(bytes.data, bytes.len, numbers - 1);
}

static uint32_t entry_size(uint32_t folded)
{
    return folded ? BATCH_FOLDED_SIZE : BATCH_EVENT_SIZE;
}

uint64_t batch_size(const struct batch_input *input)
{
    return front_size(input->section_count, input->position_count, input->names_size) +
           (uint64_t)input->event_count * BATCH_EVENT_SIZE +
           (uint64_t)input->wide_count * (BATCH_FOLDED_SIZE - BATCH_EVENT_SIZE) + input->data_size;
}

static void write_header(char *to, const struct batch_input *input)
{
    memset(to, 0, BATCH_HEADER_SIZE);
    put_u32(to, BATCH_MAGIC);
    put_u16(to + 4, BATCH_VERSION);
    put_u16(to + 6, BATCH_HEADER_SIZE);
    put_u64(to + 8, input->number);
    put_u64(to + 16, input->time_ms);
    put_u32(to + 24, input->section_count);
    put_u32(to + 28, input->position_count);
    put_u32(to + 32, input->names_size);
    put_u32(to + 36, input->event_count);
    put_u32(to + 40, (uint32_t)batch_size(input));
    put_u64(to + 48, input->first);
}

/* Gives each section its place behind the front, and writes directory and names. */
static void write_directory(char *to, const struct batch_input *input)
{
    char *entry = to + BATCH_HEADER_SIZE;
    char *names = entry + (size_t)input->section_count * BATCH_SECTION_SIZE +
                  (size_t)input->position_count * BATCH_POSITION_SIZE;
    uint32_t name_at = 0;
    uint32_t offset =
        (uint32_t)front_size(input->section_count, input->position_count, input->names_size);
    for (uint32_t i = 0; i < input->section_count; i++, entry += BATCH_SECTION_SIZE) {
        struct batch_source *section = &input->sections[i];
        uint32_t table_size = section->count * entry_size(section->folded);
        uint32_t size = table_size + section->bytes;
        section->table_at = offset;
        section->data_at = offset + table_size;
        memset(entry, 0, BATCH_SECTION_SIZE);
        put_u64(entry, section->first_seq);
        put_u32(entry + 8, section->count);
        put_u32(entry + 12, offset);
        put_u32(entry + 16, size);
        put_u32(entry + 20, name_at);
        put_u16(entry + 24, (uint16_t)section->user_id.len);
        put_u32(entry + 28, section->folded);
        memcpy(names + name_at, section->user_id.data, section->user_id.len);
        name_at += (uint32_t)section->user_id.len;
        offset += size;
    }
    assert(name_at == input->names_size);
}

static void write_positions(char *to, const struct batch_input *input)
{
    char *entry = to + front_size(input->section_count, 0, 0);
    for (uint32_t i = 0; i < input->position_count; i++, entry += BATCH_POSITION_SIZE) {
        const struct history_position *position = &input->positions[i];
        put_u64(entry, position->arena_id);
        put_u64(entry + 8, position->ring);
        put_u64(entry + 16, position->generation);
        put_u64(entry + 24, position->position);
    }
}

/* Writes the events from `from` on that are of one section and stand together; returns how many. */
static uint32_t write_run(
    char *to, const struct batch_input *input, uint32_t from, const char **data)
{
    uint32_t of = input->events[from].section;
    struct batch_source *section = &input->sections[of];
    uint32_t bytes = 0;
    uint32_t i = from;
    for (; i < input->event_count && input->events[i].section == of; i++) {
        put_u32(to + section->table_at, input->events[i].len);
        put_u32(to + section->table_at + 4, input->events[i].check);
        section->table_at += BATCH_EVENT_SIZE;
        bytes += input->events[i].len;
    }
    memcpy(to + section->data_at, *data, bytes);
    section->data_at += bytes;
    *data += bytes;
    return i - from;
}

static void write_events(char *to, const struct batch_input *input)
{
    const char *data = input->data;
    for (uint32_t i = 0; i < input->event_count;)
        i += write_run(to, input, i, &data);
}

static void write_copies(char *to, const struct batch_input *input)
{
    for (uint32_t i = 0; i < input->event_count; i++) {
        const struct batch_copy *copy = &input->copies[i];
        struct batch_source *section = &input->sections[copy->section];
        put_u32(to + section->table_at, (uint32_t)copy->bytes.len);
        put_u32(to + section->table_at + 4, copy->check);
        if (section->folded) {
            put_u32(to + section->table_at + 8, copy->numbers);
            put_u32(to + section->table_at + 12, copy->cuts_size);
        }
        if (copy->bytes.len)
            memcpy(to + section->data_at, copy->bytes.data, copy->bytes.len);
        section->table_at += entry_size(section->folded);
        section->data_at += (uint32_t)copy->bytes.len;
    }
}

void batch_write(char *to, const struct batch_input *input)
{
    assert(batch_size(input) <= UINT32_MAX);
    write_header(to, input);
    write_directory(to, input);
    write_positions(to, input);
    if (input->events)
        write_events(to, input);
    else
        write_copies(to, input);
    uint64_t size = front_size(input->section_count, input->position_count, input->names_size);
    put_u64(to + BATCH_CHECK_AT, front_check(to, size));
}

int batch_open(struct batch *ret_batch, struct span bytes)
{
    const char *at = bytes.data;
    if (bytes.len < BATCH_HEADER_SIZE || bytes.len > UINT32_MAX || get_u32(at) != BATCH_MAGIC ||
        get_u16(at + 4) != BATCH_VERSION || get_u16(at + 6) != BATCH_HEADER_SIZE ||
        get_u32(at + 40) != bytes.len)
        return -EBADMSG;
    struct batch batch = {
        .bytes = bytes,
        .number = get_u64(at + 8),
        .time_ms = get_u64(at + 16),
        .first = get_u64(at + 48),
        .sections = get_u32(at + 24),
        .positions = get_u32(at + 28),
        .names_size = get_u32(at + 32),
        .events = get_u32(at + 36),
    };
    uint64_t size = front_size(batch.sections, batch.positions, batch.names_size);
    if (batch.sections > BATCH_SECTIONS_MAX || size > bytes.len)
        return -EBADMSG;
    batch.front_size = (uint32_t)size;
    *ret_batch = batch;
    return 0;
}

int batch_check_front(const struct batch *batch)
{
    const char *bytes = batch->bytes.data;
    return front_check(bytes, batch->front_size) == get_u64(bytes + BATCH_CHECK_AT) ? 0 : -EBADMSG;
}

/* Numbers, and the table, which must lie within the section. */
static bool section_adds_up(struct batch_section *section, uint32_t folded)
{
    uint64_t numbers = (uint64_t)section->count + folded;
    uint64_t table_size = (uint64_t)section->count * entry_size(folded);
    if (section->first_seq == 0 || section->count == 0 ||
        section->first_seq > UINT64_MAX - numbers || table_size > section->size)
        return false;
    section->last_seq = section->first_seq + numbers - 1;
    section->table_size = (uint32_t)table_size;
    return true;
}

int batch_section_at(struct batch_section *ret_section, const struct batch *batch, uint32_t section)
{
    if (section >= batch->sections)
        return -EBADMSG;
    const char *at = batch->bytes.data + BATCH_HEADER_SIZE + (size_t)section * BATCH_SECTION_SIZE;
    const char *names = batch->bytes.data + batch->front_size - batch->names_size;
    uint32_t name_at = get_u32(at + 20);
    uint16_t name_len = get_u16(at + 24);
    struct batch_section found = {
        .user_id = {names + name_at, name_len},
        .first_seq = get_u64(at),
        .count = get_u32(at + 8),
        .offset = get_u32(at + 12),
        .size = get_u32(at + 16),
    };
    if (name_len == 0 || name_at > batch->names_size || name_len > batch->names_size - name_at ||
        found.offset < batch->front_size || found.offset > batch->bytes.len ||
        found.size > batch->bytes.len - found.offset || !section_adds_up(&found, get_u32(at + 28)))
        return -EBADMSG;
    *ret_section = found;
    return 0;
}

void batch_position_at(
    struct history_position *ret_position, const struct batch *batch, uint32_t position)
{
    assert(position < batch->positions);
    const char *at = batch->bytes.data + front_size(batch->sections, position, 0);
    *ret_position = (struct history_position){
        .arena_id = get_u64(at),
        .ring = get_u64(at + 8),
        .generation = get_u64(at + 16),
        .position = get_u64(at + 24),
    };
}
