/* SPDX-License-Identifier: Apache-2.0 */
#include "workload.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>

#define OTHERS 5

static const struct history_position ring = {.arena_id = 5, .ring = 3, .generation = 2};

static unsigned others_events(uint64_t n)
{
    return (unsigned)(n % 17) + 1;
}

static void name(char text[32], const char *prefix, uint64_t n)
{
    snprintf(text, 32, "%s%llu", prefix, (unsigned long long)n);
}

uint64_t workload_commit(struct fixture *fixture)
{
    uint64_t n = history_head(fixture_stream(fixture, "all")) + 1;
    char other[32];
    char message[32];
    char record[32];
    name(other, "user-", n % OTHERS);
    name(message, "m-", n);
    name(record, "", n);
    struct history_position position = ring;
    position.position = n;
    stage_events(fixture, other, others_events(n));
    assert_return_code(history_stage_position(fixture->history, &position), 0);
    assert_return_code(history_stage_message(fixture->history, SPAN_LITERAL("all"),
                           span_of_string(message), span_of_string(record)),
        0);
    assert_return_code(
        history_stage_run(fixture->history, SPAN_LITERAL("run"), true, span_of_string(record)), 0);
    commit_events(fixture, "all", 1);
    history_pin(fixture->history, fixture_stream(fixture, "all"), 1);
    assert_return_code(history_trim(fixture->history, clock_wall_ms()), 0);
    assert_return_code(history_merge(fixture->history), 0);
    return n;
}

static void check_streams(struct fixture *fixture, uint64_t count)
{
    uint64_t heads[OTHERS] = {0};
    for (uint64_t n = 1; n <= count; n++)
        heads[n % OTHERS] += others_events(n);
    for (uint64_t i = 0; i < OTHERS; i++) {
        char other[32];
        name(other, "user-", i);
        uint64_t oldest = history_oldest(fixture_stream(fixture, other));
        assert_range(fixture, other, oldest, heads[i]);
    }
    assert_range(fixture, "all", 1, count);
}

static void check_records(struct fixture *fixture, uint64_t count)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    char message[32];
    char record[32];
    name(message, "m-", count);
    name(record, "", count);
    assert_return_code(
        history_find_message(fixture->history, SPAN_LITERAL("all"), span_of_string(message), &out),
        0);
    assert_true(span_is(buffer_span(&out), record));
    buffer_clear(&out);
    assert_return_code(history_find_run(fixture->history, SPAN_LITERAL("run"), &out), 0);
    assert_true(span_is(buffer_span(&out), record));
    struct history_position position = ring;
    assert_return_code(history_find_position(fixture->history, &position), 0);
    assert_int_equal(position.position, count);
}

void workload_check(struct fixture *fixture, uint64_t count)
{
    check_streams(fixture, count);
    if (count)
        check_records(fixture, count);
}
