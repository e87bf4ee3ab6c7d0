/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/paths.h"

/* The programs of a node, beside this one or in the build tree it was built in. */
enum program_index {
    PROGRAM_BROKER,
    PROGRAM_WORKER,
    PROGRAM_GATEWAY,
    PROGRAM_COUNT,
};

struct programs {
    char paths[PROGRAM_COUNT][PATHS_MAX];
};

/* "ringside-broker", … Static. */
const char *program_name(enum program_index program);
/* -ENOENT, with `ret_path` what was looked for beside this program; -errno. */
int program_find(char ret_path[PATHS_MAX], enum program_index program);
/* The same for a program that is no part of a node; in a build tree it is in `build_folder`, from
 * the folder of this program. */
int program_find_tool(char ret_path[PATHS_MAX], const char *name, const char *build_folder);
