/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a page of a user's events: what is told of them is JSON, or the page is refused. */
#include "fuzz.h"

#include "base/json_scan.h"
#include "event/codec.h"
#include "protocol/thread_history.h"

/* Data that is no object does not come this far: whoever emits and whoever takes in have looked. */
static bool is_sound(struct span events)
{
    struct event event;
    size_t at = 0;
    int rc;
    while ((rc = event_decode_next(&event, events, &at)) == 1) {
        if (!json_scan_valid_object(event.data))
            return false;
    }
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct thread_history history;
    struct buffer out = BUFFER_INIT;
    const struct thread_page page = {
        .asked = true, .end = 8, .last = 8, .events = span_of(data, size)};
    thread_history_init(&history, "t", "m", 1 + size % 3);
    FUZZ_CHECK(thread_history_take(&history, &(struct thread_page){.oldest = 1, .end = 8}) == 0);
    if (thread_history_take(&history, &page) == 0 && is_sound(page.events)) {
        FUZZ_CHECK(history.done);
        thread_history_append(&out, &history);
        FUZZ_CHECK(json_scan_valid(buffer_span(&out)));
    }
    buffer_deinit(&out);
    thread_history_deinit(&history);
    return 0;
}
