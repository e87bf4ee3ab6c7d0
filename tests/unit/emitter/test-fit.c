/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a text an event has room for, held against JSON as it is really written. */
#include "unit.h"

#include "payload.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <stdlib.h>

#define TEXTS 300
#define PIECES_MAX 60

/* Of one byte as JSON, of two, of six; characters of two, three and four bytes; many plain ones. */
static const char *const pieces[] = {
    "a", "\"", "\n", "\x01", "\x7f", "é", "☃", "😀", "plain text, longer than a block of bytes"};

static size_t written_size(struct span text)
{
    struct buffer out = BUFFER_INIT;
    json_append_string(&out, text);
    size_t size = out.len - 2;
    buffer_deinit(&out);
    return size;
}

static bool ends_a_character(struct span text, size_t at)
{
    return at == text.len || ((unsigned char)text.data[at] & 0xc0) != 0x80;
}

/* All that fits, and not a character less. */
static void assert_fits(struct span text, size_t budget)
{
    size_t fit = payload_text_fit(text, budget);
    assert_true(fit <= text.len && ends_a_character(text, fit));
    assert_true(written_size(span_of(text.data, fit)) <= budget);
    if (fit == text.len)
        return;
    size_t next = fit + 1;
    while (!ends_a_character(text, next))
        next++;
    assert_true(written_size(span_of(text.data, next)) > budget);
}

static void test_as_many_whole_characters_fit_as_are_written_in_the_budget(void **state)
{
    (void)state;
    srandom(7);
    for (int i = 0; i < TEXTS; i++) {
        struct buffer text = BUFFER_INIT;
        for (long count = random() % PIECES_MAX; count > 0; count--)
            buffer_append_string(&text, pieces[(size_t)random() % ARRAY_SIZE(pieces)]);
        for (size_t budget = 0; budget < text.len + 20; budget++)
            assert_fits(buffer_span(&text), budget);
        buffer_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_whole_characters_fit_as_are_written_in_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
