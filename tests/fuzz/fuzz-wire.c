/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes. */
#include "fuzz.h"

#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message message;
    struct wire_message again;
    if (wire_decode(&message, span_of(data, size)) < 0)
        return 0;
    struct buffer out = BUFFER_INIT;
    wire_encode(&out, &message);
    FUZZ_CHECK(buffer_error(&out) == 0);
    FUZZ_CHECK(wire_decode(&again, buffer_span(&out)) == 0 && again.kind == message.kind);
    buffer_deinit(&out);
    return 0;
}
