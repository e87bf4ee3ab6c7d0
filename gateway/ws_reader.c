/* SPDX-License-Identifier: Apache-2.0 */
#include "ws_reader.h"

#include "base/json_scan.h"

#include <string.h>

#define HEAD_SHORT 2
#define MASK_SIZE 4
#define FINAL 0x80
#define RESERVED 0x70
#define OPCODE 0x0f
#define MASKED 0x80
#define LENGTH 0x7f

enum opcode {
    CONTINUATION = 0x0,
    TEXT = 0x1,
    BINARY = 0x2,
    CONTROL = 0x8, /* the bit that all control frames have */
    CLOSE = 0x8,
    PING = 0x9,
    PONG = 0xa,
};

static void fail(struct ws_read *ret_read, struct ws_reader *reader, int code, const char *reason)
{
    reader->failed = true;
    *ret_read = (struct ws_read){.kind = WS_READ_VIOLATION, .code = code, .reason = reason};
}

/* ---- heads: flags and opcode, mask bit and length of 7 bits, 0, 2 or 8 bytes of length, mask */

static const char *wrong_control(const struct ws_reader *reader)
{
    if (!reader->final)
        return "a control frame is not fragmented";
    return (reader->head[1] & LENGTH) > WS_CONTROL_MAX ? "a control frame has up to 125 bytes"
                                                       : NULL;
}

static const char *wrong_data(const struct ws_reader *reader)
{
    if (reader->opcode == CONTINUATION)
        return reader->message ? NULL : "a fragment continues no message";
    return reader->message ? "a message begins within another" : NULL;
}

/* What is wrong with the first two bytes, or NULL. */
static const char *wrong_start(const struct ws_reader *reader)
{
    static const uint16_t known =
        1u << CONTINUATION | 1u << TEXT | 1u << BINARY | 1u << CLOSE | 1u << PING | 1u << PONG;
    if (reader->head[0] & RESERVED)
        return "a reserved bit is set";
    if (!(known >> reader->opcode & 1))
        return "an opcode is reserved";
    if (!(reader->head[1] & MASKED))
        return "a client's frame is masked";
    return reader->opcode & CONTROL ? wrong_control(reader) : wrong_data(reader);
}

static unsigned wide_of(const struct ws_reader *reader)
{
    unsigned length = reader->head[1] & LENGTH;
    return length < 126 ? 0 : length == 126 ? 2 : 8;
}

static uint64_t length_of(const struct ws_reader *reader)
{
    unsigned wide = wide_of(reader);
    uint64_t length = wide ? 0 : reader->head[1] & LENGTH;
    for (unsigned i = 0; i < wide; i++)
        length = length << 8 | reader->head[HEAD_SHORT + i];
    return length;
}

/* Once its first two bytes are there. */
static size_t head_size(const struct ws_reader *reader)
{
    return HEAD_SHORT + wide_of(reader) + MASK_SIZE;
}

static const char *begin_head(struct ws_reader *reader)
{
    reader->final = reader->head[0] & FINAL;
    reader->opcode = reader->head[0] & OPCODE;
    return wrong_start(reader);
}

/* The head is there. */
static const char *begin_payload(struct ws_reader *reader)
{
    uint64_t length = length_of(reader);
    if (length >> 63)
        return "a length has its highest bit set";
    if (reader->opcode == TEXT || reader->opcode == BINARY)
        reader->message = reader->opcode;
    reader->in_payload = true;
    reader->got = 0;
    reader->left = length;
    reader->control_len = 0;
    return NULL;
}

/* Takes of the head what there is. Sets what is wrong with it, if anything. */
static size_t take_head(
    struct ws_reader *reader, const char *bytes, size_t len, const char **ret_wrong)
{
    size_t used = 0;
    while (used < len && !reader->in_payload && !*ret_wrong) {
        reader->head[reader->head_len++] = (unsigned char)bytes[used++];
        if (reader->head_len == HEAD_SHORT)
            *ret_wrong = begin_head(reader);
        else if (reader->head_len > HEAD_SHORT && reader->head_len == head_size(reader))
            *ret_wrong = begin_payload(reader);
    }
    return used;
}

/* ---- text */

/* A character's first byte that is not ASCII: which bytes may follow it. False when none is. */
static bool begin_character(struct ws_reader *reader, unsigned char lead)
{
    if (lead < 0xc2 || lead > 0xf4)
        return false;
    reader->utf8_left = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    reader->utf8_low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    reader->utf8_high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return true;
}

