/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "growth-model.h"
#include "model-test.h"

/* Rings of one claim, but for the last. */
static const struct grow_bounds two_writers = {
    .writers = 2,
    .emits = {2, 1},
    .room = {1, 1, 2},
    .writer_deaths = 1,
    .reader_deaths = 1,
    .punches = 1,
};
/* The ring in the middle takes no claim, as for a record that only the last has room for. */
static const struct grow_bounds empty_middle = {
    .writers = 2,
    .emits = {1, 1},
    .room = {1, 0, 2},
    .writer_deaths = 1,
    .reader_deaths = 1,
    .punches = 1,
};
static const struct grow_bounds three_writers = {
    .writers = 3,
    .emits = {1, 1, 1},
    .room = {1, 1, 2},
    .writer_deaths = 1,
    .reader_deaths = 0,
    .punches = 1,
};

static void test_sound(void **state)
{
    const struct grow_check *check = *state;
    struct model model = grow_model(check);

    model_assert_sound(&model, check->name);
}

static void test_caught(void **state)
{
    const struct grow_check *check = *state;
    struct model model = grow_model(check);

    model_assert_caught(&model, check->name, check->fault);
}

static const struct grow_check sound[] = {
    {"growth, two writers, one and the reader die", &two_writers, GROW_SOUND, NULL},
    {"growth, an empty ring in the middle", &empty_middle, GROW_SOUND, NULL},
    {"growth, three writers, one dies", &three_writers, GROW_SOUND, NULL},
};

static const struct grow_check broken[] = {
    {"closed without help", &two_writers, GROW_WITHOUT_HELP, "quarantined: a claim without"},
    {"a finished ring does not mark the next", &empty_middle, GROW_SILENT_END, ""},
    {"a finished ring marks the next once", &empty_middle, GROW_MARKED_ONCE, ""},
    {"rings drained out of turn", &two_writers, GROW_OUT_OF_TURN, "delivered before"},
    {"memory given back without a look at the slots", &two_writers, GROW_PUNCHED_UNSEEN,
        "memory is looked at"},
    {"a new reader looks into a finished ring", &two_writers, GROW_READ_AFTER_END,
        "memory is looked at"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

int main(void)
{
    struct CMUnitTest tests[COUNT(sound) + COUNT(broken)];

    for (size_t i = 0; i < COUNT(tests); i++) {
        bool whole = i < COUNT(sound);
        const struct grow_check *check = whole ? &sound[i] : &broken[i - COUNT(sound)];

        tests[i] = (struct CMUnitTest){.name = check->name,
            .test_func = whole ? test_sound : test_caught,
            .initial_state = (void *)(uintptr_t)check};
    }
    return cmocka_run_group_tests_name("growth-model", tests, NULL, NULL);
}
