/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the view from outside share. */
#pragma once

#include "ring-test.h"

#include <stdio.h>
#include <stdlib.h>

#include "ring/inspect.h"

static inline struct inspect *look(const char *path)
{
    char reason[INSPECT_REASON_SIZE] = "";
    struct inspect *view = NULL;

    if (inspect_open(&view, path, reason) < 0)
        fail_msg("%s", reason);
    return view;
}

struct claims {
    struct inspect_claim last;
    uint32_t count;
};

static inline void note_claim(void *userdata, const struct inspect_claim *claim)
{
    struct claims *claims = userdata;

    claims->last = *claim;
    claims->count++;
}

static inline struct inspect_ring look_at(
    const struct inspect *view, uint32_t ring, struct claims *ret_claims)
{
    struct inspect_ring seen;
    struct claims claims = {.count = 0};

    assert_int_equal(inspect_ring(&seen, view, ring, note_claim, &claims), 1);
    assert_int_equal(claims.count, seen.in_flight);
    if (ret_claims)
        *ret_claims = claims;
    return seen;
}

/* Copies a file of the arena to another folder. */
static inline void copy_file(const struct fixture *f, const char *name, const char *to)
{
    char command[256];

    snprintf(command, sizeof command, "cp --sparse=always '%s/%s' '%s'", f->directory, name, to);
    assert_int_equal(system(command), 0);
}
