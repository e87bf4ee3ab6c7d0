/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fold.h"

#include "base/cleanup.h"
#include "event/codec.h"
#include "history/bytes.h"

#include <errno.h>

/* How the data of a folded text begins; JSON's own escapes are left as they are. */
#define TEXT_BEGIN SPAN_LITERAL("{\"delta\":\"")

/* `data` without the first `skip` bytes of its text. */
static int append_text_from(struct buffer *out, struct span data, size_t skip)
{
    struct span begin = TEXT_BEGIN;
    if (data.len < begin.len + skip || memcmp(data.data, begin.data, begin.len) != 0)
        return -EBADMSG;
    buffer_append_span(out, begin);
    buffer_append(out, data.data + begin.len + skip, data.len - begin.len - skip);
    return buffer_error(out);
}

int fold_append_rest(struct buffer *out, struct span bytes, struct span cuts, uint64_t from)
{
    struct event event;
    size_t offset = 0;
    if (event_decode_next(&event, bytes, &offset) != 1 || offset != bytes.len ||
        from <= event_first_seq(&event) || from > event.seq)
        return -EBADMSG;
    _cleanup_(buffer_deinit) struct buffer data = BUFFER_INIT;
    if (cuts.len) {
        uint64_t which = from - event.first_seq - 1;
        if (cuts.len != (event.seq - event.first_seq) * sizeof(uint32_t))
            return -EBADMSG;
        int rc = append_text_from(&data, event.data, get_u32(cuts.data + which * sizeof(uint32_t)));
        if (rc)
            return rc;
        event.data = buffer_span(&data);
    }
    event.first_seq = from < event.seq ? from : 0;
    event_encode(out, &event);
    return 0;
}
