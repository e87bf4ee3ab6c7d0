/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a model's answer: whichever pieces they come in, the same events are found, and what
 * is made of them is text, and JSON when it is written again.
 */
#include "fuzz.h"

#include "base/json_scan.h"
#include "llm/request.h"
#include "llm/stream.h"

/* Takes the events out, and takes each in as a piece of an answer. `digest` has what was found. */
static enum llm_stream_step take(
    struct llm_stream *stream, struct llm_turn *turn, struct buffer *digest)
{
    struct span data;
    enum llm_stream_step step;
    while ((step = llm_stream_next(stream, &data)) == LLM_STREAM_DATA) {
        struct llm_chunk chunk;
        const char *reason = NULL;
        buffer_append_span(digest, data);
        buffer_append_char(digest, '\n');
        int rc = llm_chunk_parse(&chunk, data, &reason);
        if (!rc && !chunk.error.len)
            rc = llm_turn_add(turn, &chunk, &reason);
        FUZZ_CHECK(!rc || reason);
        FUZZ_CHECK(
            utf8_valid(buffer_span(&turn->news)) && utf8_valid(buffer_span(&turn->thoughts)));
    }
    return step;
}

static void check_written(const struct llm_turn *turn)
{
    struct buffer messages = BUFFER_INIT;
    llm_request_add_answer(&messages, turn);
    FUZZ_CHECK(json_scan_valid_object(buffer_span(&messages)));
    buffer_deinit(&messages);
}

/* `piece` bytes at a time. */
static enum llm_stream_step read_all(struct span bytes, size_t piece, struct buffer *digest)
{
    struct llm_stream stream = LLM_STREAM_INIT;
    struct llm_turn turn = {0};
    enum llm_stream_step step = LLM_STREAM_MORE;
    for (size_t at = 0; at < bytes.len && step == LLM_STREAM_MORE; at += piece) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        llm_stream_feed(&stream, span_of(bytes.data + at, len));
        step = take(&stream, &turn, digest);
    }
    if (step == LLM_STREAM_MORE) {
        llm_stream_close(&stream);
        step = take(&stream, &turn, digest);
    }
    check_written(&turn);
    llm_turn_deinit(&turn);
    llm_stream_deinit(&stream);
    return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of(data, size);
    struct buffer whole = BUFFER_INIT, pieces = BUFFER_INIT;
    struct llm_server_error error;
    enum llm_stream_step step = read_all(bytes, size + 1, &whole);
    FUZZ_CHECK(read_all(bytes, size ? 1 + data[0] % 7 : 1, &pieces) == step);
    FUZZ_CHECK(span_equal(buffer_span(&whole), buffer_span(&pieces)));
    llm_server_error_of_body(&error, bytes);
    FUZZ_CHECK(utf8_valid(buffer_span(&error.message)));
    buffer_deinit(&error.message);
    buffer_deinit(&whole);
    buffer_deinit(&pieces);
    return 0;
}
