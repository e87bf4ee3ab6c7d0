/* SPDX-License-Identifier: Apache-2.0 */
#include "links/effects.h"

#include "failpoints/failpoint.h"

struct entry {
    uint64_t serial;
    uint64_t request; /* that it answers, or NO_REQUEST */
    uint64_t len;     /* of the encoded message behind it */
};

#define NO_REQUEST UINT64_MAX

void effects_init(struct effects *effects, struct links *links)
{
    *effects = (struct effects){.links = links};
}

void effects_deinit(struct effects *effects)
{
    buffer_deinit(&effects->entries);
    buffer_deinit(&effects->kept);
    buffer_deinit(&effects->scratch);
}

static void add(struct effects *effects, const struct link *link,
    const struct wire_message *message, uint64_t request)
{
    buffer_clear(&effects->scratch);
    wire_encode(&effects->scratch, message);
    struct entry entry = {.serial = link->serial, .request = request, .len = effects->scratch.len};
    if (!buffer_reserve(&effects->entries, sizeof(entry) + entry.len))
        return;
    buffer_append(&effects->entries, &entry, sizeof(entry));
    buffer_append_span(&effects->entries, buffer_span(&effects->scratch));
}

void effects_add(
    struct effects *effects, const struct link *link, const struct wire_message *message)
{
    add(effects, link, message, NO_REQUEST);
}

void effects_add_reply(
    struct effects *effects, const struct link *link, const struct wire_reply *reply)
{
    const struct wire_message message = {.kind = WIRE_REPLY, .reply = *reply};
    add(effects, link, &message, reply->request);
}

/* The entry at *at with its message; moves *at behind both. */
static struct entry next_entry(const struct effects *effects, size_t *at, struct span *ret_message)
{
    struct entry entry;
    memcpy(&entry, effects->entries.data + *at, sizeof(entry));
    *ret_message = span_of(effects->entries.data + *at + sizeof(entry), entry.len);
    *at += sizeof(entry) + entry.len;
    return entry;
}

void effects_release(struct effects *effects)
{
    for (size_t at = 0; at < effects->entries.len;) {
        struct span message;
        struct entry entry = next_entry(effects, &at, &message);
        struct link *link = links_find(effects->links, entry.serial);
        if (link)
            link_send_encoded(link, message);
        FAILPOINT(effect_sent);
    }
    buffer_clear(&effects->entries);
}

static void refuse(struct effects *effects, const struct entry *entry, const char *text)
{
    struct link *link = links_find(effects->links, entry->serial);
    const struct wire_message message = {.kind = WIRE_REPLY,
        .reply = {.request = entry->request,
            .code = SPAN_LITERAL("unavailable"),
            .message = span_of_string(text),
            .retryable = true}};
    if (link)
        link_send(link, &message);
}

void effects_refuse(struct effects *effects, const char *message)
{
    buffer_clear(&effects->kept);
    for (size_t at = 0; at < effects->entries.len;) {
        size_t start = at;
        struct span unused;
        struct entry entry = next_entry(effects, &at, &unused);
        if (entry.request == NO_REQUEST)
            buffer_append(&effects->kept, effects->entries.data + start, at - start);
        else
            refuse(effects, &entry, message);
    }
    struct buffer entries = effects->entries;
    effects->entries = effects->kept;
    effects->kept = entries;
}
