/* SPDX-License-Identifier: Apache-2.0 */
#include "event-text.h"

#include "shared-count.h"

#include <assert.h>
#include <stdio.h>

#define STAMP_DIGITS 19
#define NUMBER_DIGITS 10

static const char head[] =
    "{\"type\":\"partial_result\",\"thread_id\":\"t-1\",\"run_id\":\"r-100\","
    "\"agent\":\"bench\",\"message_id\":\"m-1\",\"data\":";
/* What a frame of Ringside has beside `data`: the same, and "seq", "prev" and "timestamp". */
#define FRAME_BYTES 156
static const char prose[] =
    "The reader may be killed at any instruction; the next one goes on exactly "
    "where it stood, and nobody is the wiser for it. ";

/* `delta` takes what is left of `size`. */
static void append_data(struct event_text *text, size_t size)
{
    static const char begin[] = "{\"delta\":\"", stamp[] = "\",\"t\":", number[] = ",\"n\":";
    size_t fixed = sizeof(begin) - 1 + sizeof(stamp) - 1 + STAMP_DIGITS + sizeof(number) - 1 +
                   NUMBER_DIGITS + 1;
    int delta = (int)(size - fixed);
    assert(delta > 0 && (size_t)delta < sizeof(prose));
    text->len += (size_t)snprintf(text->bytes + text->len, sizeof(text->bytes) - text->len,
        "%s%.*s%s", begin, delta, prose, stamp);
    text->stamp = text->len;
    text->number = text->stamp + STAMP_DIGITS + sizeof(number) - 1;
    text->len += (size_t)snprintf(text->bytes + text->len, sizeof(text->bytes) - text->len,
        "%lld%s%u}", (long long)STAMP_BASE, number, NUMBER_BASE);
}

void event_text_init(struct event_text *ret_text)
{
    *ret_text = (struct event_text){0};
    ret_text->len = (size_t)snprintf(ret_text->bytes, sizeof(ret_text->bytes), "%s", head);
    append_data(ret_text, EVENT_BYTES - 1 - ret_text->len);
    ret_text->bytes[ret_text->len++] = '}';
}

void event_text_init_data(struct event_text *ret_text)
{
    *ret_text = (struct event_text){0};
    append_data(ret_text, EVENT_BYTES - FRAME_BYTES);
}

static void put_digits(char *at, unsigned count, uint64_t number)
{
    while (count > 0) {
        at[--count] = (char)('0' + number % 10);
        number /= 10;
    }
}

struct span event_text_fill(struct event_text *text, uint64_t number)
{
    put_digits(text->bytes + text->number, NUMBER_DIGITS, number);
    put_digits(text->bytes + text->stamp, STAMP_DIGITS, (uint64_t)stamp_now());
    return span_of(text->bytes, text->len);
}
