/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "session.h"

/* What administrators are shown of a gateway's connections; never what is in a stream. */

/* Longer lists are cut off there, and say so. */
#define SESSION_LIST_MAX 1000

/* {"connections":[…],"total":N}: those of `user`, or of everybody when it is empty. */
void session_list_append(
    struct buffer *out, const struct list_link *sessions, struct span user, uint64_t now_ms);
