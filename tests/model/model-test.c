/* SPDX-License-Identifier: Apache-2.0 */
#include "model-test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void model_assert_sound(const struct model *model, const char *name)
{
    struct verdict verdict = {0};
    int r = checker_run(&verdict, model, MODEL_STATES_MAX, stderr);

    assert_return_code(r, 0);
    if (verdict.fault)
        fail_msg("%s: %s", name, verdict.fault);
    assert_true(verdict.ends > 0);
    fprintf(stderr, "%s: %zu states, %zu steps, %zu ends, %zu steps deep, %.1f s\n", name,
        verdict.states, verdict.steps, verdict.ends, verdict.depth, verdict.seconds);
}

void model_assert_caught(const struct model *model, const char *name, const char *fault)
{
    struct verdict verdict = {0};
    int r = checker_run(&verdict, model, MODEL_STATES_MAX, NULL);

    assert_return_code(r, 0);
    if (!verdict.fault)
        fail_msg("%s: not caught in %zu states", name, verdict.states);
    if (strncmp(verdict.fault, fault, strlen(fault)) != 0)
        fail_msg("%s: caught for another reason: %s", name, verdict.fault);
    fprintf(stderr, "%s: %s, after %zu steps (%zu states, %.1f s)\n", name, verdict.fault,
        verdict.depth + 1, verdict.states, verdict.seconds);
}
