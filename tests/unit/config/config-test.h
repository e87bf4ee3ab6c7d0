/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/config.h"
#include "unit.h"

/* A folder of its own for each test, a configuration file in it, and what loading it said. */
struct sandbox {
    char folder[64];
    char path[96];   /* the configuration file */
    char said[8192]; /* what the last load wrote on stderr */
    struct config config;
    enum config_action action;
};

/* cmocka fixtures: *state is the sandbox; no RINGSIDE_ variable is set. */
int sandbox_setup(void **state);
int sandbox_teardown(void **state);

void sandbox_write(struct sandbox *sandbox, const char *name, const char *text);
/* Loads with the sandbox's file (written first unless `yaml` is NULL) and `flags`, NULL-ended. */
void sandbox_load(struct sandbox *sandbox, const char *yaml, const char *const *flags);

/* That the load failed and said: "FILE:LINE: text…". */
void assert_said_at(const struct sandbox *sandbox, unsigned line, const char *text);
void assert_said(const struct sandbox *sandbox, const char *text);
unsigned sandbox_lines_said(const struct sandbox *sandbox);
