/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP request and what a handshake reads in it. */
#include "fuzz.h"

#include "handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request;
    struct handshake handshake;
    struct http_refusal refusal = {0};
    size_t head = http_request_head_length(span_of(data, size));
    FUZZ_CHECK(head <= size);
    if (head == 0 || http_request_parse(&request, span_of(data, head)) < 0)
        return 0;
    (void)handshake_origin_allowed(&request, "");
    (void)handshake_origin_allowed(&request, "https://a.example, http://b.example");
    struct span token = handshake_token(&request);
    FUZZ_CHECK(token.len <= size);
    if (!handshake_parse(&handshake, &refusal, &request))
        FUZZ_CHECK(refusal.status >= 400 && refusal.error.code[0]);
    if (!handshake_parse_events(&handshake, &refusal, &request))
        FUZZ_CHECK(refusal.status == 400 && refusal.error.code[0]);
    return 0;
}
