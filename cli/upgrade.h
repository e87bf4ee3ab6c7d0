/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>
#include <stdbool.h>

/*
 * How `ringside upgrade` asks `ringside up`: by this signal; and is answered: by this file in the
 * run directory, "done …" or "failed …", which the one that asked removes before and after.
 */
#define UPGRADE_SIGNAL SIGUSR2
#define UPGRADE_FILE "upgrade.answer"

/* Answers whoever asked. -errno. */
int upgrade_answer(const char *run_dir, bool done, const char *text);
