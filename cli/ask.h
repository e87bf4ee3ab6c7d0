/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli.h"

#include "base/paths.h"

#include <jansson.h>

/* Asking the broker of a node, for verbs: what goes wrong is said on stderr, under the verb. */
struct ask {
    const char *verb;
    char run_dir[PATHS_MAX];
};

/* CLI_GO_ON, or CLI_USAGE when the run directory's path is too long. */
enum cli_status ask_init(struct ask *ask, const char *verb, const struct config *config);
/*
 * CLI_GO_ON and the answer, an object of the caller's; CLI_UNREACHABLE; CLI_USAGE when the broker
 * finds the argument wrong, CLI_FAILED when it refuses otherwise. `argument` is taken over; NULL:
 * none.
 */
enum cli_status ask_broker(
    const struct ask *ask, const char *what, json_t *argument, json_t **ret_answer);
/*
 * The pages of a list as one object, whose array `name` has at most `limit` rows (0: all), sorted
 * by their first member; "more" when there are others. `argument` is taken over.
 */
enum cli_status ask_pages(
    const struct ask *ask, const char *name, json_t *argument, uint64_t limit, json_t **ret_answer);
/* On stdout: the object in one line, or as tables. Takes it over. */
enum cli_status ask_show(const struct ask *ask, json_t *answer, bool json);
