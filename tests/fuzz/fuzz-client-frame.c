/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sends to a gateway: a request is always whole, a refusal always says why. */
#include "fuzz.h"

#include "protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct protocol_request request;
    struct protocol_error error = {.code = ""};
    enum protocol_verdict verdict = protocol_decode(&request, &error, span_of(data, size));
    if (verdict == PROTOCOL_DECODED)
        FUZZ_CHECK(request.method < METHOD_COUNT);
    else
        FUZZ_CHECK(error.code[0] && error.message[0]);
    protocol_request_deinit(&request);
    return 0;
}
