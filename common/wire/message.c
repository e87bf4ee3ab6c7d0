/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"

#include "base/pack.h"

#include <errno.h>

enum field_type {
    FIELD_UINT,
    FIELD_STRING,
    FIELD_BINARY,
};

struct field {
    enum field_type type;
    size_t offset; /* in struct wire_message */
};

struct layout {
    const char *name;
    const struct field *fields;
    uint32_t count;
};

/* The macros of a message's fields have no name to refer to it by, hence the typedef `self`. */
#define U(field_) {FIELD_UINT, __builtin_offsetof(self, field_)},
#define S(field_) {FIELD_STRING, __builtin_offsetof(self, field_)},
#define B(field_) {FIELD_BINARY, __builtin_offsetof(self, field_)},
#define MESSAGE(symbol, name, fields)                                                              \
    static const struct field *name##_fields(uint32_t *ret_count)                                  \
    {                                                                                              \
        typedef struct wire_##name self;                                                           \
        static const struct field list[] = {fields};                                               \
        *ret_count = sizeof(list) / sizeof(list[0]);                                               \
        return list;                                                                               \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef U
#undef S
#undef B

static bool layout_of(enum wire_kind kind, struct layout *ret)
{
    switch (kind) {
#define MESSAGE(symbol, name_, fields_)                                                            \
    case WIRE_##symbol:                                                                            \
        ret->name = #name_;                                                                        \
        ret->fields = name_##_fields(&ret->count);                                                 \
        return true;
#include "wire/messages.def"
#undef MESSAGE
    case WIRE_NONE:
    case WIRE_KIND_COUNT:
    default: return false;
    }
}

const char *wire_kind_name(enum wire_kind kind)
{
    struct layout layout;
    return layout_of(kind, &layout) ? layout.name : "unknown";
}

/* All members of the union begin at the same place. */
static const char *body_of(const struct wire_message *message)
{
    return (const char *)&message->attach;
}

static void encode_field(struct buffer *out, const struct field *field, const char *body)
{
    const void *at = body + field->offset;
    switch (field->type) {
    case FIELD_UINT: pack_uint(out, *(const uint64_t *)at); break;
    case FIELD_STRING: pack_str(out, *(const struct span *)at); break;
    case FIELD_BINARY: pack_bin(out, *(const struct span *)at); break;
    }
}

void wire_encode(struct buffer *out, const struct wire_message *message)
{
    struct layout layout;
    if (!layout_of(message->kind, &layout)) {
        out->broken = true;
        return;
    }
    pack_array(out, 1 + layout.count);
    pack_uint(out, message->kind);
    for (uint32_t i = 0; i < layout.count; i++)
        encode_field(out, &layout.fields[i], body_of(message));
}

static bool decode_field(struct pack_reader *reader, const struct field *field, char *body)
{
    void *at = body + field->offset;
    switch (field->type) {
    case FIELD_UINT: return pack_read_uint(reader, at);
    case FIELD_STRING: return pack_read_str(reader, at);
    case FIELD_BINARY: return pack_read_bin(reader, at);
    }
    return false;
}

int wire_decode(struct wire_message *ret_message, struct span bytes)
{
    struct pack_reader reader = pack_reader_of(bytes);
    struct layout layout;
    uint32_t count;
    uint64_t kind;
    if (!pack_read_array(&reader, &count) || !pack_read_uint(&reader, &kind) ||
        kind >= WIRE_KIND_COUNT || !layout_of((enum wire_kind)kind, &layout) ||
        count != 1 + layout.count)
        return -EBADMSG;
    struct wire_message message = {.kind = (enum wire_kind)kind};
    for (uint32_t i = 0; i < layout.count; i++) {
        if (!decode_field(&reader, &layout.fields[i], (char *)&message.attach))
            return -EBADMSG;
    }
    if (reader.at != reader.end)
        return -EBADMSG;
    *ret_message = message;
    return 0;
}
