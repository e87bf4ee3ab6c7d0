/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include "base/clock.h"
#include "event/event.h"

#include <stdlib.h>

void users_init(struct users *users, struct history *history)
{
    *users = (struct users){.history = history};
}

static void user_free(struct user *user)
{
    buffer_deinit(&user->fresh);
    free(user);
}

void users_deinit(struct users *users)
{
    size_t cursor = 0;
    for (struct user *user; (user = map_next(&users->map, &cursor));)
        user_free(user);
    map_deinit(&users->map);
}

static struct user *user_new(struct users *users, struct span id)
{
    struct user *user = calloc(1, sizeof(*user));
    if (!user)
        return NULL;
    memcpy(user->id, id.data, id.len);
    user->tag = event_user_tag(id);
    user->lonely_since_ms = clock_monotonic_ms();
    list_init(&user->runs);
    list_init(&user->lines);
    list_init(&user->subscriptions);
    list_init(&user->fresh_link);
    user->stream = history_stream(users->history, id);
    if (!user->stream || map_put(&users->map, span_of_string(user->id), user) < 0) {
        user_free(user);
        return NULL;
    }
    return user;
}

struct user *users_get(struct users *users, struct span id)
{
    struct user *user = map_get(&users->map, id);
    if (user || !identifier_valid(id))
        return user;
    return user_new(users, id);
}
