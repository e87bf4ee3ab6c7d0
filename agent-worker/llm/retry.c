/* SPDX-License-Identifier: Apache-2.0 */
#include "llm/retry.h"

static const struct llm_failure_kind kinds[] = {
    [LLM_OK] = {.code = "", .text = ""},
#define FAILURE(name, code, retryable, again, other, text)                                         \
    [LLM_##name] = {code, retryable, again, other, text},
#include "llm/failures.def"
#undef FAILURE
};

const struct llm_failure_kind *llm_failure_kind(enum llm_failure failure)
{
    return &kinds[failure];
}

enum llm_failure llm_failure_of_status(long status, bool no_quota)
{
    switch (status) {
    case 200: return LLM_OK;
    case 401:
    case 403: return LLM_UNAUTHORIZED;
    case 402: return LLM_NO_QUOTA;
    case 408:
    case 409:
    case 425: return LLM_UNAVAILABLE;
    case 429: return no_quota ? LLM_NO_QUOTA : LLM_RATE_LIMITED;
    default: break;
    }
    if (status >= 500)
        return LLM_UNAVAILABLE;
    return status >= 300 ? LLM_REJECTED : LLM_BAD_RESPONSE;
}

/* Doubles `tried` times, without passing the longest wait; then a random half is left out. */
static uint64_t backoff(const struct llm_retry_policy *policy, uint64_t tried, uint64_t chance)
{
    uint64_t wait = policy->wait_ms;
    for (uint64_t i = 0; i < tried && wait < policy->max_wait_ms; i++)
        wait *= 2;
    if (wait > policy->max_wait_ms)
        wait = policy->max_wait_ms;
    return wait - chance % (wait / 2 + 1);
}

bool llm_retry_decide(struct llm_attempts *attempts, const struct llm_retry_policy *policy,
    const struct llm_setback *setback, uint64_t *ret_wait_ms)
{
    const struct llm_failure_kind *kind = llm_failure_kind(setback->failure);
    if (setback->shown)
        return false;
    if (kind->again && attempts->tried < policy->retries &&
        setback->retry_after_ms <= policy->max_wait_ms) {
        uint64_t wait = backoff(policy, attempts->tried, setback->chance);
        *ret_wait_ms = setback->retry_after_ms > wait ? setback->retry_after_ms : wait;
        attempts->tried++;
        return true;
    }
    if (!kind->other || attempts->provider + 1 >= policy->providers)
        return false;
    attempts->provider++;
    attempts->tried = 0;
    *ret_wait_ms = 0;
    return true;
}
