/* SPDX-License-Identifier: Apache-2.0 */
#include "config/arguments.h"

#include "config/suggest.h"

#include <stdio.h>

/* The command line while it is being read. */
struct scan {
    struct arguments *arguments;
    const struct config_program *program;
    struct problems *problems;
    const struct command_line *line;
    int at; /* the next argument */
};

/* "--name=VALUE" taken apart; '_' counts as '-' in names. */
struct flag {
    char name[OPTION_NAME_MAX];
    const char *value; /* behind '=', or NULL */
};

static struct flag flag_of(const char *argument)
{
    struct flag flag;
    const char *text = argument + 2;
    const char *equals = strchr(text, '=');
    flag.value = equals ? equals + 1 : NULL;
    snprintf(flag.name, sizeof(flag.name), "%.*s",
        equals ? (int)(equals - text) : (int)strlen(text), text);
    for (char *at = flag.name; *at; at++)
        *at = *at == '_' ? '-' : *at;
    return flag;
}

/* The flag's value: behind '=', or the next argument. NULL after a complaint. */
static const char *take_value(struct scan *scan, const struct flag *flag)
{
    if (flag->value)
        return flag->value;
    if (scan->at < scan->line->argc)
        return scan->line->argv[scan->at++];
    problems_add(scan->problems, "--%s: needs a value behind it", flag->name);
    return NULL;
}

static bool take_switch(struct scan *scan, const struct flag *flag, const char *name, bool *given)
{
    if (strcmp(flag->name, name) != 0)
        return false;
    if (flag->value)
        problems_add(scan->problems, "--%s: takes no value", name);
    *given = true;
    return true;
}

static bool take_builtin(struct scan *scan, const struct flag *flag)
{
    struct arguments *arguments = scan->arguments;
    if (strcmp(flag->name, "config") == 0) {
        arguments->file = take_value(scan, flag);
        return true;
    }
    return take_switch(scan, flag, "help", &arguments->help) ||
           take_switch(scan, flag, "version", &arguments->version) ||
           take_switch(scan, flag, "check-config", &arguments->check);
}

static bool take_own(struct scan *scan, const struct flag *flag)
{
    const struct config_flag *own = scan->program->flags;
    for (; own && own->name; own++) {
        if (strcmp(own->name, flag->name) != 0)
            continue;
        if (own->value_name) {
            const char *value = take_value(scan, flag);
            if (value)
                *own->value = value;
        } else {
            bool given = false;
            take_switch(scan, flag, own->name, &given);
            *own->value = "";
        }
        return true;
    }
    return false;
}

static bool take_option(struct scan *scan, const struct flag *flag)
{
    char name[OPTION_NAME_MAX];
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        option_flag_name(&option_table[i], name);
        if (strcmp(name, flag->name) != 0)
            continue;
        const char *value = take_value(scan, flag);
        if (value)
            scan->arguments->values[i] = value;
        return true;
    }
    return false;
}

static void complain_of_unknown(struct scan *scan, const struct flag *flag)
{
    char names[OPTION_COUNT][OPTION_NAME_MAX];
    struct suggestion suggestion = suggestion_for(flag->name);
    suggestion_offer(&suggestion, "config");
    suggestion_offer(&suggestion, "help");
    suggestion_offer(&suggestion, "version");
    suggestion_offer(&suggestion, "check-config");
    for (const struct config_flag *own = scan->program->flags; own && own->name; own++)
        suggestion_offer(&suggestion, own->name);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        option_flag_name(&option_table[i], names[i]);
        suggestion_offer(&suggestion, names[i]);
    }
    if (suggestion.nearest)
        problems_add(scan->problems, "--%s: unknown option; did you mean --%s?", flag->name,
            suggestion.nearest);
    else
        problems_add(scan->problems, "--%s: unknown option; --help lists them", flag->name);
}

static void read_flag(struct scan *scan, const char *argument)
{
    if (argument[1] != '-') {
        if (strcmp(argument, "-h") == 0)
            scan->arguments->help = true;
        else
            problems_add(scan->problems, "%s: unknown option; --help lists them", argument);
        return;
    }
    struct flag flag = flag_of(argument);
    if (take_builtin(scan, &flag) || take_own(scan, &flag) || take_option(scan, &flag))
        return;
    complain_of_unknown(scan, &flag);
    /* What follows is most likely its value: one slip, one complaint. */
    if (!flag.value && scan->at < scan->line->argc && scan->line->argv[scan->at][0] != '-')
        scan->at++;
}

void arguments_read(struct arguments *ret_arguments, const struct config_program *program,
    const struct command_line *line, struct problems *problems)
{
    *ret_arguments = (struct arguments){0};
    struct scan scan = {ret_arguments, program, problems, line, 1};
    bool flags_ended = false;
    size_t count = 0;
    while (scan.at < line->argc) {
        const char *argument = line->argv[scan.at++];
        if (!flags_ended && strcmp(argument, "--") == 0)
            flags_ended = true;
        else if (!flags_ended && argument[0] == '-' && argument[1])
            read_flag(&scan, argument);
        else if (line->operands)
            line->operands[count++] = argument;
        else
            problems_add(problems, "%s: takes no such argument; --help lists them", argument);
    }
    if (line->operands)
        line->operands[count] = NULL;
}
