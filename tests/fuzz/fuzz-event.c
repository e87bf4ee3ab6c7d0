/* SPDX-License-Identifier: Apache-2.0 */
/* Events as rings and as processes carry them: what decodes must encode to something that decodes
 * to the same. */
#include "fuzz.h"

#include "event/codec.h"
#include "event/frame.h"
#include "event/record.h"

static void check_codec(struct span bytes)
{
    struct event event;
    struct event again;
    for (size_t offset = 0; event_decode_next(&event, bytes, &offset) == 1;) {
        struct buffer out = BUFFER_INIT;
        size_t zero = 0;
        event_encode(&out, &event);
        FUZZ_CHECK(event_decode_next(&again, buffer_span(&out), &zero) == 1);
        FUZZ_CHECK(zero == out.len && again.seq == event.seq && again.first_seq == event.first_seq);
        FUZZ_CHECK(span_equal(again.data, event.data));
        buffer_deinit(&out);
    }
}

static void check_record(struct span bytes)
{
    struct event event;
    struct event again;
    struct event_record record;
    if (event_record_decode(&event, bytes) < 0)
        return;
    FUZZ_CHECK(event_record_encode(&record, &event) == 0 && record.size == bytes.len);
    struct buffer out = BUFFER_INIT;
    for (int i = 0; i < EVENT_RECORD_PARTS; i++)
        buffer_append(&out, record.parts[i].iov_base, record.parts[i].iov_len);
    FUZZ_CHECK(event_record_decode(&again, buffer_span(&out)) == 0);
    FUZZ_CHECK(again.type == event.type && span_equal(again.run_id, event.run_id));
    buffer_clear(&out);
    event_frame_append(&out, &event, 0);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_codec(span_of(data, size));
    check_record(span_of(data, size));
    return 0;
}
