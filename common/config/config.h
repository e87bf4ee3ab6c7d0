/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/tools.h"

#include "base/buffer.h"

#include <stdio.h>

/*
 * A node's configuration: one set of options for all its programs (`options.def`), and the agents
 * it runs. Loaded once at start; every problem found is reported, not just the first.
 */
/* What one worker lets an agent have; 0: no limit. */
struct config_limits {
    uint64_t runs;        /* at once */
    uint64_t memory;      /* bytes, of a run's agent and all it started together */
    uint64_t cpu_time_ms; /* of each of these processes */
};

/* Processes that are there before a run wants one. */
struct config_pool {
    uint64_t min_idle;   /* started ahead */
    uint64_t max_uses;   /* runs a process serves, one after the other; at least 1 */
    uint64_t max_memory; /* bytes, as above; one that has more after a run is not used again; 0: no
                            limit */
};

enum config_agent_kind {
    CONFIG_AGENT_EXEC,   /* a program of its author's */
    CONFIG_AGENT_NATIVE, /* a shared object, in a program of ours */
    CONFIG_AGENT_LLM,    /* a language model, asked by a program of ours */
};

struct config_agent {
    char *name;
    enum config_agent_kind kind;
    char *description;             /* never NULL; "" when none was given */
    struct config_command command; /* exec; else argv is NULL */
    char *library;                 /* native: as a command's first word; else NULL */
    char *settings;                /* a JSON object, never NULL: for the agent alone */
    struct config_limits limits;
    struct config_pool pool;
    char *directory; /* where its processes start: the configuration file's folder, absolute */
    struct config_tool *tools;
    size_t tool_count;
    struct config_mcp *mcp;
    size_t mcp_count;
};

struct config {
#define TEXT(section, key, fallback, help) char *section##_##key;
#define NAME(section, key, fallback, help) char *section##_##key;
#define PATH(section, key, fallback, help) char *section##_##key;
#define CHOICE(section, key, fallback, choices, help) char *section##_##key;
#define NUMBER(section, key, fallback, min, max, help) uint64_t section##_##key;
#define BYTES(section, key, fallback, min, max, help) uint64_t section##_##key;
#define POWER(section, key, fallback, min, max, help) uint64_t section##_##key;
#define DURATION(section, key, fallback, min, max, help) uint64_t section##_##key;
#define FLAG(section, key, fallback, help) bool section##_##key;
#include "config/options.def"
#undef TEXT
#undef NAME
#undef PATH
#undef CHOICE
#undef NUMBER
#undef BYTES
#undef POWER
#undef DURATION
#undef FLAG
    char *file; /* the file that was read, absolute, or NULL */
    struct config_agent *agents;
    size_t agent_count;
    const char **operands; /* arguments that are no options, borrowed, and NULL behind the last */
};

/* A program's own flags, beside the options: "--name VALUE" or, with `value_name` NULL, "--name".
 */
struct config_flag {
    const char *name; /* without the dashes */
    const char *value_name;
    const char *help;
    const char **value; /* set to the text, or to "" for a flag without a value */
};

struct config_program {
    const char *name;
    const char *summary;             /* what it is and does, a few lines, for --help */
    const char *const *sections;     /* whose options --help lists; NULL-terminated; NULL: none */
    const struct config_flag *flags; /* ends with a NULL name; NULL: none */
    const char *operands;            /* as --help shows them, "TEXT"; NULL: none */
    const char *examples;            /* for --help; NULL: none */
    const char *exit_statuses;       /* for --help; NULL: those of a server */
    bool export_flags;               /* hand options given as flags to child programs: setenv */
};

enum config_action {
    CONFIG_RUN,
    CONFIG_EXIT_DONE,  /* --help, --version or --check-config have been answered: status 0 */
    CONFIG_EXIT_USAGE, /* what is wrong has been said on stderr: status 2 */
};

/*
 * Reads defaults, the file (--config, else $RINGSIDE_CONFIG, else /etc/ringside/ringside.yaml when
 * it exists), the environment and the arguments into `ret_config`, which is initialised in any
 * case and freed with config_deinit. Answers --help, --version and --check-config itself.
 * Program start only: not thread-safe.
 */
enum config_action config_load(
    struct config *ret_config, const struct config_program *program, int argc, char **argv);
void config_deinit(struct config *config);
/* NULL when there is no such agent. */
const struct config_agent *config_find_agent(const struct config *config, struct span name);

/* Parsers of values, for tests and other inputs: -EINVAL on anything else, -ERANGE beyond 64 bits.
 */
int config_parse_bytes(const char *text, uint64_t *ret_bytes);
int config_parse_duration(const char *text, uint64_t *ret_ms);
