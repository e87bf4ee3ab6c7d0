/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sends as WebSocket frames says the same however it is cut. */
#include "fuzz.h"

#include "ws_reader.h"

#include "base/buffer.h"
#include "base/json_scan.h"

struct said {
    struct ws_reader reader;
    struct buffer told;    /* what was read, data as one run */
    struct buffer message; /* the one under way */
};

static void check(const struct ws_read *read)
{
    FUZZ_CHECK(!read->last || !read->left);
    FUZZ_CHECK(read->kind != WS_READ_VIOLATION ||
               ((read->code == 1002 || read->code == 1007) && read->reason));
    FUZZ_CHECK(read->kind == WS_READ_DATA || read->payload.len <= WS_CONTROL_MAX);
}

static void tell_data(struct said *said, const struct ws_read *read)
{
    buffer_append_span(&said->message, read->payload);
    if (!read->last)
        return;
    FUZZ_CHECK(read->binary || utf8_valid(buffer_span(&said->message)));
    buffer_append_span(&said->told, buffer_span(&said->message));
    buffer_append_char(&said->told, read->binary ? 'b' : 't');
    buffer_clear(&said->message);
}

static void tell(struct said *said, const struct ws_read *read)
{
    check(read);
    if (read->kind == WS_READ_DATA)
        tell_data(said, read);
    if (read->kind <= WS_READ_DATA)
        return;
    buffer_printf(&said->told, "<%d %d ", (int)read->kind, read->code);
    buffer_append_span(&said->told, read->payload);
}

static void take_in(struct said *said, const uint8_t *data, size_t size, size_t step)
{
    struct buffer bytes = BUFFER_INIT;
    buffer_append(&bytes, data, size);
    for (size_t at = 0; at < size;) {
        struct ws_read read;
        size_t len = size - at < step ? size - at : step;
        size_t used = ws_reader_take(&read, &said->reader, bytes.data + at, len);
        FUZZ_CHECK(used && used <= len);
        tell(said, &read);
        at += used;
    }
    buffer_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct said whole = {0}, cut = {0};
    take_in(&whole, data, size, size);
    take_in(&cut, data, size, size ? 1 + data[0] % 7 : 1);
    FUZZ_CHECK(span_equal(buffer_span(&whole.told), buffer_span(&cut.told)));
    FUZZ_CHECK(ws_reader_is_idle(&whole.reader) == ws_reader_is_idle(&cut.reader));
    buffer_deinit(&whole.told);
    buffer_deinit(&whole.message);
    buffer_deinit(&cut.told);
    buffer_deinit(&cut.message);
    return 0;
}
