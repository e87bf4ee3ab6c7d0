/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/*
 * What is wrong with a configuration, collected so that all of it is said at once. A problem is
 * one line: where, which key, why, and what was perhaps meant.
 */
struct problems {
    struct buffer lines; /* one problem a line */
    size_t count;
};

void problems_add(struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void problems_deinit(struct problems *problems);
