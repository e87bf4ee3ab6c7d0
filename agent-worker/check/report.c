/* SPDX-License-Identifier: Apache-2.0 */
#include "check/report.h"

#include "base/json.h"

#include <stdio.h>

#define GAP "  "
#define WORD_WIDTH 6 /* of "FAILED" */

static int width_of(enum check_name name)
{
    int width = (int)strlen(check_title(name));
    return width > WORD_WIDTH ? width : WORD_WIDTH;
}

/* Nothing stands behind the last one, so nothing has to be put there. */
static void print_cell(enum check_name name, const char *word)
{
    printf(GAP "%-*s", name + 1 < CHECK_COUNT ? width_of(name) : 0, word);
}

void check_report_head(size_t name_width)
{
    printf("%-*s", (int)name_width, "agent");
    for (unsigned name = 0; name < CHECK_COUNT; name++)
        print_cell(name, check_title(name));
    putchar('\n');
    fflush(stdout);
}

static const char *word_of(enum check_verdict verdict)
{
    switch (verdict) {
    case CHECK_OK: return "ok";
    case CHECK_FAILED: return "FAILED";
    case CHECK_NOT_APPLICABLE: break;
    }
    return "-";
}

/* What failed, and what does not apply and could be made to. */
static bool needs_words(const struct check_result *result)
{
    return result->verdict == CHECK_FAILED ||
           (result->verdict == CHECK_NOT_APPLICABLE && result->advice);
}

void check_report_row(const struct check_agent *agent, size_t name_width)
{
    printf("%-*s", (int)name_width, agent->name);
    for (unsigned name = 0; name < CHECK_COUNT; name++)
        print_cell(name, word_of(agent->results[name].verdict));
    putchar('\n');
    for (unsigned name = 0; name < CHECK_COUNT; name++) {
        const struct check_result *result = &agent->results[name];
        if (!needs_words(result))
            continue;
        printf(GAP "%s: %s\n", check_title(name), result->text);
        if (result->advice)
            printf(GAP GAP "%s\n", result->advice);
    }
    fflush(stdout);
}

void check_report_sum(size_t agents, size_t failed)
{
    printf("\n%zu agent%s checked, %zu failed\n", agents, agents == 1 ? "" : "s", failed);
}

/* ---- JSON */

static void append_result(
    struct buffer *out, enum check_name name, const struct check_result *result)
{
    static const char *const verdicts[] = {
        [CHECK_OK] = "ok", [CHECK_FAILED] = "failed", [CHECK_NOT_APPLICABLE] = "not_applicable"};
    json_append_name(out, check_title(name));
    buffer_append_char(out, '{');
    json_append_member(out, "verdict", span_of_string(verdicts[result->verdict]));
    if (result->text[0])
        json_append_member(out, "text", span_of_string(result->text));
    if (result->advice)
        json_append_member(out, "advice", span_of_string(result->advice));
    buffer_append_char(out, '}');
}

static void append_agent(struct buffer *out, const struct check_agent *agent)
{
    buffer_append_char(out, '{');
    json_append_member(out, "agent", span_of_string(agent->name));
    json_append_member_uint(out, "failed", check_failures(agent));
    json_append_name(out, "checks");
    buffer_append_char(out, '{');
    for (unsigned name = 0; name < CHECK_COUNT; name++)
        append_result(out, name, &agent->results[name]);
    buffer_append_string(out, "}}");
}

void check_report_json(const struct check_agent *agents, size_t count)
{
    struct buffer out = BUFFER_INIT;
    buffer_append_string(&out, "{\"agents\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buffer_append_char(&out, ',');
        append_agent(&out, &agents[i]);
    }
    buffer_append_string(&out, "]}\n");
    fwrite(out.data, 1, out.len, stdout);
    buffer_deinit(&out);
}
