/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X-Forwarded-For and Forwarded. Two lines: what a client wrote, and behind it what the proxy
 * adds. Nothing in the first may ever make the client pass for somebody else.
 */
#include "fuzz.h"

#include "forwarded.h"

static struct address parse(const char *text)
{
    struct address address;
    FUZZ_CHECK(address_parse(&address, span_of_string(text)));
    return address;
}

static bool same(const struct address *a, const struct address *b)
{
    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, a->v6 ? 16 : 4) == 0;
}

static void check(struct http_request *request, enum forwarded_header header)
{
    struct networks trusted;
    struct span wrong;
    const struct address proxy = parse("10.0.0.1");
    const struct address client = parse("198.51.100.7");
    FUZZ_CHECK(networks_parse(&trusted, "10.0.0.0/8", &wrong));
    struct address found = forwarded_client(&trusted, &proxy, request, header);
    FUZZ_CHECK(same(&found, &client));
    found = forwarded_client(&trusted, &client, request, header);
    FUZZ_CHECK(same(&found, &client));
    request->x_forwarded_for.count--;
    request->forwarded.count--;
    (void)forwarded_client(&trusted, &proxy, request, header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request = {0};
    struct span lied = span_of(data, size);
    struct address address;
    struct networks networks;
    char list[256];
    struct span wrong;
    request.x_forwarded_for =
        (struct http_lines){.values = {lied, SPAN_LITERAL("198.51.100.7")}, .count = 2};
    request.forwarded =
        (struct http_lines){.values = {lied, SPAN_LITERAL("for=198.51.100.7")}, .count = 2};
    struct http_request again = request;
    check(&request, FORWARDED_X);
    check(&again, FORWARDED_RFC7239);
    (void)address_parse_with_port(&address, lied);
    size_t len = size < sizeof(list) - 1 ? size : sizeof(list) - 1;
    memcpy(list, data, len);
    list[len] = '\0';
    (void)networks_parse(&networks, list, &wrong);
    return 0;
}
