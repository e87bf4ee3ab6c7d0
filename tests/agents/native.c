/* SPDX-License-Identifier: Apache-2.0 */
/* A native agent in many ways; its content says which. Tools: wait, says_why. */
#include <ringside-agent.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the kernel would have it, whoever has hooked the signal. */
static void crash(void)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static const char *check(const char *settings)
{
    if (strstr(settings, "\"crash\":true"))
        crash();
    return strstr(settings, "\"bad\":true") ? "bad must not be true" : NULL;
}

static int shows(ra_run *run)
{
    char result[512];
    puts("this goes to the log");
    ra_thinking(run, "counting");
    ra_reasoning(run, "one and one");
    ra_text(run, "two ");
    ra_problem(run, "slow_network", "it took two tries", true);
    ra_text(run, "\xe2\x98\x83 \"quoted\"\n");
    snprintf(result, sizeof(result), "{\"agent\":\"%s\",\"user\":\"%s\",\n\"settings\":%s}",
        ra_agent_name(run), ra_user_id(run), ra_settings_json(run));
    return ra_set_result(run, result);
}

static int calls(ra_run *run)
{
    uint64_t first, second;
    char *one = NULL, *two = NULL, *three = NULL, *four = NULL;
    char result[512];
    if (ra_tool_start(run, "wait", "{\"ms\": 30}", &first) ||
        ra_tool_start(run, "wait", "{\"ms\": 10}", &second))
        return RA_LOST;
    int rc = ra_tool_wait(run, second, &two);
    rc |= ra_tool_wait(run, first, &one);
    if (rc || ra_tool_wait(run, first, &one) != RA_INVALID)
        return ra_fail(run, "odd", "an answer came twice", false);
    if (ra_tool(run, "says_why", NULL, &three) != RA_TOOL_ERROR ||
        ra_tool(run, "nothing", "{}", &four) != RA_TOOL_ERROR)
        return ra_fail(run, "odd", "a tool succeeded", false);
    snprintf(result, sizeof(result), "[%s,%s,%s,%s]", one, two, three, four);
    free(one);
    free(two);
    free(three);
    free(four);
    return ra_set_result(run, result);
}

static int asks(ra_run *run)
{
    char *reply = NULL;
    char result[512];
    int first = ra_ask(run, "Which colour?", "{\"colours\":\n2}", 0, &reply);
    int second = ra_ask(run, "Sure?", NULL, 0, NULL);
    int third = ra_ask(run, "Still there?", NULL, 100, NULL);
    snprintf(result, sizeof(result), "[%d,%s,%d,%d,%d]", first, reply, second, third,
        ra_ask(run, "?", "{", 0, NULL));
    free(reply);
    return ra_set_result(run, result);
}

static int refuses_nonsense(ra_run *run)
{
    char *json;
    char result[128];
    snprintf(result, sizeof(result), "[%d,%d,%d,%d,%d]", ra_text(run, "\xff"), ra_text(run, NULL),
        ra_tool(run, "wait", "[]", &json), ra_problem(run, "two words", "x", false),
        ra_set_result(run, "{"));
    return ra_set_result(run, result);
}

static int run(ra_run *run)
{
    const char *what = ra_input(run);
    char *json;
    if (strcmp(what, "shows") == 0)
        return shows(run);
    if (strcmp(what, "calls") == 0)
        return calls(run);
    if (strcmp(what, "asks") == 0)
        return asks(run);
    if (strcmp(what, "refuses_nonsense") == 0)
        return refuses_nonsense(run);
    if (strcmp(what, "returns") == 0)
        return 7;
    if (strcmp(what, "fails") == 0)
        return ra_fail(run, "no_quota", "come back tomorrow", true);
    ra_text(run, "here");
    if (strcmp(what, "crashes") == 0)
        crash();
    if (strcmp(what, "waits") == 0)
        return ra_tool(run, "wait", "{\"ms\": 600000}", &json);
    return ra_sleep_ms(run, 600000);
}

RA_EXPORT const struct ra_agent ra_agent_v1 = {RA_VERSION, "native", check, run};
