/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/span.h"

/* The page's files, built in. The table is made from clients/js by embed.py; the last name is NULL.
 */
struct asset {
    const char *name;
    const char *etag;
    const unsigned char *bytes;
    size_t len;
};

extern const struct asset assets[];
