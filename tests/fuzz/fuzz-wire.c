/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes, the bundles and streams they travel in, and the runs of a snapshot.
 */
#include "fuzz.h"

#include "wire/bundle.h"
#include "wire/link_stream.h"
#include "wire/message.h"
#include "wire/snapshot.h"

static void walk_runs(struct span runs)
{
    struct wire_snapshot_run run;
    for (size_t at = 0; wire_snapshot_next(&run, runs, &at) == 1;)
        FUZZ_CHECK(at <= runs.len && run.body.len >= 2 && run.body.data[0] == '{');
}

static void walk_bundle(struct span bundle)
{
    struct buffer again = BUFFER_INIT;
    struct span message;
    size_t at = 0;
    while (bundle_next(&message, bundle, &at) == 1) {
        size_t start = bundle_begin(&again);
        buffer_append_span(&again, message);
        FUZZ_CHECK(bundle_end(&again, start, bundle.len) == 0);
    }
    FUZZ_CHECK(at <= bundle.len && span_equal(buffer_span(&again), span_of(bundle.data, at)));
    buffer_deinit(&again);
}

/* What a stream gives, however its bytes come in, each with its length; then how it ended. */
static void read_stream(struct buffer *out, struct span bytes, size_t step)
{
    struct link_stream stream = {0};
    struct span message = SPAN_EMPTY;
    int what = LINK_STREAM_MORE;
    for (size_t at = 0; at < bytes.len && what == LINK_STREAM_MORE;) {
        size_t room;
        char *place = link_stream_room(&stream, &room);
        FUZZ_CHECK(place && room > 0);
        size_t len = bytes.len - at < step ? bytes.len - at : step;
        if (len > room)
            len = room;
        memcpy(place, bytes.data + at, len);
        link_stream_filled(&stream, len);
        at += len;
        while ((what = link_stream_next(&stream, &message)) > 0) {
            size_t start = bundle_begin(out);
            if (what == LINK_STREAM_MESSAGE)
                buffer_append_span(out, message);
            FUZZ_CHECK(bundle_end(out, start, WIRE_MESSAGE_MAX) == 0);
        }
    }
    buffer_append_uint(out, (uint64_t)-what);
    link_stream_deinit(&stream);
}

static void walk_stream(struct span rest)
{
    struct buffer bytes = BUFFER_INIT;
    struct buffer whole = BUFFER_INIT;
    struct buffer single = BUFFER_INIT;
    buffer_append_string(&bytes, LINK_STREAM_GREETING);
    buffer_append_span(&bytes, rest);
    read_stream(&whole, buffer_span(&bytes), SIZE_MAX);
    read_stream(&single, buffer_span(&bytes), 1 + rest.len % 7);
    FUZZ_CHECK(span_equal(buffer_span(&whole), buffer_span(&single)));
    buffer_clear(&whole);
    read_stream(&whole, rest, SIZE_MAX); /* with whatever greeting it has */
    buffer_deinit(&bytes);
    buffer_deinit(&whole);
    buffer_deinit(&single);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message message;
    struct wire_message again;
    walk_runs(span_of(data, size));
    walk_bundle(span_of(data, size));
    walk_stream(span_of(data, size));
    if (wire_decode(&message, span_of(data, size)) < 0)
        return 0;
    struct buffer out = BUFFER_INIT;
    wire_encode(&out, &message);
    FUZZ_CHECK(buffer_error(&out) == 0);
    FUZZ_CHECK(wire_decode(&again, buffer_span(&out)) == 0 && again.kind == message.kind);
    buffer_deinit(&out);
    return 0;
}
