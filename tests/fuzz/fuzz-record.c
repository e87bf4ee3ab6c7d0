/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record from anywhere: whatever its lines say, each is looked at once, and every violation has
 * its line and its words. In one piece or in two, the verdict is the same.
 */
#include "fuzz.h"

#include "record_check.h"

static void read_in_pieces(struct record_check *check, const char *data, size_t size, size_t first)
{
    const struct record_options options = {.complete = size & 1, .filtered = size & 2, .limit = 8};
    record_check_init(check, &options);
    FUZZ_CHECK(record_check_feed(check, span_of(data, first)) == 0);
    FUZZ_CHECK(record_check_feed(check, span_of(data + first, size - first)) == 0);
    FUZZ_CHECK(record_check_end(check) == 0);
    for (size_t i = 0; i < check->report.count; i++)
        FUZZ_CHECK(
            check->report.findings[i].text && check->report.findings[i].line <= check->lines);
    FUZZ_CHECK(check->report.count <= check->report.found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_check whole, halves;
    read_in_pieces(&whole, (const char *)data, size, 0);
    read_in_pieces(&halves, (const char *)data, size, size / 2);
    FUZZ_CHECK(whole.lines == halves.lines && whole.report.found == halves.report.found);
    record_check_deinit(&whole);
    record_check_deinit(&halves);
    return 0;
}
