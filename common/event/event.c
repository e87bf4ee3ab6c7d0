/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event.h"

#include <xxhash.h>

static const struct {
    const char *name;
    enum event_class class;
} types[EVENT_TYPE_COUNT] = {
    [EVENT_NONE] = {"unknown", EVENT_CLASS_EDGE},
#define EVENT(symbol, name, class) [EVENT_##symbol] = {#name, EVENT_CLASS_##class},
#include "event/types.def"
#undef EVENT
};

const char *event_type_name(enum event_type type)
{
    return types[(unsigned)type < EVENT_TYPE_COUNT ? type : EVENT_NONE].name;
}

enum event_type event_type_parse(struct span name)
{
    for (unsigned type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        if (span_is(name, types[type].name))
            return (enum event_type)type;
    }
    return EVENT_NONE;
}

enum event_class event_type_class(enum event_type type)
{
    return types[(unsigned)type < EVENT_TYPE_COUNT ? type : EVENT_NONE].class;
}

uint64_t event_user_tag(struct span user_id)
{
    return XXH3_64bits(user_id.data, user_id.len);
}
