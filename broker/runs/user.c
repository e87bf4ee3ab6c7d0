/* SPDX-License-Identifier: Apache-2.0 */
#include "runs/user.h"

#include "base/clock.h"
#include "event/event.h"

void users_init(struct users *users, struct history *history)
{
    *users = (struct users){.history = history};
}

void users_deinit(struct users *users)
{
    size_t cursor = 0;
    for (struct user *user; (user = map_next(&users->map, &cursor));)
        buffer_deinit(&user->fresh);
    map_deinit(&users->map);
    region_deinit(&users->region);
}

static struct user *user_new(struct users *users, struct span id)
{
    struct history_stream *stream = history_stream(users->history, id);
    struct user *user = stream ? region_take(&users->region, sizeof(*user)) : NULL;
    if (!user)
        return NULL;
    user->stream = stream;
    memcpy(user->id, id.data, id.len);
    user->tag = event_user_tag(id);
    user->lonely_since_ms = clock_monotonic_ms();
    list_init(&user->runs);
    list_init(&user->lines);
    list_init(&user->subscriptions);
    list_init(&user->fresh_link);
    /* Not known then, and its memory is lost until the broker ends: there is hardly any left. */
    return map_put(&users->map, span_of_string(user->id), user) < 0 ? NULL : user;
}

struct user *users_get(struct users *users, struct span id)
{
    struct user *user = map_get(&users->map, id);
    if (user || !identifier_valid(id))
        return user;
    return user_new(users, id);
}
