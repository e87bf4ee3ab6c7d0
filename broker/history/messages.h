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

/* So many at most. */
#define MESSAGES_MAX 32
struct message_list {
    struct found_message messages[MESSAGES_MAX];
    size_t count;
};

/* The user's messages behind `after` ("": from the first), staged or kept, with their runs. None:
 * there are no more. Costs as much as is staged. */
int history_list_messages(
    struct history *history, struct span user_id, struct span after, struct message_list *ret_list);
