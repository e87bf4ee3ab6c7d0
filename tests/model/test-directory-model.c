/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "directory-model.h"
#include "model-test.h"

/* Users 1 and 3 share a chain. */
static const struct book_bounds one_user = {
    .writers = 3,
    .writer_deaths = 1,
    .users = {{1}, {1}, {1}},
};
static const struct book_bounds given_up = {
    .writers = 2,
    .writer_deaths = 1,
    .reader_deaths = 1,
    .reclaims = 2,
    .users = {{1, 3}, {1}},
};
static const struct book_bounds two_chains = {
    .writers = 2,
    .writer_deaths = 1,
    .reclaims = 3,
    .users = {{1, 2}, {3, 1}},
};

static void test_sound(void **state)
{
    const struct book_check *check = *state;
    struct model model = book_model(check);

    model_assert_sound(&model, check->name);
}

static void test_caught(void **state)
{
    const struct book_check *check = *state;
    struct model model = book_model(check);

    model_assert_caught(&model, check->name, check->fault);
}

static const struct book_check sound[] = {
    {"directory, three writers for one user, one dies", &one_user, BOOK_SOUND, NULL},
    {"directory, entries retired, writer and reader die", &given_up, BOOK_SOUND, NULL},
    {"directory, entries move between chains", &two_chains, BOOK_SOUND, NULL},
};

static const struct book_check broken[] = {
    {"a look that trusts a changed head", &two_chains, BOOK_HEAD_TRUSTED, ""},
    {"a version that unlinking does not raise", &two_chains, BOOK_VERSION_KEPT, ""},
    {"a user not looked for again", &one_user, BOOK_LINKED_BLINDLY, "a user has two entries"},
    {"entries of the dead freed unseen", &one_user, BOOK_FREED_UNSEEN, ""},
    {"slots not waited for", &given_up, BOOK_SLOTS_NOT_AWAITED, ""},
    {"entries of the dead left alone", &one_user, BOOK_NEVER_RESOLVED, ""},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

int main(void)
{
    struct CMUnitTest tests[COUNT(sound) + COUNT(broken)];

    for (size_t i = 0; i < COUNT(tests); i++) {
        bool whole = i < COUNT(sound);
        const struct book_check *check = whole ? &sound[i] : &broken[i - COUNT(sound)];

        tests[i] = (struct CMUnitTest){.name = check->name,
            .test_func = whole ? test_sound : test_caught,
            .initial_state = (void *)(uintptr_t)check};
    }
    return cmocka_run_group_tests_name("directory-model", tests, NULL, NULL);
}
