/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "check/run.h"

/* Holds an agent against what docs/agents.md asks of it, by running it. */
enum check_name {
#define CHECK(symbol, name) CHECK_##symbol,
#include "check/checks.def"
#undef CHECK
    CHECK_COUNT,
};

enum check_verdict {
    CHECK_NOT_APPLICABLE,
    CHECK_OK,
    CHECK_FAILED,
};

struct check_result {
    enum check_verdict verdict;
    char text[1400]; /* what was seen, or why it does not apply; "" when there is nothing to say */
    const char *advice; /* what to do about it; NULL when nothing is. Static */
};

struct check_agent {
    const char *name; /* borrowed */
    struct check_result results[CHECK_COUNT];
};

/* "start", "run", … Static. */
const char *check_title(enum check_name name);
/* Puts one agent of the configuration through all checks. -ENOMEM. */
int check_agent(struct check_agent *ret_agent, struct check_stage *stage,
    const struct config *config, const struct config_agent *agent);
/* How many checks it failed. */
unsigned check_failures(const struct check_agent *agent);
