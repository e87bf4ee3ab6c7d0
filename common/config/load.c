/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One order for every program: defaults, file, environment, flags, each over the one before. A
 * bad value is a problem even where a later source replaces it, so that nothing wrong lies
 * dormant. Problems of all sources are said together.
 */
#include "config/config.h"

#include "base/cleanup.h"
#include "config/arguments.h"
#include "config/file.h"
#include "config/help.h"
#include "config/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_FILE "/etc/ringside/ringside.yaml"
#define VARIABLE_PREFIX "RINGSIDE_"

extern char **environ;

/* Variables of ours that are no options. */
static const char *const other_variables[] = {
    "RINGSIDE_CONFIG", "RINGSIDE_RUN_DIR", "RINGSIDE_DATA_DIR", "RINGSIDE_READY_FD", NULL};

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int apply(struct config *config, const struct option *option, const char *text,
    const char *where, struct problems *problems)
{
    int rc = option_set(config, option, text);
    if (rc != -EINVAL)
        return rc;
    _cleanup_(buffer_deinit) struct buffer wanted = BUFFER_INIT;
    option_append_wanted(option, &wanted);
    problems_add(problems, "%s: \"%s\" is not %.*s", where, text, SPAN_ARG(buffer_span(&wanted)));
    return 0;
}

static int apply_variables(struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char name[OPTION_NAME_MAX];
        option_variable_name(&option_table[i], name);
        const char *text = variable(name);
        int rc = text ? apply(config, &option_table[i], text, name, problems) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

/* The two folders have a second, shorter variable; the long one counts when both are given. */
static int apply_folders(struct config *config, struct problems *problems)
{
    const char *run_dir = variable("RINGSIDE_RUN_DIR");
    const char *data_dir = variable("RINGSIDE_DATA_DIR");
    int rc = 0;
    if (run_dir)
        rc = apply(
            config, &option_table[OPTION_AT_node_run_dir], run_dir, "RINGSIDE_RUN_DIR", problems);
    if (rc == 0 && data_dir)
        rc = apply(config, &option_table[OPTION_AT_node_data_dir], data_dir, "RINGSIDE_DATA_DIR",
            problems);
    return rc;
}

/*
 * A variable that is nearly one of ours is a slip worth stopping for. Others that begin alike are
 * left alone: container platforms make such variables by themselves.
 */
static void check_variable(const char *name, struct problems *problems)
{
    char names[OPTION_COUNT][OPTION_NAME_MAX];
    struct suggestion suggestion = suggestion_for(name);
    suggestion.distance = 3;
    for (size_t i = 0; other_variables[i]; i++)
        suggestion_offer(&suggestion, other_variables[i]);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        option_variable_name(&option_table[i], names[i]);
        suggestion_offer(&suggestion, names[i]);
    }
    if (suggestion.nearest && suggestion.distance > 0)
        problems_add(problems, "%s: unknown variable; did you mean %s?", name, suggestion.nearest);
}

static void check_variables(struct problems *problems)
{
    for (char **entry = environ; *entry; entry++) {
        if (strncmp(*entry, VARIABLE_PREFIX, sizeof(VARIABLE_PREFIX) - 1) != 0)
            continue;
        _cleanup_free_ char *name = strndup(*entry, strcspn(*entry, "="));
        if (name)
            check_variable(name, problems);
    }
}

static int apply_flags(struct config *config, const struct config_program *program,
    const struct arguments *arguments, struct problems *problems)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char name[OPTION_NAME_MAX], where[OPTION_NAME_MAX + 2];
        if (!arguments->values[i])
            continue;
        option_flag_name(&option_table[i], name);
        snprintf(where, sizeof(where), "--%s", name);
        int rc = apply(config, &option_table[i], arguments->values[i], where, problems);
        option_variable_name(&option_table[i], name);
        if (rc == 0 && program->export_flags && setenv(name, arguments->values[i], 1) < 0)
            rc = -ENOMEM;
        if (rc)
            return rc;
    }
    return 0;
}

static int read_file(struct config *config, const char *given, struct problems *problems)
{
    const char *path = given ? given : variable("RINGSIDE_CONFIG");
    if (!path && access(SYSTEM_FILE, F_OK) == 0)
        path = SYSTEM_FILE;
    return path ? config_file_read(config, path, problems) : 0;
}

static int read_all(struct config *config, const struct config_program *program,
    const struct arguments *arguments, struct problems *problems)
{
    int rc = option_set_defaults(config);
    if (rc == 0)
        rc = read_file(config, arguments->file, problems);
    if (rc == 0)
        rc = apply_folders(config, problems);
    if (rc == 0)
        rc = apply_variables(config, problems);
    if (rc == 0)
        rc = apply_flags(config, program, arguments, problems);
    check_variables(problems);
    return rc;
}

static enum config_action answer_help(const struct config_program *program)
{
    _cleanup_(buffer_deinit) struct buffer out = BUFFER_INIT;
    config_help_append(&out, program);
    fwrite(out.data, 1, out.len, stdout);
    fflush(stdout);
    return CONFIG_EXIT_DONE;
}

static enum config_action report(
    const struct config_program *program, const struct problems *problems)
{
    const char *line = problems->lines.data;
    const char *end = line + problems->lines.len;
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        fprintf(stderr, "%s: %.*s\n", program->name, (int)(next - line), line);
        line = next + 1;
    }
    return CONFIG_EXIT_USAGE;
}

enum config_action config_load(
    struct config *ret_config, const struct config_program *program, int argc, char **argv)
{
    _cleanup_(problems_deinit) struct problems problems = {0};
    struct arguments arguments;
    *ret_config = (struct config){.operands = calloc((size_t)argc + 1, sizeof(char *))};
    if (!ret_config->operands) {
        problems_add(&problems, "out of memory");
        return report(program, &problems);
    }
    const struct command_line line = {argc, argv, program->operands ? ret_config->operands : NULL};
    arguments_read(&arguments, program, &line, &problems);
    if (arguments.help)
        return answer_help(program);
    if (arguments.version) {
        printf("%s %s\n", program->name, RINGSIDE_VERSION);
        return CONFIG_EXIT_DONE;
    }
    if (read_all(ret_config, program, &arguments, &problems) < 0)
        problems_add(&problems, "configuration: out of memory");
    if (problems.count > 0)
        return report(program, &problems);
    if (!arguments.check)
        return CONFIG_RUN;
    puts("configuration ok");
    return CONFIG_EXIT_DONE;
}

void config_deinit(struct config *config)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!option_holds_text(&option_table[i]))
            continue;
        char **field = option_text_field(config, &option_table[i]);
        free(*field);
        *field = NULL;
    }
    config_agents_deinit(config);
    free(config->file);
    config->file = NULL;
    free(config->operands);
    config->operands = NULL;
}

const struct config_agent *config_find_agent(const struct config *config, struct span name)
{
    for (size_t i = 0; i < config->agent_count; i++) {
        if (span_is(name, config->agents[i].name))
            return &config->agents[i];
    }
    return NULL;
}
