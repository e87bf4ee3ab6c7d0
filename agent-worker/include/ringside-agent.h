/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent as a shared object, for `kind: native`. It is loaded by a child process of the worker,
 * one process a run, so that a crash is its own run's alone. The object exports `ra_agent_v1`;
 * the functions below are the process's, found when it is loaded:
 *
 *   static int run(ra_run *run) { return ra_text(run, "Hello."); }
 *   RA_EXPORT const struct ra_agent ra_agent_v1 = {RA_VERSION, "greeter", NULL, run};
 *
 *   cc -shared -fPIC greeter.c -o greeter.so
 *
 * Strings are UTF-8 and NUL-terminated; `_json` strings are one JSON value each. What is passed in
 * is copied, what comes out is borrowed for the run's life unless it says otherwise. All functions
 * may be called from any thread of the process while `run` has not returned. What the agent writes
 * on stdout and stderr goes to the run's log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RA_VERSION 1
#define RA_EXPORT __attribute__((visibility("default")))

typedef struct ra_run ra_run;

/* What calls answer, beside 0. */
enum ra_error {
    RA_CANCELLED = -1,  /* the run is to stop: clean up and return this */
    RA_TOOL_ERROR = -2, /* the tool did not succeed */
    RA_INVALID = -3,    /* an argument: no identifier, UTF-8 or JSON */
    RA_NO_MEMORY = -4,
    RA_LOST = -5,    /* the worker is gone: return */
    RA_REFUSED = -6, /* not now: too much goes on already, or there is nobody to be asked */
};

struct ra_agent {
    uint32_t version; /* RA_VERSION */
    const char *name; /* for people */
    /* Looks at the settings when the worker starts: NULL when they will do, else why not (static).
     * May be NULL. */
    const char *(*check)(const char *settings_json);
    /* One run. 0: completed. RA_CANCELLED: cancelled. Anything else: failed, as ra_fail said, else
     * with agent_failed. */
    int (*run)(ra_run *run);
};

#pragma GCC visibility push(default)

/* Whose run it is. NULL: there is none. */
const char *ra_run_id(const ra_run *run);
const char *ra_user_id(const ra_run *run);
const char *ra_thread_id(const ra_run *run);
const char *ra_request_id(const ra_run *run);
const char *ra_message_id(const ra_run *run);
/* The agent's name in the configuration. */
const char *ra_agent_name(const ra_run *run);
/* Milliseconds since the Unix epoch; 0: none. */
uint64_t ra_deadline_ms(const ra_run *run);
/* What the user sent: as text, and as it is (a string, or a list of parts). */
const char *ra_input(const ra_run *run);
const char *ra_content_json(const ra_run *run);
/* The agent's `settings` of the configuration, an object. */
const char *ra_settings_json(const ra_run *run);

/* What the agent is doing now; more of its reasoning; more of the answer. */
int ra_thinking(ra_run *run, const char *status);
int ra_reasoning(ra_run *run, const char *delta);
int ra_text(ra_run *run, const char *delta);
/* Something went wrong, and the run goes on. `code` is an identifier. */
int ra_problem(ra_run *run, const char *code, const char *message, bool retryable);

/* Begins a tool call; others may go on beside it. args_json: an object, or NULL. */
int ra_tool_start(ra_run *run, const char *name, const char *args_json, uint64_t *ret_call);
/* Waits for it, once. *ret_json is the result, or after RA_TOOL_ERROR {"code","message"}; the
 * caller's to free(). */
int ra_tool_wait(ra_run *run, uint64_t call, char **ret_json);
/* Both. */
int ra_tool(ra_run *run, const char *name, const char *args_json, char **ret_json);

/*
 * Asks the user something and waits for the answer of whoever is first. payload_json: what the page
 * needs to show the question, or NULL. timeout_ms: 0 for none. 1: yes; 0: no, or nobody in time;
 * RA_REFUSED: nobody was asked. *ret_json (may be NULL): {"status","payload"?}, the caller's.
 */
int ra_ask(ra_run *run, const char *reason, const char *payload_json, uint64_t timeout_ms,
    char **ret_json);

/* Whether the run is to stop. */
bool ra_cancelled(const ra_run *run);
/* Sleeps so long: 0, or RA_CANCELLED as soon as the run is to stop. */
int ra_sleep_ms(ra_run *run, uint64_t ms);

/* The result, for when `run` returns 0. */
int ra_set_result(ra_run *run, const char *result_json);
/* Why the run failed, for when `run` returns: returns -1, to be returned. */
int ra_fail(ra_run *run, const char *code, const char *message, bool retryable);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
