/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sends to a gateway: a request is always whole, a refusal always says why. */
#include "fuzz.h"

#include "protocol.h"

static void check(const struct protocol_request *request)
{
    FUZZ_CHECK(request->method < METHOD_COUNT);
    FUZZ_CHECK((request->method == METHOD_SUBSCRIBE) == (request->subscribe != NULL));
    if (request->subscribe)
        FUZZ_CHECK(request->subscribe->filter.count <= FILTER_THREADS_MAX);
    if (request->method == METHOD_RUNS_LIST)
        FUZZ_CHECK(request->limit >= 1 && request->limit <= PROTOCOL_RUNS_MAX);
    if (request->method == METHOD_INTERRUPT_RESPOND)
        FUZZ_CHECK(request->interrupt_id.len && request->status.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct protocol_request request;
    struct protocol_error error = {.code = ""};
    enum protocol_verdict verdict = protocol_decode(&request, &error, span_of(data, size));
    if (verdict == PROTOCOL_DECODED)
        check(&request);
    else
        FUZZ_CHECK(error.code[0] && error.message[0]);
    protocol_request_deinit(&request);
    return 0;
}
