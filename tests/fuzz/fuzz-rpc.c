/* SPDX-License-Identifier: Apache-2.0 */
/* A line an agent writes: its parts lie within it, and are JSON again. */
#include "fuzz.h"

#include "base/json_scan.h"
#include "protocol/rpc.h"

static void check_part(struct span part, struct span line)
{
    if (part.len == 0)
        return;
    FUZZ_CHECK(part.data >= line.data && part.data + part.len <= line.data + line.len);
    FUZZ_CHECK(json_scan_valid(part));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_message message;
    const char *reason = NULL;
    struct span line = span_of(data, size);
    if (rpc_parse(&message, line, &reason) < 0) {
        FUZZ_CHECK(reason != NULL);
        return 0;
    }
    check_part(message.id, line);
    check_part(message.params, line);
    check_part(message.result, line);
    check_part(message.error, line);
    (void)rpc_own_id(&message);
    return 0;
}
