/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "folders.h"

#include "base/buffer.h"
#include "config/config.h"

/*
 * What `ringside doctor` finds: a list of results, each ok, a warning or a failure, with what to
 * do about it. Checks change nothing.
 */
enum check_level {
    CHECK_OK,
    CHECK_WARN,
    CHECK_FAIL,
};

struct checks {
    const struct config *config;
    struct folders folders;
    bool json;
    struct buffer out; /* the lines, or the elements of the JSON array */
    unsigned counts[CHECK_FAIL + 1];
};

/* One result. `name` is a word for machines; `advice` what to do, NULL with CHECK_OK. */
void checks_add(struct checks *checks, enum check_level level, const char *name, const char *advice,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* checks_machine.c: this machine, whether a node runs or not. */
void check_shared_memory(struct checks *checks);
void check_descriptors(struct checks *checks);
void check_clock(struct checks *checks);
void check_programs(struct checks *checks);
void check_agents(struct checks *checks);

/* checks_node.c: the node's files. */
void check_folders(struct checks *checks);
void check_arena(struct checks *checks);
void check_sockets(struct checks *checks);
void check_keys(struct checks *checks);

/* checks_live.c: a running node. */
void check_running_node(struct checks *checks);
