/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "doorbell-model.h"
#include "model-test.h"

static const struct bell_bounds two_writers = {
    .writers = 2,
    .writer_deaths = 1,
    .reader_deaths = 1,
    .rings = {{1, 2}, {1, 3}},
};
static const struct bell_bounds three_writers = {
    .writers = 3,
    .writer_deaths = 2,
    .reader_deaths = 0,
    .rings = {{1}, {2}, {3}},
};

static void test_sound(void **state)
{
    const struct bell_check *check = *state;
    struct model model = bell_model(check);

    model_assert_sound(&model, check->name);
}

static void test_caught(void **state)
{
    const struct bell_check *check = *state;
    struct model model = bell_model(check);

    model_assert_caught(&model, check->name, "a lost wake-up");
}

static const struct bell_check sound[] = {
    {"doorbell, two writers, one and the reader die", &two_writers, BELL_SOUND},
    {"doorbell, three writers, two die", &three_writers, BELL_SOUND},
};

static const struct bell_check broken[] = {
    {"no second look after sleeping is set", &two_writers, BELL_NO_SECOND_LOOK},
    {"word's bit set before the ring's", &two_writers, BELL_WORD_BEFORE_RING},
    {"rings taken before their words", &two_writers, BELL_RINGS_TAKEN_FIRST},
    {"sleeping looked at before the bits are set", &two_writers, BELL_SLEEPING_FIRST},
    {"what the budget left not marked again", &two_writers, BELL_NOT_MARKED_AGAIN},
    {"reaper that does not ring for the dead", &two_writers, BELL_SILENT_DEATH},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

int main(void)
{
    struct CMUnitTest tests[COUNT(sound) + COUNT(broken)];

    for (size_t i = 0; i < COUNT(tests); i++) {
        bool whole = i < COUNT(sound);
        const struct bell_check *check = whole ? &sound[i] : &broken[i - COUNT(sound)];

        tests[i] = (struct CMUnitTest){.name = check->name,
            .test_func = whole ? test_sound : test_caught,
            .initial_state = (void *)(uintptr_t)check};
    }
    return cmocka_run_group_tests_name("doorbell-model", tests, NULL, NULL);
}
