/* SPDX-License-Identifier: Apache-2.0 */
#include "config/help.h"

#include "config/option.h"

static const char server_exit_statuses[] =
    "  0  stopped as asked\n"
    "  1  failed; the reason is the last line on stderr\n"
    "  2  the command line, the environment or the configuration file is wrong\n";

static const char common_flags[] =
    "  --config FILE\n"
    "        the configuration file; else $RINGSIDE_CONFIG, else /etc/ringside/ringside.yaml\n"
    "  --check-config\n"
    "        check configuration, environment and flags, say what is wrong, and leave\n"
    "  --help, -h\n"
    "  --version\n";

static void append_own_flags(struct buffer *out, const struct config_flag *flag)
{
    for (; flag && flag->name; flag++) {
        buffer_printf(out, "  --%s%s%s\n", flag->name, flag->value_name ? " " : "",
            flag->value_name ? flag->value_name : "");
        buffer_printf(out, "        %s\n", flag->help);
    }
}

static void append_option(struct buffer *out, const struct option *option)
{
    char name[OPTION_NAME_MAX];
    option_flag_name(option, name);
    buffer_printf(out, "  --%s %s\n", name, option_value_name(option));
    buffer_printf(out, "        %s\n        ", option->help);
    size_t before = out->len;
    option_append_default(option, out);
    if (out->len > before) {
        out->len = before;
        buffer_append_string(out, "default ");
        option_append_default(option, out);
        buffer_append_string(out, "; ");
    }
    option_variable_name(option, name);
    buffer_append_string(out, name);
    buffer_append_char(out, '\n');
}

static void append_section(struct buffer *out, const char *section)
{
    buffer_printf(out, "\n%s:\n", section);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(option_table[i].section, section) == 0)
            append_option(out, &option_table[i]);
    }
}

void config_help_append(struct buffer *out, const struct config_program *program)
{
    buffer_printf(out, "%s\n\nUsage: %s [FLAG…]%s%s\n", program->summary, program->name,
        program->operands ? " " : "", program->operands ? program->operands : "");
    if (program->examples)
        buffer_printf(out, "\nExamples:\n%s", program->examples);
    buffer_append_string(out, "\nFlags:\n");
    append_own_flags(out, program->flags);
    buffer_append_string(out, common_flags);
    if (program->sections) {
        buffer_append_string(out,
            "\nOptions, by section of the configuration file. A flag beats its environment\n"
            "variable, which beats the file, which beats the default.\n");
        for (const char *const *section = program->sections; *section; section++)
            append_section(out, *section);
    }
    buffer_append_string(out, "\nExit status:\n");
    buffer_append_string(
        out, program->exit_statuses ? program->exit_statuses : server_exit_statuses);
}

/* '|' separates the columns of a table. */
static void append_cell(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '|')
            buffer_append_char(out, '\\');
        buffer_append_char(out, text.data[i]);
    }
    buffer_append_string(out, " | ");
}

void config_reference_append(struct buffer *out, const char *section)
{
    buffer_append_string(out, "| key | takes | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &option_table[i];
        if (strcmp(option->section, section) != 0)
            continue;
        struct buffer cell = BUFFER_INIT;
        buffer_printf(out, "| `%s` | ", option->key);
        option_append_wanted(option, &cell);
        append_cell(out, buffer_span(&cell));
        buffer_clear(&cell);
        option_append_default(option, &cell);
        append_cell(out, buffer_span(&cell));
        append_cell(out, span_of_string(option->help));
        out->len--; /* the space behind the last '|' */
        buffer_append_char(out, '\n');
        buffer_deinit(&cell);
    }
}
