/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/option.h"
#include "config/problems.h"

/*
 * A command line, sorted: what each flag was given. Strings are borrowed from argv. The last one
 * counts when a flag is given several times.
 */
struct arguments {
    const char *values[OPTION_COUNT]; /* by the option's place in the table; NULL: not given */
    const char *file;                 /* --config */
    bool help;
    bool version;
    bool check;
};

/* What was typed; argv[0] is the program. `operands` as in config_load. */
struct command_line {
    int argc;
    char **argv;
    const char **operands;
};

/*
 * Sorts the arguments; "--name VALUE" and "--name=VALUE" are the same, "--" ends the flags. The
 * program's own flags are set through their `value`.
 */
void arguments_read(struct arguments *ret_arguments, const struct config_program *program,
    const struct command_line *line, struct problems *problems);
