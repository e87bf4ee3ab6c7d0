/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients send as MessagePack, and what payloads say as JSON: what is taken is whole and comes
 * out as the other kind, what is not leaves nothing behind.
 */
#include "fuzz.h"

#include "base/json_scan.h"
#include "transcode.h"

static void from_msgpack(struct span bytes)
{
    struct buffer json = BUFFER_INIT;
    struct buffer again = BUFFER_INIT;
    int rc = transcode_to_json(&json, bytes);
    if (rc == 0)
        FUZZ_CHECK(transcode_to_msgpack(&again, buffer_span(&json)) == 0);
    else
        FUZZ_CHECK(json.len == 0);
    buffer_deinit(&json);
    buffer_deinit(&again);
}

static void from_json(struct span bytes)
{
    struct buffer packed = BUFFER_INIT;
    int rc = transcode_to_msgpack(&packed, bytes);
    FUZZ_CHECK(rc == 0 || packed.len == 0);
    FUZZ_CHECK(rc == 0 || !json_scan_valid_object(bytes));
    buffer_deinit(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    from_msgpack(span_of(data, size));
    from_json(span_of(data, size));
    return 0;
}
