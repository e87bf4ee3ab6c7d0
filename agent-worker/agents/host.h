/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "process/child.h"

#include "base/buffer.h"

/*
 * Programs of ours that are the process of an agent which is none itself. They lie beside this
 * program, and each can judge an agent before it is needed: "PROGRAM --check …", the settings on
 * stdin; status 0, or 1 and what is wrong on stdout, a line each.
 */

/* The path of the program of this name, the caller's. -ENOENT; -errno. */
int host_find(char **ret_path, const char *name);
/*
 * Has the program, whose arguments ask for it, judge the settings. 0; -ENOEXEC with what it said in
 * `ret_said`; -ETIMEDOUT; -errno when it could not be started. Takes as long as the program does,
 * up to ten seconds.
 */
int host_check(const struct program *program, struct span settings, struct buffer *ret_said);
