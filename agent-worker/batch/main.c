/* SPDX-License-Identifier: Apache-2.0 */
#include "batch/batch.h"

#include "config/value.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MAX 4096
#define JOBS_A_PROCESSOR 4
#define RETRIES_MAX 1000
#define USAGE 2

struct flags {
    const char *agent, *jobs, *out, *events, *ordered, *retries, *retry_failed, *quiet;
};

static int usage(const char *text)
{
    fprintf(stderr, "ringside batch: %s\n", text);
    return USAGE;
}

static bool number(const char *text, uint64_t fallback, uint64_t max, uint64_t *ret_number)
{
    *ret_number = fallback;
    return !text || (config_parse_number(text, ret_number) == 0 && *ret_number <= max);
}

static uint64_t default_jobs(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return JOBS_A_PROCESSOR * (processors > 0 ? (uint64_t)processors : 1);
}

static int run(const struct config *config, const struct flags *flags, const char *const *operands)
{
    uint64_t jobs, retries;
    if (!operands[0])
        return usage("needs a file of requests, or - for stdin");
    if (operands[1])
        return usage("takes one file");
    if (!number(flags->jobs, default_jobs(), JOBS_MAX, &jobs) || jobs == 0)
        return usage("--jobs: a number from 1 to 4096");
    if (!number(flags->retries, 0, RETRIES_MAX, &retries))
        return usage("--retries: a number from 0 to 1000");
    if (flags->retry_failed && !flags->out)
        return usage("--retry-failed needs the file of results: --out FILE");
    const struct batch_options options = {.config = config,
        .input = operands[0],
        .output = flags->out,
        .agent = flags->agent ? flags->agent : "",
        .jobs = jobs,
        .retries = (unsigned)retries,
        .events = flags->events != NULL,
        .ordered = flags->ordered != NULL,
        .retry_failed = flags->retry_failed != NULL,
        .quiet = flags->quiet != NULL};
    switch (batch_process(&options)) {
    case BATCH_ALL_COMPLETED: return 0;
    case BATCH_NOT_ALL: return 1;
    default: return USAGE;
    }
}

int main(int argc, char **argv)
{
    struct flags flags = {0};
    const struct config_flag own[] = {
        {"agent", "NAME", "who answers where a request names nobody; default broker.default_agent",
            &flags.agent},
        {"jobs", "N", "requests under way at once; default four for each processor", &flags.jobs},
        {"out", "FILE", "where results go; what it has already is not run again", &flags.out},
        {"events", NULL, "write each run's events before its result", &flags.events},
        {"ordered", NULL, "results in the order of the requests", &flags.ordered},
        {"retries", "N", "further attempts at a request that failed with `retryable`; default 0",
            &flags.retries},
        {"retry-failed", NULL, "run what is in FILE and did not complete again",
            &flags.retry_failed},
        {"quiet", NULL, "neither progress nor summary", &flags.quiet},
        {NULL, NULL, NULL, NULL},
    };
    static const char *const sections[] = {"node", "ring", "worker", NULL};
    const struct config_program program = {
        .name = "ringside batch",
        .summary = "Runs every request of a file of JSON lines, without a node, and writes one "
                   "result a\n"
                   "request. Give the same command again after an interruption: it goes on.",
        .sections = sections,
        .flags = own,
        .operands = "FILE",
        .examples =
            "  echo '{\"content\": \"What is a ring?\"}' | ringside batch - --agent librarian\n"
            "  ringside batch questions.jsonl --jobs 8 --out answers.jsonl\n"
            "  ringside batch questions.jsonl --out answers.jsonl --retry-failed\n",
        .exit_statuses =
            "  0  every line was a request and completed\n"
            "  1  something failed, was no request, or is left to do\n"
            "  2  the command line, the environment, the configuration or a file is wrong\n",
    };
    struct config config;
    enum config_action action = config_load(&config, &program, argc, argv);
    int status = action == CONFIG_EXIT_DONE ? 0 : USAGE;
    if (action == CONFIG_RUN) {
        enum log_level level = LOG_INFO;
        (void)log_level_parse(config.node_log_level, &level);
        log_init("batch", level);
        status = run(&config, &flags, config.operands);
    }
    config_deinit(&config);
    return status;
}
