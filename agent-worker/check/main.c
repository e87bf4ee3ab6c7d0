/* SPDX-License-Identifier: Apache-2.0 */
/* `ringside agents --check`: the agents of the configuration, each put through the checks. */
#include "check/report.h"

#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define FAILED 1
#define USAGE 2
#define TIMEOUT_DEFAULT_MS 60000
#define QUESTION "Hello there, who are you?"

struct flags {
    const char *check, *input, *timeout, *json, *verbose;
};

struct work {
    const struct config *config;
    const struct config_agent **agents; /* that are to be checked */
    size_t count;
    struct check_agent *results;
    bool json;
};

static int usage(const char *what, const char *why)
{
    fprintf(stderr, "ringside agents: %s%s\n", what, why);
    return USAGE;
}

static int choose(struct work *work, const char *const *names)
{
    const struct config *config = work->config;
    for (size_t i = 0; !names[0] && i < config->agent_count; i++)
        work->agents[work->count++] = &config->agents[i];
    for (; *names; names++) {
        const struct config_agent *agent = config_find_agent(config, span_of_string(*names));
        if (!agent)
            return usage("the configuration has no agent ", *names);
        work->agents[work->count++] = agent;
    }
    return work->count ? 0
                       : usage("the configuration has no agents", "; name one with --config FILE");
}

static size_t widest(const struct work *work)
{
    size_t width = strlen("agent");
    for (size_t i = 0; i < work->count; i++) {
        size_t length = strlen(work->agents[i]->name);
        width = length > width ? length : width;
    }
    return width;
}

/* How many agents failed, or -errno. */
static int check_all(struct work *work, struct check_stage *stage)
{
    int failed = 0;
    size_t width = widest(work);
    if (!work->json)
        check_report_head(width);
    for (size_t i = 0; i < work->count; i++) {
        int rc = check_agent(&work->results[i], stage, work->config, work->agents[i]);
        if (rc < 0)
            return rc;
        failed += check_failures(&work->results[i]) > 0;
        if (!work->json)
            check_report_row(&work->results[i], width);
    }
    if (work->json)
        check_report_json(work->results, work->count);
    else
        check_report_sum(work->count, (size_t)failed);
    return failed;
}

static int run(const struct config *config, const struct flags *flags, struct work *work)
{
    struct buffer content = BUFFER_INIT;
    struct check_stage stage = {.timeout_ms = TIMEOUT_DEFAULT_MS};
    if (flags->timeout && config_parse_duration(flags->timeout, &stage.timeout_ms) < 0)
        return usage("--timeout: needs a duration, as 30s", "");
    signal(SIGPIPE, SIG_IGN); /* agents may not want to hear */
    json_append_string(&content, span_of_string(flags->input ? flags->input : QUESTION));
    stage.content = buffer_span(&content);
    int rc = check_stage_init(&stage, config);
    if (!rc)
        rc = check_all(work, &stage);
    if (rc == -ENOMEM)
        fprintf(stderr, "ringside agents: memory is out\n");
    check_stage_deinit(&stage);
    buffer_deinit(&content);
    return rc ? FAILED : 0;
}

static int prepare_and_run(
    const struct config *config, const struct flags *flags, const char *const *names, size_t most)
{
    struct work work = {.config = config, .json = flags->json != NULL};
    enum log_level level = LOG_ERROR;
    if (flags->verbose)
        (void)log_level_parse(config->node_log_level, &level);
    log_init("agents", level);
    work.agents = calloc(most + 1, sizeof(void *));
    work.results = calloc(most + 1, sizeof(*work.results));
    int status = FAILED;
    if (work.agents && work.results)
        status = choose(&work, names);
    if (status == 0)
        status = run(config, flags, &work);
    free(work.agents);
    free(work.results);
    return status;
}

int main(int argc, char **argv)
{
    struct flags flags = {0};
    const struct config_flag own[] = {
        {"check", NULL, "what this is; without it the agents of a node are listed", &flags.check},
        {"input", "TEXT", "what the agents are asked; default \"" QUESTION "\"", &flags.input},
        {"timeout", "DURATION", "the longest a run may take; default 1m", &flags.timeout},
        {"json", NULL, "one JSON object", &flags.json},
        {"verbose", NULL, "agents' stderr, and what the worker makes of them, on stderr",
            &flags.verbose},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", "ring", "worker", NULL};
    const struct config_program program = {
        .name = "ringside agents --check",
        .summary =
            "Runs each agent of the configuration, or those named, as a worker does, without a "
            "node:\n"
            "starts it, asks it, cancels it, kills it, takes nothing of what it says for a "
            "while, and\n"
            "says what it got wrong and what to do about it. Its tools run for real.",
        .sections = sections,
        .flags = own,
        .operands = "[NAME…]",
        .examples = "  ringside agents --check --config ringside.yaml\n"
                    "  ringside agents --check librarian --input \"What is a ring?\"\n"
                    "  ringside agents --check --json | jq '.agents[] | select(.failed > 0)'\n",
        .exit_statuses = "  0  nothing failed\n"
                         "  1  an agent failed a check\n"
                         "  2  the command line, the environment or the configuration is wrong\n",
    };
    struct config config;
    enum config_action action = config_load(&config, &program, argc, argv);
    int status = action == CONFIG_EXIT_DONE ? 0 : USAGE;
    if (action == CONFIG_RUN)
        status =
            prepare_and_run(&config, &flags, config.operands, config.agent_count + (size_t)argc);
    config_deinit(&config);
    return status;
}
