/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/stream.h"

#define DONE "[DONE]"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

void llm_stream_deinit(struct llm_stream *stream)
{
    buffer_deinit(&stream->bytes);
    buffer_deinit(&stream->line);
    buffer_deinit(&stream->data);
    *stream = LLM_STREAM_INIT;
}

void llm_stream_reset(struct llm_stream *stream)
{
    struct buffer bytes = stream->bytes, line = stream->line, data = stream->data;
    *stream = (struct llm_stream){.bytes = bytes, .line = line, .data = data};
    buffer_clear(&stream->bytes);
    buffer_clear(&stream->line);
    buffer_clear(&stream->data);
}

void llm_stream_feed(struct llm_stream *stream, struct span bytes)
{
    if (stream->at == stream->bytes.len) {
        stream->bytes.len = 0;
        stream->at = 0;
    }
    buffer_append_span(&stream->bytes, bytes);
}

void llm_stream_close(struct llm_stream *stream)
{
    llm_stream_feed(stream, SPAN_LITERAL("\n\n"));
}

/* ---- lines */

/* Moves bytes to `line` until one ends; false when none does. A line ends with LF, CR or CRLF. */
static bool take_line(struct llm_stream *stream)
{
    const char *from = stream->bytes.data + stream->at;
    const char *end = stream->bytes.data + stream->bytes.len;
    if (from < end && stream->after_cr && *from == '\n')
        from++;
    if (from < end)
        stream->after_cr = false;
    const char *at = from;
    while (at < end && *at != '\n' && *at != '\r')
        at++;
    buffer_append(&stream->line, from, (size_t)(at - from));
    bool ended = at < end;
    stream->after_cr |= ended && *at == '\r';
    stream->at = (size_t)(at + ended - stream->bytes.data);
    return ended;
}

static struct span without(struct span text, const char *beginning)
{
    size_t len = strlen(beginning);
    if (text.data && text.len >= len && memcmp(text.data, beginning, len) == 0)
        return span_of(text.data + len, text.len - len);
    return text;
}

/* What a line `data: …` has behind its name. */
static void take_field(struct llm_stream *stream, struct span line)
{
    struct span value = without(line, "data");
    if (value.len == line.len || (value.len && value.data[0] != ':'))
        return;
    if (stream->has_data)
        buffer_append_char(&stream->data, '\n');
    buffer_append_span(&stream->data, without(without(value, ":"), " "));
    stream->has_data = true;
}

/* Whether the line, which has ended, ends an event that has data. */
static bool end_line(struct llm_stream *stream)
{
    struct span line = buffer_span(&stream->line);
    if (!stream->any_line && line.len)
        line = without(line, BYTE_ORDER_MARK);
    stream->any_line = true;
    bool ends = line.len == 0 && stream->has_data;
    if (line.len)
        take_field(stream, line);
    stream->line.len = 0;
    return ends;
}

/* ---- events */

static bool is_too_large(const struct llm_stream *stream)
{
    return stream->line.len > LLM_EVENT_MAX || stream->data.len > LLM_EVENT_MAX;
}

static bool is_out_of_memory(const struct llm_stream *stream)
{
    return buffer_error(&stream->bytes) || buffer_error(&stream->line) ||
           buffer_error(&stream->data);
}

enum llm_stream_step llm_stream_next(struct llm_stream *stream, struct span *ret_data)
{
    if (stream->given) {
        stream->data.len = 0;
        stream->given = stream->has_data = false;
    }
    while (!stream->done && stream->at < stream->bytes.len) {
        bool ended = take_line(stream);
        bool whole = ended && end_line(stream);
        if (is_out_of_memory(stream))
            return LLM_STREAM_NO_MEMORY;
        if (is_too_large(stream))
            return LLM_STREAM_TOO_LARGE;
        if (!whole)
            continue;
        stream->given = true;
        if (!span_is(buffer_span(&stream->data), DONE)) {
            *ret_data = buffer_span(&stream->data);
            return LLM_STREAM_DATA;
        }
        stream->done = true;
    }
    return is_out_of_memory(stream) ? LLM_STREAM_NO_MEMORY
           : stream->done           ? LLM_STREAM_DONE
                                    : LLM_STREAM_MORE;
}
