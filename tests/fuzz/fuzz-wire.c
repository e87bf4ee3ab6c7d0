/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes, the bundles they travel in, and the runs of a snapshot. */
#include "fuzz.h"

#include "wire/bundle.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message message;
    struct wire_message again;
    walk_runs(span_of(data, size));
    walk_bundle(span_of(data, size));
    if (wire_decode(&message, span_of(data, size)) < 0)
        return 0;
    struct buffer out = BUFFER_INIT;
    wire_encode(&out, &message);
    FUZZ_CHECK(buffer_error(&out) == 0);
    FUZZ_CHECK(wire_decode(&again, buffer_span(&out)) == 0 && again.kind == message.kind);
    buffer_deinit(&out);
    return 0;
}
