/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `data` of each event, built in an emptied buffer. Arguments are checked here: RS_E_INVALID
 * for text that is not UTF-8, JSON that is not JSON and codes that are not identifiers;
 * RS_E_NO_MEMORY. Spans of text are raw, spans called _json are JSON.
 */
#pragma once

#include "base/buffer.h"

#include <ringside.h>

bool valid_optional_json(const char *json);
/* Not NULL, and UTF-8. */
bool valid_text(const char *text);

int payload_started(struct buffer *ret_data, const struct rs_run_context *context);
/* {"<name>": text}: a status. */
int payload_text(struct buffer *ret_data, const char *name, const char *text);
/* {"delta": text}, and final and truncated where true. `text` is known to be valid. */
int payload_delta(struct buffer *ret_data, struct span text, bool final, bool truncated);
/* How many bytes of valid text, whole characters, have at most `budget` bytes as a JSON string,
 * its quotes not counted. */
size_t payload_text_fit(struct span text, size_t budget);

int payload_tool_executing(struct buffer *ret_data, struct span name_json, const char *args_json);
int payload_progress(struct buffer *ret_data, const char *progress_json);

struct tool_ending {
    enum rs_tool_status status;
    const char *result_json;
    const char *code;
    const char *message;
    struct span name_json;
    uint64_t duration_ms;
};
int payload_tool_completed(struct buffer *ret_data, const struct tool_ending *ending);

int payload_completed(struct buffer *ret_data, enum rs_outcome outcome, const char *result_json,
    const char *usage_json);
int payload_error(
    struct buffer *ret_data, const char *code, const char *message, bool fatal, bool retryable);

struct interrupt {
    const char *id;
    const char *reason; /* may be NULL */
    const char *payload_json;
    uint64_t expires_at;
};
int payload_interrupt(struct buffer *ret_data, const struct interrupt *interrupt);
