/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What can go wrong with a request to a model, and what is done about it. Pure. */
enum llm_failure {
    LLM_OK,
#define FAILURE(name, code, retryable, again, other, text) LLM_##name,
#include "llm/failures.def"
#undef FAILURE
    LLM_FAILURE_COUNT,
};

struct llm_failure_kind {
    const char *code;
    bool retryable; /* the run's end says so */
    bool again;     /* asking the same provider may help */
    bool other;     /* asking another one may help */
    const char *text;
};

const struct llm_failure_kind *llm_failure_kind(enum llm_failure failure);
/* The failure that an HTTP status other than 200 is; LLM_OK for 200. `no_quota`: the body says so.
 */
enum llm_failure llm_failure_of_status(long status, bool no_quota);

struct llm_retry_policy {
    uint64_t retries; /* with one provider, in one step */
    uint64_t wait_ms; /* before the first; doubled before each further one */
    uint64_t max_wait_ms;
    size_t providers;
};

/* Where a step stands. Before each step only `tried` is set back: the provider stays. */
struct llm_attempts {
    size_t provider;
    uint64_t tried; /* requests that this provider did not answer */
};

struct llm_setback {
    enum llm_failure failure;
    bool shown;              /* something of the answer was */
    uint64_t retry_after_ms; /* 0: the server did not say */
    uint64_t chance;         /* any number, a new one each time */
};

/*
 * True: ask `attempts->provider` (which this call moves on) after *ret_wait_ms. False: the step has
 * failed.
 */
bool llm_retry_decide(struct llm_attempts *attempts, const struct llm_retry_policy *policy,
    const struct llm_setback *setback, uint64_t *ret_wait_ms);