/* Text goes on with this; characters may be cut between the parts. */
static bool text_goes_on(struct ws_reader *reader, struct span part)
{
    for (size_t i = 0; i < part.len; i++) {
        unsigned char byte = (unsigned char)part.data[i];
        if (reader->utf8_left) {
            if (byte < reader->utf8_low || byte > reader->utf8_high)
                return false;
            reader->utf8_left--;
            reader->utf8_low = 0x80;
            reader->utf8_high = 0xbf;
        } else if (byte >= 0x80 && !begin_character(reader, byte)) {
            return false;
        }
    }
    return true;
}

/* ---- payload */

static void unmask(struct ws_reader *reader, char *bytes, size_t len)
{
    const unsigned char *mask = reader->head + head_size(reader) - MASK_SIZE;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(bytes[i] ^ mask[(reader->got + i) % MASK_SIZE]);
    reader->got += len;
    reader->left -= len;
}

static void end_frame(struct ws_reader *reader)
{
    reader->in_payload = false;
    reader->head_len = 0;
}

static void tell_data(struct ws_read *ret_read, struct ws_reader *reader, struct span part)
{
    bool text = reader->message == TEXT;
    bool last = reader->final && !reader->left;
    if (text && (!text_goes_on(reader, part) || (last && reader->utf8_left))) {
        fail(ret_read, reader, 1007, "text is UTF-8");
        return;
    }
    *ret_read = (struct ws_read){
        .kind = WS_READ_DATA, .payload = part, .left = reader->left, .binary = !text, .last = last};
    if (last)
        reader->message = 0;
    if (!reader->left)
        end_frame(reader);
}

/* RFC 6455, section 7.4, and the codes registered since. */
static bool may_be_sent(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void tell_close(struct ws_read *ret_read, struct ws_reader *reader)
{
    const unsigned char *at = (const unsigned char *)reader->control;
    size_t len = reader->control_len;
    int code = len < 2 ? 0 : at[0] << 8 | at[1];
    if (len == 1)
        fail(ret_read, reader, 1002, "a Close frame has a whole code or none");
    else if (len && !may_be_sent(code))
        fail(ret_read, reader, 1002, "a Close frame's code is not to be sent");
    else if (len && !utf8_valid(span_of(reader->control + 2, len - 2)))
        fail(ret_read, reader, 1007, "a Close frame's reason is UTF-8");
    else
        *ret_read = (struct ws_read){.kind = WS_READ_CLOSE, .code = code};
}

static void tell_control(struct ws_read *ret_read, struct ws_reader *reader)
{
    struct span payload = span_of(reader->control, reader->control_len);
    end_frame(reader);
    if (reader->opcode == CLOSE)
        tell_close(ret_read, reader);
    else
        *ret_read = (struct ws_read){
            .kind = reader->opcode == PING ? WS_READ_PING : WS_READ_PONG, .payload = payload};
}

/* Of a frame whose head is there: `len` may be 0 where the payload is. */
static size_t take_payload(
    struct ws_read *ret_read, struct ws_reader *reader, char *bytes, size_t len)
{
    size_t used = len < reader->left ? len : (size_t)reader->left;
    unmask(reader, bytes, used);
    if (!(reader->opcode & CONTROL)) {
        tell_data(ret_read, reader, span_of(bytes, used));
        return used;
    }
    if (used)
        memcpy(reader->control + reader->control_len, bytes, used);
    reader->control_len = (uint8_t)(reader->control_len + used);
    if (!reader->left)
        tell_control(ret_read, reader);
    return used;
}

size_t ws_reader_take(struct ws_read *ret_read, struct ws_reader *reader, char *bytes, size_t len)
{
    const char *wrong = NULL;
    *ret_read = (struct ws_read){.kind = WS_READ_MORE};
    if (reader->failed)
        return len;
    size_t used = take_head(reader, bytes, len, &wrong);
    if (wrong)
        fail(ret_read, reader, 1002, wrong);
    else if (reader->in_payload && (used < len || !reader->left))
        used += take_payload(ret_read, reader, bytes + used, len - used);
    return used;
}

bool ws_reader_is_idle(const struct ws_reader *reader)
{
    return !reader->message && !reader->in_payload && !reader->head_len;
}
