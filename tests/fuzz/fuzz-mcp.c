/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of an MCP server, taken for every kind of message there is: what is made of it for the
 * agent and the user is JSON again, and tools that are kept have names and schemas that will do.
 */
#include "fuzz.h"

#include "mcp/tools.h"

#include "base/json_scan.h"

static void check_result(const struct rpc_message *message)
{
    struct buffer value = BUFFER_INIT;
    bool ok = mcp_parse_result(message, &value);
    FUZZ_CHECK(ok ? json_scan_valid(buffer_span(&value)) : value.len > 0);
    FUZZ_CHECK(utf8_valid(buffer_span(&value)));
    buffer_deinit(&value);
}

static void check_page(struct span result)
{
    struct mcp_page page;
    struct mcp_tools tools = {0};
    struct buffer offer = BUFFER_INIT;
    if (!mcp_parse_page(&page, result))
        return;
    FUZZ_CHECK(mcp_tools_add(&tools, &page, "fuzz") == 0);
    buffer_append_char(&offer, '[');
    mcp_tools_append_offer(&tools, "fuzz", &offer, true);
    buffer_append_char(&offer, ']');
    FUZZ_CHECK(json_scan_valid(buffer_span(&offer)));
    FUZZ_CHECK(!memchr(offer.data, '\n', offer.len));
    for (size_t i = 0; i < tools.count; i++)
        FUZZ_CHECK(mcp_name_valid(span_of_string(tools.items[i].name)));
    mcp_tools_deinit(&tools);
    buffer_deinit(&offer);
}

static void check_progress(struct span params)
{
    struct mcp_progress progress;
    struct buffer note = BUFFER_INIT;
    if (!mcp_parse_progress(&progress, params))
        return;
    mcp_append_progress(&note, &progress);
    FUZZ_CHECK(json_scan_valid_object(buffer_span(&note)));
    buffer_deinit(&note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_message message;
    const char *reason;
    if (rpc_parse(&message, span_of(data, size), &reason) < 0)
        return 0;
    if (message.kind == RPC_RESULT || message.kind == RPC_ERROR)
        check_result(&message);
    if (message.kind == RPC_RESULT) {
        (void)mcp_accepts(message.result, &reason);
        check_page(message.result);
    }
    check_progress(message.params);
    return 0;
}
