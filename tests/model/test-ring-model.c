/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model-test.h"
#include "ring-model.h"

/* Two units before the end of a lap of four, a record of two: padding, the wrap, and a full ring.
 */
static const struct ring_bounds two_writers = {
    .writers = 2,
    .start = 3,
    .writer_deaths = 2,
    .reader_deaths = 1,
    .lengths = {{1, 2}, {2}},
    .users = {1, 1},
};
static const struct ring_bounds two_laps = {
    .writers = 2,
    .start = 3,
    .writer_deaths = 1,
    .reader_deaths = 0,
    .lengths = {{1, 2}, {2, 1}},
    .users = {1, 1},
};
static const struct ring_bounds batches = {
    .writers = 2,
    .start = 3,
    .writer_deaths = 1,
    .reader_deaths = 0,
    .lengths = {{1, 2}, {2, 2}},
    .batch = true,
    .users = {1, 1},
};
static const struct ring_bounds three_writers = {
    .writers = 3,
    .start = 3,
    .writer_deaths = 1,
    .reader_deaths = 0,
    .lengths = {{1}, {2}, {2}},
    .users = {1, 1, 1},
};
static const struct ring_bounds two_users = {
    .writers = 2,
    .start = 0,
    .writer_deaths = 1,
    .reader_deaths = 1,
    .reclaims = 2,
    .lengths = {{1, 1}, {1, 2}},
    .users = {1, 2},
};
static const struct ring_bounds two_users_batches = {
    .writers = 2,
    .start = 0,
    .writer_deaths = 1,
    .reader_deaths = 1,
    .reclaims = 1,
    .batch = true,
    .lengths = {{1, 1}, {1, 2}},
    .users = {1, 2},
};

static void test_sound(void **state)
{
    const struct ring_check *check = *state;
    struct model model = ring_model(check);

    model_assert_sound(&model, check->name);
}

static void test_caught(void **state)
{
    const struct ring_check *check = *state;
    struct model model = ring_model(check);

    model_assert_caught(&model, check->name, check->fault);
}

static const struct ring_check sound[] = {
    {"ring, two writers die, reader dies, wrap and padding", &two_writers, VARIANT_NONE, NULL},
    {"ring, two laps, full", &two_laps, VARIANT_NONE, NULL},
    {"ring, batches", &batches, VARIANT_NONE, NULL},
    {"ring, three writers", &three_writers, VARIANT_NONE, NULL},
    {"ring, reclaimed twice between two users", &two_users, VARIANT_NONE, NULL},
    {"ring, batches, reclaimed between two users", &two_users_batches, VARIANT_NONE, NULL},
};

static const struct ring_check broken[] = {
    {"generation checked before the tail", &two_users, VARIANT_GENERATION_FIRST,
        "delivered to another user"},
    {"freed stored before stamping", &two_writers, VARIANT_FREED_BEFORE_STAMPS, ""},
    {"help without lap", &two_laps, VARIANT_HELP_WITHOUT_LAP, ""},
    {"help step dropped", &two_writers, VARIANT_NO_HELP, "quarantined: a claim without a header"},
    {"current_ring not waited for at reclaim", &two_users, VARIANT_NO_HAZARD_WAIT, ""},
    {"space taken back on a time-out", &two_laps, VARIANT_TAKEN_ON_TIMEOUT,
        "delivered what nobody has committed"},
    {"padding that does not ring the bell", &two_laps, VARIANT_SILENT_PADDING, "stuck"},
    {"reaper that does not ring the bell", &two_laps, VARIANT_SILENT_REAPER, "stuck"},
    {"owner id freed before its claims are resolved", &two_writers, VARIANT_OWNER_FREED_FIRST,
        "a living writer's claim was taken from it"},
    {"full by a tail that is long gone", &two_laps, VARIANT_STALE_TAIL_IS_FULL, "told full"},
    {"batch that waits for room without a bell", &batches, VARIANT_UNPAID_WAIT, "stuck"},
    {"tail closed by a store", &two_users, VARIANT_CLOSE_BY_STORE, "lost"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

int main(void)
{
    struct CMUnitTest tests[COUNT(sound) + COUNT(broken)];

    for (size_t i = 0; i < COUNT(tests); i++) {
        bool whole = i < COUNT(sound);
        const struct ring_check *check = whole ? &sound[i] : &broken[i - COUNT(sound)];

        tests[i] = (struct CMUnitTest){.name = check->name,
            .test_func = whole ? test_sound : test_caught,
            .initial_state = (void *)(uintptr_t)check};
    }
    return cmocka_run_group_tests_name("ring-model", tests, NULL, NULL);
}
