/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buffer.h"

/* Base 64 with the URL alphabet and no padding (RFC 4648, section 5). Errors are the buffer's. */
void base64url_append(struct buffer *out, struct span bytes);
/*
 * Appends the decoded bytes. -EINVAL, and possibly some bytes appended, on anything but the one
 * canonical spelling: foreign characters, padding, an impossible length, stray bits at the end.
 */
int base64url_decode(struct buffer *out, struct span text);
