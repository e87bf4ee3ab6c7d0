/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/bundle.h"

#include <errno.h>

size_t bundle_begin(struct buffer *bundle)
{
    size_t start = bundle->len;
    buffer_append(bundle, "\0\0\0\0", BUNDLE_HEADER);
    return start;
}

void bundle_undo(struct buffer *bundle, size_t start)
{
    bundle->len = start;
    bundle->broken = false;
}

int bundle_end(struct buffer *bundle, size_t start, size_t max)
{
    int rc = buffer_error(bundle);
    size_t len = rc ? 0 : bundle->len - start - BUNDLE_HEADER;
    if (!rc && len > max)
        rc = -EMSGSIZE;
    if (rc) {
        bundle_undo(bundle, start);
        return rc;
    }
    for (unsigned i = 0; i < BUNDLE_HEADER; i++)
        bundle->data[start + i] = (char)(len >> (8 * i));
    return 0;
}

int bundle_next(struct span *ret_message, struct span bundle, size_t *at)
{
    size_t left = bundle.len - *at;
    size_t len = 0;
    if (left == 0)
        return 0;
    if (left < BUNDLE_HEADER)
        return -EBADMSG;
    for (unsigned i = 0; i < BUNDLE_HEADER; i++)
        len |= (size_t)(unsigned char)bundle.data[*at + i] << (8 * i);
    if (len > left - BUNDLE_HEADER)
        return -EBADMSG;
    *ret_message = span_of(bundle.data + *at + BUNDLE_HEADER, len);
    *at += BUNDLE_HEADER + len;
    return 1;
}
