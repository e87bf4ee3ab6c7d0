/* SPDX-License-Identifier: Apache-2.0 */
#include "history/frame.h"

#include <errno.h>
#include <string.h>

#include <xxhash.h>

static const char magic[4] = {'R', 'S', 'H', 'J'};

struct header {
    char magic[sizeof(magic)];
    uint16_t version;
    uint16_t size;
    uint64_t batch;
    uint64_t former;
    uint32_t sections_size;
    uint32_t entries_size;
    uint32_t data_size;
    uint32_t notes_size;
    uint64_t check; /* of all before, and of the parts */
};
_Static_assert(sizeof(struct header) == FRAME_HEADER_SIZE, "without holes");
#define CHECK_AT offsetof(struct header, check)

static uint64_t check_of(const struct header *header, const struct span parts[4])
{
    uint64_t check = XXH3_64bits(header, CHECK_AT);
    for (int i = 0; i < 4; i++)
        check = XXH3_64bits_withSeed(parts[i].data, parts[i].len, check);
    return check;
}

size_t frame_size(const struct frame_input *input)
{
    return FRAME_HEADER_SIZE + input->sections.len + input->entries.len + input->data.len +
           input->notes.len;
}

uint64_t frame_write_header(char to[FRAME_HEADER_SIZE], const struct frame_input *input)
{
    const struct span parts[4] = {input->sections, input->entries, input->data, input->notes};
    struct header header = {.version = FRAME_VERSION,
        .size = FRAME_HEADER_SIZE,
        .batch = input->batch,
        .former = input->former,
        .sections_size = (uint32_t)input->sections.len,
        .entries_size = (uint32_t)input->entries.len,
        .data_size = (uint32_t)input->data.len,
        .notes_size = (uint32_t)input->notes.len};
    memcpy(header.magic, magic, sizeof(magic));
    header.check = check_of(&header, parts);
    memcpy(to, &header, sizeof(header));
    return header.check;
}

/* The front of `rest`, which has as much. */
static struct span take(struct span *rest, size_t len)
{
    struct span taken = span_of(rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    return taken;
}

int frame_open(struct frame *ret_frame, struct span bytes)
{
    struct header header;
    if (bytes.len < sizeof(header))
        return -EBADMSG;
    memcpy(&header, bytes.data, sizeof(header));
    size_t body =
        (size_t)header.sections_size + header.entries_size + header.data_size + header.notes_size;
    if (memcmp(header.magic, magic, sizeof(magic)) != 0 || header.version != FRAME_VERSION ||
        header.size != sizeof(header) || body > bytes.len - sizeof(header) ||
        header.entries_size % sizeof(struct batch_entry))
        return -EBADMSG;
    struct span rest = span_of(bytes.data + sizeof(header), body);
    struct span parts[4];
    parts[0] = take(&rest, header.sections_size);
    parts[1] = take(&rest, header.entries_size);
    parts[2] = take(&rest, header.data_size);
    parts[3] = rest;
    if (check_of(&header, parts) != header.check)
        return -EBADMSG;
    *ret_frame = (struct frame){.batch = header.batch,
        .former = header.former,
        .check = header.check,
        .sections = parts[0],
        .entries = parts[1],
        .data = parts[2],
        .notes = parts[3],
        .size = sizeof(header) + body};
    return 0;
}

/* ---- parts of parts */

static bool take_number(struct span *rest, void *ret_number, size_t size)
{
    if (rest->len < size)
        return false;
    memcpy(ret_number, take(rest, size).data, size);
    return true;
}

static bool take_name(struct span *rest, struct span *ret_name)
{
    uint8_t len;
    if (!take_number(rest, &len, sizeof(len)) || rest->len < len)
        return false;
    *ret_name = take(rest, len);
    return true;
}

static bool take_value(struct span *rest, struct span *ret_value)
{
    uint32_t len;
    if (!take_number(rest, &len, sizeof(len)) || rest->len < len)
        return false;
    *ret_value = take(rest, len);
    return true;
}

int frame_next_section(struct frame_section *ret_section, struct span *rest)
{
    struct frame_section section;
    if (rest->len == 0)
        return 0;
    if (!take_number(rest, &section.first_seq, sizeof(section.first_seq)) ||
        !take_name(rest, &section.user_id))
        return -EBADMSG;
    *ret_section = section;
    return 1;
}

static bool take_note(struct frame_note *note, struct span *rest)
{
    switch (note->kind) {
    case FRAME_POSITION: return take_number(rest, &note->position, sizeof(note->position));
    case FRAME_OPEN_RUN:
    case FRAME_CLOSED_RUN: return take_name(rest, &note->id) && take_value(rest, &note->value);
    case FRAME_MESSAGE:
        return take_name(rest, &note->user_id) && take_name(rest, &note->id) &&
               take_value(rest, &note->value);
    }
    return false;
}

int frame_next_note(struct frame_note *ret_note, struct span *rest)
{
    struct frame_note note = {0};
    char kind;
    if (!take_number(rest, &kind, sizeof(kind)))
        return 0;
    note.kind = (enum frame_note_kind)kind;
    if (!take_note(&note, rest))
        return -EBADMSG;
    *ret_note = note;
    return 1;
}

static void add_name(struct buffer *out, struct span name)
{
    buffer_append_char(out, (char)(uint8_t)name.len);
    buffer_append_span(out, name);
}

static void add_value(struct buffer *out, struct span value)
{
    uint32_t len = (uint32_t)value.len;
    buffer_append(out, &len, sizeof(len));
    buffer_append_span(out, value);
}

void frame_add_section(struct buffer *out, const struct frame_section *section)
{
    buffer_append(out, &section->first_seq, sizeof(section->first_seq));
    add_name(out, section->user_id);
}

void frame_add_note(struct buffer *out, const struct frame_note *note)
{
    buffer_append_char(out, (char)note->kind);
    if (note->kind == FRAME_POSITION) {
        buffer_append(out, &note->position, sizeof(note->position));
        return;
    }
    if (note->kind == FRAME_MESSAGE)
        add_name(out, note->user_id);
    add_name(out, note->id);
    add_value(out, note->value);
}
