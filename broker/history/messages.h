/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/identifier.h"
#include "history/history.h"

/* Going through the messages of a user, in the order of their bytes. */
struct found_message {
    size_t message_len;
    size_t run_len;
    char message_id[IDENTIFIER_MAX];
    char run_id[IDENTIFIER_MAX];
};

/* The user's committed message behind `after` ("": the first of all), and its run. -ENOENT. */
int history_next_message(struct history *history, struct span user_id, struct span after,
    struct found_message *ret_message);
